package redisstore_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/internal/redistest"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/storetest"
)

func contract(t *testing.T, url string) {
	var prefixes atomic.Int64
	storetest.Run(t, func(t *testing.T, rules store.Rules) storetest.Store {
		c := config(t, url)
		c.Rules, c.Prefix = rules, fmt.Sprintf("test:%d", prefixes.Add(1))
		return synced(t, c)
	})
}

func TestContractOnSentinel(t *testing.T) {
	contract(t, redistest.StartSentinel(t, redistest.WithDownAfter(time.Minute)).URL())
}

func TestContractOnCluster(t *testing.T) { contract(t, redistest.StartCluster(t).URL()) }

// TestSentinelFailover kills a master whose replica lags: what was lost comes back, and two servers agree all the time.
func TestSentinelFailover(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*redistest.Server)
	}{
		{"killed", (*redistest.Server).Kill},
		{"hung", (*redistest.Server).Stop},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sentinel := redistest.StartSentinel(t)
			a, b := synced(t, config(t, sentinel.URL())), synced(t, config(t, sentinel.URL()))
			early, late := ids("early", 10), ids("late", 10)
			for _, id := range early {
				register(t, a, web, instance(id, ttl(10*time.Second)))
			}
			register(t, a, web, instance("leaver", ttl(10*time.Second)))
			sentinel.Lag()
			for _, id := range late {
				register(t, b, web, instance(id, ttl(10*time.Second)))
			}
			converged(t, a, b)
			watch(t, append(early, late...), a, b)
			old := sentinel.Master()
			begin := time.Now()
			c.end(old)
			sentinel.WaitFailover(old)
			t.Logf("failed over after %v", time.Since(begin))
			eventually(t, 2*soon, "writes are back", func() bool {
				_, err := a.Deregister(t.Context(), web, "leaver")
				return err == nil || errors.Is(err, store.ErrUnknown)
			})
			t.Logf("writes back after %v", time.Since(begin))
			eventually(t, soon, "the bell is back", func() bool { return a.Stats().Bell == "up" && b.Stats().Bell == "up" })
			t.Logf("bell back after %v", time.Since(begin))
			eventually(t, soon, "the other server does not show it", func() bool { return b.View().Service(web).Find("leaver") == nil })
			converged(t, a, b)
			if n := a.View().Instances(); n != 20 {
				t.Errorf("%d instances", n)
			}
			bells := b.Stats().Bells
			register(t, a, web, instance("new"))
			eventually(t, soon, "the bell rings", func() bool { return b.Stats().Bells > bells })
		})
	}
}
