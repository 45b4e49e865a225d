package storebench_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

const (
	zone       = "svc.internal."
	perService = 10
	callers    = 200       // at once, where each call is of one instance
	batch      = 1000      // renewals of a call of many
	term       = time.Hour // of leases that are not to end
)

// registry is what is measured of a store.
type registry interface {
	Run(context.Context) error
	Register(context.Context, store.Service, store.Instance) (store.Registration, error)
	RenewAll(context.Context, []store.Renewal) ([]store.Renewed, error)
	View() *store.View
	Changes(context.Context, store.Revision) (store.Delta, error)
}

func serviceOf(i int) store.Service {
	return store.Service(fmt.Sprintf("_service-%d._tcp", i/perService))
}

func idOf(i int) string { return fmt.Sprintf("instance-%d", i) }

// instanceOf returns an instance whose record has 200 octets, or a few more or less.
func instanceOf(i int, ttl time.Duration) store.Instance {
	return store.Instance{
		ID: idOf(i), Host: idOf(i), Port: 8080, Weight: 1, TTL: ttl, TXT: []string{"version=1.2.3", "zone=a1"},
		Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})},
	}
}

// renewalsOf returns names of a fleet of n, none beside the one before it.
func renewalsOf(from, count, n int) []store.Renewal {
	all := make([]store.Renewal, count)
	for i := range all {
		k := (from + i) * 7919 % n
		all[i] = store.Renewal{Service: serviceOf(k), ID: idOf(k)}
	}
	return all
}

// registerAll registers a fleet of n by many callers at once, each of which tries again what was refused for want of
// time, and returns how long that took.
func registerAll(t testing.TB, s registry, n int) time.Duration {
	begin, next := time.Now(), atomic.Int64{}
	var wait sync.WaitGroup
	for range callers {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && !t.Failed(); i = int(next.Add(1)) - 1 {
				for registerOne(t, s, i) {
				}
			}
		})
	}
	wait.Wait()
	return time.Since(begin)
}

// registerOne reports whether to try again.
func registerOne(t testing.TB, s registry, i int) bool {
	_, err := s.Register(t.Context(), serviceOf(i), instanceOf(i, term))
	if err != nil && !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("register %d: %v", i, err)
	}
	return errors.Is(err, store.ErrUnavailable) && !t.Failed()
}

// renewing is a way to renew: so many callers, each with so many in a call.
type renewing struct{ callers, batch int }

// renew renews leases of a fleet of n for a time and returns how many.
func (r renewing) renew(t testing.TB, s registry, n int, d time.Duration) int {
	var renewed, next atomic.Int64
	var wait sync.WaitGroup
	end := time.Now().Add(d)
	for range r.callers {
		wait.Go(func() {
			for time.Now().Before(end) && !t.Failed() {
				from := int(next.Add(int64(r.batch))) - r.batch
				renewed.Add(int64(renewSome(t, s, renewalsOf(from, r.batch, n))))
			}
		})
	}
	wait.Wait()
	return int(renewed.Load())
}

func renewSome(t testing.TB, s registry, some []store.Renewal) int {
	results, err := s.RenewAll(t.Context(), some)
	if err != nil {
		if !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, context.Canceled) {
			t.Errorf("renew: %v", err)
		}
		return 0 // a machine that is busy enough has no answer in time
	}
	for i, r := range results {
		if r.Err != nil {
			t.Errorf("renew %v: %v", some[i], r.Err)
		}
	}
	return len(results)
}

// keepRenewing renews at a rate until the function that it returns is called, which returns how many.
func keepRenewing(t testing.TB, s registry, n, rate int) (stop func() int) {
	const every = 10 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	renewed := 0
	var wait sync.WaitGroup
	wait.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for size := int(time.Duration(rate) * every / time.Second); ctx.Err() == nil; {
			renewed += renewSome(t, s, renewalsOf(renewed, size, n))
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	return func() int {
		cancel()
		wait.Wait()
		return renewed
	}
}
