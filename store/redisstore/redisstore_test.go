package redisstore_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dnsreg/dnsreg/internal/redistest"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/redisstore"
	"github.com/dnsreg/dnsreg/store/storetest"
)

// TestMain lets go-redis dial a server that is gone once more: that ends within a second of the client's Close.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

const (
	zone                = "svc.internal."
	web   store.Service = "_web._tcp"
	soon                = 5 * time.Second // for what has to happen
	short               = 2 * time.Second // the shortest lease that a stall of Redis is covered for, or near it
)

// eventually polls until done holds, and ends the test if it does not within a time.
func eventually(t testing.TB, within time.Duration, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(within); !done(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// config returns the configuration of a store whose log goes to the test's.
func config(t testing.TB, url string) redisstore.Config {
	return redisstore.Config{
		Rules:  store.Rules{Zone: zone, Hosts: []string{"ns1"}},
		URL:    url,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

// launch makes a store and runs it until the test ends, or until the function that it returns is called.
func launch(t testing.TB, config redisstore.Config) (*redisstore.Store, func()) {
	t.Helper()
	s, err := redisstore.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop := func() {
		cancel()
		if err, ok := <-ended; ok && err != nil {
			t.Errorf("run: %v", err)
		}
	}
	var once atomic.Bool
	end := func() {
		if once.CompareAndSwap(false, true) {
			stop()
		}
	}
	t.Cleanup(end)
	return s, end
}

// synced makes a store, runs it and waits until it follows Redis.
func synced(t testing.TB, config redisstore.Config) *redisstore.Store {
	t.Helper()
	s, _ := launch(t, config)
	awaitSync(t, s)
	return s
}

func awaitSync(t testing.TB, s *redisstore.Store) {
	t.Helper()
	eventually(t, time.Minute, "the store is synced", func() bool {
		stats := s.Stats()
		return stats.Freshness == store.Synced && stats.Epoch != "" && stats.Bell != "down" && !stats.Recovering
	})
}

func TestContract(t *testing.T) {
	server := redistest.Start(t)
	var prefixes atomic.Int64
	storetest.Run(t, func(t *testing.T, rules store.Rules) storetest.Store {
		c := config(t, server.URL())
		c.Rules, c.Prefix = rules, fmt.Sprintf("test:%d", prefixes.Add(1))
		return synced(t, c)
	})
}
