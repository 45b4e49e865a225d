package resolverclient_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/resolverclient"
)

func TestCacheIsBounded(t *testing.T) {
	bubble(t, resolverclient.Config{MaxEntries: 2}, func(b *cacheTest) {
		b.script.set(everything)
		for _, name := range []string{"a", "b", "a", "c", "a", "b"} { // c drives b out, b drives c out
			if _, err := b.client.Lookup(b.Context(), name); err != nil {
				t.Error(err)
			}
		}
		if n := b.queries.of(dns.TypeSRV); n != 4 {
			t.Errorf("%d queries, want 4", n)
		}
	})
}

// A balancer whose entry was driven out of the cache goes on, fresh as ever.
func TestCacheEvictionLeavesBalancersAlone(t *testing.T) {
	bubble(t, resolverclient.Config{MaxEntries: 1}, func(b *cacheTest) {
		balancer, err := b.client.Balancer("web", resolverclient.RoundRobin)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			_, _ = b.client.Lookup(b.Context(), fmt.Sprintf("other-%d", i))
			start := time.Now()
			p, err := balancer.Pick(b.Context())
			if err != nil || time.Since(start) != 0 {
				t.Errorf("pick %d: %v, %v after %v", i, p, err, time.Since(start))
			}
			pass(4 * time.Second)
		}
		b.script.set(newZone(t, threeWebs()[2:]...).serve)
		pass(5 * time.Second)
		for range 5 {
			if p, _ := balancer.Pick(b.Context()); p.Endpoint.Weight != 7 {
				t.Errorf("picked %v, which is gone", p.Endpoint)
			}
		}
	})
}

func TestClose(t *testing.T) {
	bubble(t, resolverclient.Config{}, func(b *cacheTest) {
		balancer, err := b.client.Balancer("web", resolverclient.Random)
		if err != nil {
			t.Fatal(err)
		}
		b.lookup()
		b.script.set(silent)
		waiting := make(chan error)
		go func() {
			_, err := b.client.Lookup(b.Context(), "other")
			waiting <- err
		}()
		synctest.Wait()
		b.client.Close()
		_, _, lookup := b.lookup()
		_, pick := balancer.Pick(b.Context())
		_, another := b.client.Balancer("web", resolverclient.Random)
		for _, err := range []error{<-waiting, lookup, pick, another} {
			if !errors.Is(err, resolverclient.ErrClosed) {
				t.Errorf("got %v, want ErrClosed", err)
			}
		}
		b.client.Close()
	})
}
