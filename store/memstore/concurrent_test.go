package memstore_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// TestConcurrentUse has goroutines do everything at once, with leases that end meanwhile, and checks that the books
// balance: what was created is what lives and what has ended, and the view, the leases and a follower agree.
func TestConcurrentUse(t *testing.T) {
	s := start(t, memstore.Config{MaxInstances: 200, MaxTombstones: 20, Retention: 100 * time.Millisecond})
	began := time.Now()
	var group sync.WaitGroup
	users := make([]user, 6)
	for i := range users {
		u := &users[i]
		*u = user{Store: s, t: t, random: rand.New(rand.NewPCG(1, uint64(i)))}
		group.Go(func() {
			for time.Since(began) < 2500*time.Millisecond {
				u.act(int(time.Since(began) / (25 * time.Millisecond)))
			}
		})
	}
	group.Wait()
	var sum user
	for i := range users {
		sum.created += users[i].created
		sum.ended += users[i].ended
	}
	stats := s.Stats()
	t.Logf("%d created, %d deregistered: %+v", sum.created, sum.ended, stats)
	if sum.created-sum.ended-int(stats.Expiries) != stats.Instances || sum.ended != int(stats.Deregistrations) {
		t.Errorf("%d created, %d deregistered, %+v", sum.created, sum.ended, stats)
	}
	if stats.Expiries == 0 || stats.Instances > 200 || stats.Tombstones > 20 {
		t.Errorf("%+v", stats)
	}
	checkBooks(t, s)
}

// checkBooks compares what the view counts with what it holds.
func checkBooks(t *testing.T, s *memstore.Store) {
	t.Helper()
	view := s.View()
	services, instances := 0, 0
	for snapshot := range view.All() {
		services++
		instances += len(snapshot.Instances)
		for i := 1; i < len(snapshot.Instances); i++ {
			if snapshot.Instances[i-1].Key() >= snapshot.Instances[i].Key() {
				t.Errorf("%s: %q before %q", snapshot.Service, snapshot.Instances[i-1].ID, snapshot.Instances[i].ID)
			}
		}
		if snapshot.Revision > view.Revision() || len(snapshot.Instances) == 0 {
			t.Errorf("%s: %d instances at revision %d of %d", snapshot.Service, len(snapshot.Instances), snapshot.Revision, view.Revision())
		}
	}
	if services != view.Services() || instances != view.Instances() {
		t.Errorf("%d services and %d instances, counted as %d and %d", services, instances, view.Services(), view.Instances())
	}
}

// user is one goroutine that makes random calls.
type user struct {
	*memstore.Store
	t              *testing.T
	random         *rand.Rand
	created, ended int
	replica        store.View
}

// act makes a call about one of the 40 ids from first on. As first rises, those before it are left to expire.
func (u *user) act(first int) {
	service := store.Service(fmt.Sprintf("_s%d._tcp", u.random.IntN(5)))
	id := fmt.Sprintf("i%d", first+u.random.IntN(40))
	switch u.random.IntN(8) {
	case 0, 1:
		u.register(service, id)
	case 2:
		_, err := u.Deregister(u.t.Context(), service, id)
		if err == nil {
			u.ended++
		}
		u.allow(err, store.ErrUnknown)
	case 3:
		_, err := u.SetOverlay(u.t.Context(), service, id, store.Overlay{Weight: new(uint16(u.random.IntN(3)))})
		u.allow(err, store.ErrUnknown)
	case 4:
		u.follow()
	case 5:
		u.leases(service)
	default:
		u.allow(renew(u.t, u.Store, service, id), store.ErrGone, store.ErrDeregistered)
	}
}

func (u *user) allow(err error, allowed ...error) {
	for _, a := range allowed {
		if errors.Is(err, a) {
			return
		}
	}
	if err != nil {
		u.t.Errorf("error %v, want one of %v or none", err, allowed)
	}
}

func (u *user) register(service store.Service, id string) {
	in := instance(id, time.Second+time.Duration(u.random.IntN(500))*time.Millisecond)
	in.Port = uint16(1 + u.random.IntN(3))
	r, err := u.Register(u.t.Context(), service, in)
	u.allow(err, store.ErrFull)
	if r.Created {
		u.created++
	}
	if err == nil && u.View().Revision() < r.Revision {
		u.t.Errorf("registered at revision %d, the view is at %d", r.Revision, u.View().Revision())
	}
}

// follow applies what changed since the last time, and compares the result with the view where that has not moved on.
func (u *user) follow() {
	view := u.View()
	if view.Revision() == u.replica.Revision() {
		return
	}
	delta, err := u.Changes(u.t.Context(), u.replica.Revision())
	switch {
	case err != nil || delta.To < view.Revision():
		u.t.Errorf("changes after %d, the view being at %d: up to %d, error %v", u.replica.Revision(), view.Revision(), delta.To, err)
	case !delta.Complete:
		u.replica = *u.View()
		return
	}
	u.replica = *u.replica.With(delta.To, delta.Services...)
	if view = u.View(); view.Revision() != u.replica.Revision() {
		return
	}
	for snapshot := range view.All() {
		if u.replica.Service(snapshot.Service) != snapshot {
			u.t.Errorf("%s differs at revision %d", snapshot.Service, view.Revision())
		}
	}
	if u.replica.Services() != view.Services() {
		u.t.Errorf("%d services at revision %d, want %d", u.replica.Services(), view.Revision(), view.Services())
	}
}

func (u *user) leases(service store.Service) {
	leases, err := u.Leases(u.t.Context(), service)
	u.allow(err)
	for key, lease := range leases {
		if left := time.Until(lease.ExpiresAt); left > lease.TTL || left < -5*time.Second {
			u.t.Errorf("%q: %v left of %v", key, left, lease.TTL)
		}
	}
}
