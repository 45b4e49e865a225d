package memstore_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// TestLateness measures how long after its deadline an instance is still in the view: 1,000 instances of 10 services,
// whose leases of 1.5 s begin over a second and are renewed once after half a second. It prints the figures, and asserts
// that none is gone early or 5 s late.
func TestLateness(t *testing.T) {
	const n = 1000
	c := crowd{Store: start(t, memstore.Config{}), deadlines: make(map[store.Service]map[string]time.Time)}
	after := c.View().Revision()
	var beats sync.WaitGroup
	beats.Go(func() { c.live(t, n) })
	late := c.watch(t, after, n)
	beats.Wait()
	slices.Sort(late)
	if len(late) < n {
		t.Fatalf("%d of %d instances are gone in the end", len(late), n)
	}
	t.Logf("lateness of %d instances: p50 %v, p99 %v, max %v", n, late[n/2], late[n*99/100], late[n-1])
	if late[0] < 0 {
		t.Errorf("an instance is gone %v early", -late[0])
	}
	if late[n-1] > 5*time.Second {
		t.Errorf("an instance is gone %v late", late[n-1])
	}
}

// crowd is a store with the deadlines of its instances.
type crowd struct {
	*memstore.Store
	mu        sync.Mutex // guards deadlines
	deadlines map[store.Service]map[string]time.Time
}

const crowdTTL = 1500 * time.Millisecond

// live registers n instances, one each millisecond, and renews each of them half a second later.
func (c *crowd) live(t *testing.T, n int) {
	const half = 500
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for i := range n + half {
		if i < n {
			service, id := crowded(i)
			c.beat(service, id, func() error {
				_, err := c.Register(t.Context(), service, instance(id, crowdTTL))
				return err
			})
		}
		if i >= half {
			service, id := crowded(i - half)
			c.beat(service, id, func() error { return renew(t, c.Store, service, id) })
		}
		<-tick.C
	}
}

func crowded(i int) (store.Service, string) {
	return store.Service(fmt.Sprintf("_s%d._tcp", i%10)), fmt.Sprintf("i%d", i)
}

// beat notes the least deadline that a call which succeeds gives an instance. A renewal may come too late on a machine
// that is busy.
func (c *crowd) beat(service store.Service, id string, call func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	deadline := time.Now().Add(crowdTTL)
	if call() != nil {
		return
	}
	if c.deadlines[service] == nil {
		c.deadlines[service] = make(map[string]time.Time)
	}
	c.deadlines[service][id] = deadline
}

// watch follows the store until n instances are gone, and returns how late each of them was seen to be.
func (c *crowd) watch(t *testing.T, after store.Revision, n int) []time.Duration {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var late []time.Duration
	for len(late) < n {
		delta, err := c.Changes(ctx, after)
		if err != nil {
			t.Errorf("changes after %d: %v", after, err)
			return late
		}
		after = delta.To
		for _, changed := range delta.Services {
			late = append(late, c.gone(changed.Service)...)
		}
	}
	return late
}

// gone forgets the instances of a service that the view lacks and returns how late they are gone.
func (c *crowd) gone(service store.Service) []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var late []time.Duration
	snapshot, now := c.View().Service(service), time.Now()
	for id, deadline := range c.deadlines[service] {
		if snapshot.Find(id) == nil {
			late = append(late, now.Sub(deadline))
			delete(c.deadlines[service], id)
		}
	}
	return late
}
