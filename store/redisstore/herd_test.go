package redisstore_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/redisstore"
)

// herd registers n instances at once, in turn through each of the stores, and tries again what was refused for want of
// time, as agents do. It returns how many such refusals there were.
func herd(t *testing.T, n int, service func(i int) store.Service, stores ...*redisstore.Store) int64 {
	var wait sync.WaitGroup
	var refused atomic.Int64
	for i := range n {
		wait.Go(func() {
			in := instance(fmt.Sprintf("i%d", i), ttl(time.Hour), func(in *store.Instance) {
				in.Addresses = []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})}
			})
			for t.Context().Err() == nil {
				_, err := stores[i%len(stores)].Register(t.Context(), service(i), in)
				if err == nil {
					return
				}
				if !errors.Is(err, store.ErrUnavailable) {
					t.Error(err)
					return
				}
				refused.Add(1)
				pause := time.NewTimer(rand.N(time.Second))
				<-pause.C
			}
		})
	}
	wait.Wait()
	return refused.Load()
}

func TestHerd(t *testing.T) {
	for _, c := range []struct {
		name      string
		instances int
		services  int
	}{
		{"10,000 in 1,000 services", 10_000, 1000},
		{"600 in one service", 600, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPair(t)
			begin := time.Now()
			refused := herd(t, c.instances, func(i int) store.Service {
				return store.Service(fmt.Sprintf("_s%d._tcp", i%c.services))
			}, p.a, p.b)
			t.Logf("%d instances in %v, %d refusals", c.instances, time.Since(begin), refused)
			converged(t, p.a, p.b)
			if n := p.b.View().Instances(); n != c.instances {
				t.Errorf("%d instances", n)
			}
		})
	}
}

// TestServiceIsFull: two servers fill one service at once; whatever comes in, DNS can carry it.
func TestServiceIsFull(t *testing.T) {
	p := newPair(t)
	var wait sync.WaitGroup
	var full atomic.Int64
	for i := range 80 {
		wait.Go(func() {
			in := instance(fmt.Sprintf("i%d", i), ttl(time.Hour))
			for k := range 5 {
				in.TXT = append(in.TXT, fmt.Sprintf("%d=%0253d", k, i))
			}
			for t.Context().Err() == nil {
				_, err := []*redisstore.Store{p.a, p.b}[i%2].Register(t.Context(), web, in)
				if errors.Is(err, store.ErrFull) {
					full.Add(1)
				}
				if !errors.Is(err, store.ErrUnavailable) {
					return
				}
			}
		})
	}
	wait.Wait()
	converged(t, p.a, p.b)
	snapshot := p.a.View().Service(web)
	if err := store.CheckSize(zone, snapshot, nil); err != nil {
		t.Errorf("with %d refusals: %v", full.Load(), err)
	}
	if full.Load() == 0 || len(snapshot.Instances) < 45 {
		t.Errorf("%d instances, %d refusals", len(snapshot.Instances), full.Load())
	}
}
