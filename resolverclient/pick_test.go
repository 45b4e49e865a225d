package resolverclient_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/resolverclient"
)

func TestPickWhileTheSetChanges(t *testing.T) {
	one, two := newZone(t, weighted(0, 1, 2, 3)...), newZone(t, weighted(1, 3, 2)...)
	var n atomic.Int64
	c := newClient(t, resolverclient.Config{
		Servers: []string{listen(t, func(x exchange) {
			if n.Add(1)%2 == 0 {
				one.serve(x)
				return
			}
			two.serve(x)
		})},
		MinTTL: 5 * time.Millisecond, MaxTTL: 5 * time.Millisecond,
	})
	var callers sync.WaitGroup
	for _, strategy := range allStrategies() {
		b, err := c.Balancer("web", strategy)
		if err != nil {
			t.Fatal(err)
		}
		callers.Go(func() {
			for n.Load() < 20 {
				p, err := b.Pick(t.Context())
				if err != nil || !p.Endpoint.Addresses[0].IsLoopback() {
					t.Errorf("picked %v, %v", p.Endpoint, err)
					return
				}
				p.Done(nil)
			}
		})
	}
	callers.Wait()
}

// What a pick costs among many endpoints is how many lines of memory it reads, and copies are fastest in steps of 16 octets.
func TestPickReadsFewLines(t *testing.T) {
	for _, tt := range []struct {
		name       string
		size, most uintptr
	}{
		{"node", resolverclient.NodeSize, 2 * 64},
		{"stats", resolverclient.StatsSize, 64},
	} {
		if tt.size > tt.most {
			t.Errorf("%s has %d octets, want at most %d", tt.name, tt.size, tt.most)
		}
	}
	if resolverclient.PickedSize%16 != 0 {
		t.Errorf("Picked has %d octets, want a multiple of 16", resolverclient.PickedSize)
	}
}

func TestPickDoesNotAllocate(t *testing.T) {
	for _, instances := range []int{1, 10, 1000} {
		addr := listen(t, newZone(t, benchRecords(instances)...).serve)
		for _, strategy := range allStrategies() {
			c := newClient(t, resolverclient.Config{ // whose answer is not renewed meanwhile, which allocates
				Servers: []string{addr}, Timeout: 20 * time.Second, LookupTimeout: time.Minute, MinTTL: time.Hour,
			})
			b, err := c.Balancer("web", strategy)
			if err != nil {
				t.Fatal(err)
			}
			tally(t, b, instances, 1)
			if n := testing.AllocsPerRun(1000, func() {
				if p, err := b.Pick(t.Context()); err == nil {
					p.Done(nil)
				}
			}); n != 0 {
				t.Errorf("%v of %d: %v allocations", strategy, instances, n)
			}
		}
	}
}

// After Close nothing answers, not even a balancer whose service had to make room in the cache.
func TestNoPickAfterClose(t *testing.T) {
	records := append(weighted(0, 1, 1), "_api._tcp.svc.internal. 5 SRV 0 1 1 p0-0.svc.internal.")
	c := newClient(t, resolverclient.Config{Servers: []string{listen(t, newZone(t, records...).serve)}, MaxEntries: 1})
	var balancers []*resolverclient.Balancer
	for _, service := range []string{"web", "api"} {
		for _, strategy := range allStrategies() {
			b, err := c.Balancer(service, strategy)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.Pick(t.Context()); err != nil {
				t.Fatal(err)
			}
			balancers = append(balancers, b)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for _, b := range balancers {
		_, picked := b.Pick(t.Context())
		_, keyed := b.PickKey(t.Context(), "key")
		done := b.Do(t.Context(), func(context.Context, resolverclient.Endpoint) error { return nil })
		for _, err := range []error{picked, keyed, done} {
			if !errors.Is(err, resolverclient.ErrClosed) {
				t.Errorf("got %v, want ErrClosed", err)
			}
		}
	}
}

func TestBalancerRefuses(t *testing.T) {
	c := clientOf(t, silent)
	if _, err := c.Balancer("we b", resolverclient.Random); err == nil {
		t.Error("a malformed name was taken")
	}
	if _, err := c.Balancer("web", 99); err == nil || !strings.Contains(err.Error(), "Strategy(99)") {
		t.Errorf("got %v, want an error about the strategy", err)
	}
}

// The zero Picked belongs to no balancer, and is harmless.
func TestDoneOfTheZeroValue(t *testing.T) {
	resolverclient.Picked{}.Done(nil)
}
