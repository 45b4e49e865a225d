package memstore_test

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

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

const web store.Service = "_web._tcp"

// open returns a store that does not run. Where config names no zone, it is svc.internal.
func open(t testing.TB, config memstore.Config) *memstore.Store {
	t.Helper()
	if config.Rules.Zone == "" {
		config.Rules.Zone = "svc.internal."
	}
	s, err := memstore.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start returns a store that runs until the test ends.
func start(t testing.TB, config memstore.Config) *memstore.Store {
	t.Helper()
	s := open(t, config)
	t.Cleanup(run(t, s))
	return s
}

// run runs a store until the returned function is called.
func run(t testing.TB, s *memstore.Store) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	}
}

func instance(id string, ttl time.Duration) store.Instance {
	return store.Instance{ID: id, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, 1})}, Port: 80, Weight: 1, TTL: ttl}
}

func put(t testing.TB, s *memstore.Store, service store.Service, in store.Instance) store.Registration {
	t.Helper()
	r, err := s.Register(context.Background(), service, in)
	if err != nil {
		t.Fatalf("register %s %q: %v", service, in.ID, err)
	}
	return r
}

func end(t testing.TB, s *memstore.Store, service store.Service, id string) store.Revision {
	t.Helper()
	r, err := s.Deregister(context.Background(), service, id)
	if err != nil {
		t.Fatalf("deregister %s %q: %v", service, id, err)
	}
	return r
}

// renew returns the error of renewing one lease.
func renew(t testing.TB, s *memstore.Store, service store.Service, id string) error {
	t.Helper()
	results, err := s.RenewAll(context.Background(), []store.Renewal{{Service: service, ID: id}})
	if err != nil || len(results) != 1 {
		t.Fatalf("renew %s %q: %d results, error %v", service, id, len(results), err)
	}
	return results[0].Err
}

// pass lets time go by in a synctest bubble, and all that falls due happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// instances checks how many instances the view has.
func instances(t testing.TB, s *memstore.Store, when string, want int) {
	t.Helper()
	if n := s.View().Instances(); n != want {
		t.Fatalf("%s: %d instances in the view, want %d", when, n, want)
	}
}
