package redisstore_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/internal/redistest"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/redisstore"
)

// pair is two servers on one Redis.
type pair struct {
	testing.TB
	server *redistest.Server
	a, b   *redisstore.Store
	redisstore.Keys
}

func newPair(t testing.TB) *pair {
	server := redistest.Start(t)
	return &pair{t, server, synced(t, config(t, server.URL())), synced(t, config(t, server.URL())), redisstore.NewKeys("dnsreg", zone)}
}

// gone waits until an instance of web is in no view, and fails if that is seen before the given time.
func (p *pair) gone(id string, notBefore time.Time) {
	p.Helper()
	eventually(p, time.Until(notBefore)+soon, id+" is gone", func() bool { return p.a.View().Service(web).Find(id) == nil })
	if early := time.Until(notBefore); early > 0 {
		p.Fatalf("%s is gone %v early", id, early)
	}
	converged(p, p.a, p.b)
}

func (p *pair) left(id string) time.Duration {
	n, _ := p.server.Do("PTTL", p.Lease(web, id)).(int64)
	return time.Duration(n) * time.Millisecond
}

// TestRaceShorterTTL: the reaper has looked at a lease of an hour, and a registration makes it one of a second.
func TestRaceShorterTTL(t *testing.T) {
	p := newPair(t)
	register(t, p.a, web, instance("x", ttl(time.Hour)))
	eventually(t, soon, "the reaper has looked", func() bool { return p.a.Stats().Due+p.b.Stats().Due > 0 })
	end := time.Now().Add(time.Second)
	register(t, p.b, web, instance("x", ttl(time.Second)))
	p.gone("x", end)
}

// TestRacePutBeforeRemove: a lease has ended, and is registered anew between the reaper's look and the removal.
func TestRacePutBeforeRemove(t *testing.T) {
	l := newLab(t)
	l.unhold()
	in := instance("x", ttl(time.Minute))
	l.register(in)
	l.kill("x")
	l.expect(fmt.Sprint(l.server.Do("PTTL", l.Lease(web, "x"))), "-2")
	l.register(in)
	rev := l.rev()
	if got := l.remove("x"); got == "[OK -1]" {
		t.Fatal("removed although it lives")
	}
	if l.rev() != rev || fmt.Sprint(l.server.Do("HEXISTS", l.Rec(web), "x")) != "1" {
		t.Fatal("the removal has changed something")
	}
}

// TestRaceTwoReapers: both servers reap, since the one that does not hold the key is told that it does.
func TestRaceTwoReapers(t *testing.T) {
	p := newPair(t)
	var wait sync.WaitGroup
	stop := make(chan struct{})
	wait.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				p.server.Do("HDEL", p.Meta(), "reaper")
			}
		}
	})
	defer func() { close(stop); wait.Wait() }()
	live := ids("live", 20)
	defer during(t, p.a, live...)()
	for _, id := range ids("dead", 100) {
		register(t, p.b, web, instance(id, ttl(time.Second)))
	}
	watch(t, nil, p.a, p.b)
	eventually(t, 2*soon, "both reap", func() bool { return p.a.Stats().Reaps > 0 && p.b.Stats().Reaps > 0 })
	eventually(t, 2*soon, "the dead are gone", func() bool { return p.a.View().Instances() == len(live) && p.b.View().Instances() == len(live) })
	for _, id := range live {
		if p.a.View().Service(web).Find(id) == nil {
			t.Errorf("%s is gone", id)
		}
	}
}

// TestRaceStaleTTL: a server whose view has an old ttl renews by it; the lease has the new one all the same.
func TestRaceStaleTTL(t *testing.T) {
	p := newPair(t)
	old := instance("x", ttl(time.Hour))
	register(t, p.a, web, old)
	eventually(t, soon, "both show it", func() bool { return p.b.View().Service(web).Find("x") != nil })
	now := instance("x", ttl(time.Minute))
	p.server.Do("SET", p.Lease(web, "x"), redisstore.LeaseText(now.TTL, now.ETag()), "PX", now.TTL.Milliseconds())
	results := renewAll(t, p.b, store.Renewal{Service: web, ID: "x"}, store.Renewal{Service: web, ID: "x", ETag: old.ETag()})
	if results[0].Err != nil || results[0].Lease.TTL != time.Minute || !errors.Is(results[1].Err, store.ErrConflict) {
		t.Fatalf("%+v", results)
	}
	if left := p.left("x"); left > time.Minute || left < time.Minute-soon {
		t.Fatalf("%v left", left)
	}
}

// TestRaceDeleteDuringHold: a held instance is deregistered.
func TestRaceDeleteDuringHold(t *testing.T) {
	p := newPair(t)
	register(t, p.a, web, instance("x", ttl(10*time.Second)))
	eventually(t, soon, "the other shows it", func() bool { return shows(p.b, "x") })
	p.server.Do("HSET", p.Meta(), "hold_since", time.Now().UnixMilli())
	p.server.Do("DEL", p.Lease(web, "x"))
	if results := renewAll(t, p.b, store.Renewal{Service: web, ID: "x"}); !errors.Is(results[0].Err, store.ErrGone) {
		t.Fatalf("renew what is held: %+v", results)
	}
	if p.b.View().Service(web).Find("x") == nil {
		t.Fatal("not held")
	}
	deregister(t, p.b, "x")
	p.gone("x", time.Now())
	if results := renewAll(t, p.a, store.Renewal{Service: web, ID: "x"}); !errors.Is(results[0].Err, store.ErrDeregistered) {
		t.Fatalf("renew what was deregistered: %+v", results)
	}
}

// TestRacePatchThenPut: an overlay and a registration, through two servers and in either order, leave both.
func TestRacePatchThenPut(t *testing.T) {
	p := newPair(t)
	register(t, p.a, web, instance("x", ttl(time.Minute)))
	for i := range 50 {
		drain := store.Overlay{State: new(store.Draining), Weight: new(uint16(i))}
		var wait sync.WaitGroup
		var drained store.Revision
		var registered store.Registration
		var errs [2]error
		wait.Go(func() {
			drained, errs[0] = insist(t, func() (store.Revision, error) { return p.a.SetOverlay(t.Context(), web, "x", drain) })
		})
		wait.Go(func() {
			in := instance("x", ttl(time.Minute), port(uint16(1000+i)))
			registered, errs[1] = insist(t, func() (store.Registration, error) { return p.b.Register(t.Context(), web, in) })
		})
		wait.Wait()
		if err := errors.Join(errs[:]...); err != nil {
			t.Fatal(err)
		}
		reached(t, p.a, max(drained, registered.Revision))
		converged(t, p.a, p.b)
		if l := p.a.View().Service(web).Find("x"); l.Port != uint16(1000+i) || l.State() != store.Draining || l.EffectiveWeight() != uint16(i) {
			t.Fatalf("round %d: %+v", i, l)
		}
	}
}

// TestRaceLostPut: a registration that Redis has lost in a failover is found by the next heartbeat with an ETag.
func TestRaceLostPut(t *testing.T) {
	server := redistest.Start(t)
	s := synced(t, config(t, server.URL()))
	register(t, s, web, instance("x", ttl(time.Minute)))
	rdb := server.Save()
	r := register(t, s, web, instance("x", ttl(time.Minute), port(99)))
	server.Kill()
	server.RestartFrom(rdb)
	beat := []store.Renewal{{Service: web, ID: "x", ETag: r.Instance.ETag()}}
	eventually(t, soon, "the heartbeat finds the older content", func() bool {
		results, err := s.RenewAll(t.Context(), beat)
		return err == nil && errors.Is(results[0].Err, store.ErrConflict)
	})
	register(t, s, web, instance("x", ttl(time.Minute), port(99)))
	if l := s.View().Service(web).Find("x"); l.Port != 99 {
		t.Fatalf("%+v", l)
	}
}

// TestRaceLoadBesideChanges: a server loads the zone while another changes it all the time, again and again.
func TestRaceLoadBesideChanges(t *testing.T) {
	p := newPair(t)
	stop := churn(t, p.a, 1)
	watch(t, nil, p.a, p.b)
	for range 10 {
		c := synced(t, config(t, p.server.URL()))
		watch(t, nil, p.a, c)
	}
	stop()
	converged(t, p.a, p.b)
}

// churn makes random changes through a store until the function that it returns is called.
func churn(t testing.TB, s *redisstore.Store, seed uint64) (stop func()) {
	end := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		random := rand.New(rand.NewPCG(seed, seed))
		for {
			select {
			case <-end:
				return
			default:
				change(t, s, random)
			}
		}
	})
	return sync.OnceFunc(func() {
		close(end)
		wait.Wait()
	})
}

// change makes one random change.
func change(t testing.TB, s *redisstore.Store, random *rand.Rand) {
	service := store.Service(fmt.Sprintf("_s%d._tcp", random.IntN(20)))
	id := fmt.Sprintf("i%d", random.IntN(10))
	var err error
	switch random.IntN(4) {
	case 0, 1:
		_, err = s.Register(t.Context(), service, instance(id, ttl(time.Hour), port(uint16(1+random.IntN(3)))))
	case 2:
		_, err = s.Deregister(t.Context(), service, id)
	default:
		_, err = s.SetOverlay(t.Context(), service, id, store.Overlay{Weight: new(uint16(random.IntN(3)))})
	}
	if err != nil && !errors.Is(err, store.ErrUnknown) && !errors.Is(err, store.ErrUnavailable) && t.Context().Err() == nil {
		t.Error(err)
	}
}

// TestRaceEitherOrder: two servers change, both see each other's changes, and never show two contents at one revision;
// each of a thousand renewals rings no bell and changes no revision.
func TestRaceEitherOrder(t *testing.T) {
	p := newPair(t)
	watch(t, nil, p.a, p.b)
	stopA, stopB := churn(t, p.a, 1), churn(t, p.b, 2)
	rest := p.a.View().Revision() + 1000
	eventually(t, 12*soon, "1,000 changes", func() bool { return p.a.View().Revision() > rest })
	stopA()
	stopB()
	converged(t, p.a, p.b)
	register(t, p.a, web, instance("x", ttl(time.Hour)))
	converged(t, p.a, p.b)
	revision, bells := p.b.View().Revision(), p.silent()
	for range 10 {
		if results := renewAll(t, p.b, repeat(store.Renewal{Service: web, ID: "x"}, 100)...); results[99].Err != nil {
			t.Fatalf("renew: %v", results[99].Err)
		}
	}
	p.twoPolls()
	if now := p.b.Stats(); p.b.View().Revision() != revision || now.Bells != bells {
		t.Fatalf("revision %d became %d, %d bells became %d", revision, p.b.View().Revision(), bells, now.Bells)
	}
}

// silent waits until b has heard all bells there were, and returns their number: a view may be quicker than they are.
func (p *pair) silent() uint64 {
	p.Helper()
	for {
		bells := p.b.Stats().Bells
		p.twoPolls()
		if p.b.Stats().Bells == bells {
			return bells
		}
	}
}

// twoPolls waits until b has polled twice.
func (p *pair) twoPolls() {
	p.Helper()
	polls := p.b.Stats().Polls
	eventually(p, 2*soon, "two polls", func() bool { return p.b.Stats().Polls >= polls+2 })
}

func repeat[T any](x T, n int) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = x
	}
	return all
}
