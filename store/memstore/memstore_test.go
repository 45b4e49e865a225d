package memstore_test

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
	"github.com/dnsreg/dnsreg/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T, rules store.Rules) storetest.Store {
		return start(t, memstore.Config{Rules: rules})
	})
}

// start returns a store that runs until the test ends.
func start(t testing.TB, config memstore.Config) *memstore.Store {
	t.Helper()
	s, err := memstore.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return s
}
