package redisstore_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/internal/redistest"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/redisstore"
)

// longest is how long a call may take for Redis' sake, with room for a machine that is busy.
const longest = 1100*time.Millisecond + 500*time.Millisecond + 400*time.Millisecond

// calls are all calls that ask Redis or change it.
func calls(s *redisstore.Store, t *testing.T) map[string]func() error {
	ctx := t.Context()
	return map[string]func() error{
		"register":    func() error { _, err := s.Register(ctx, web, instance("new")); return err },
		"renew":       func() error { _, err := s.RenewAll(ctx, []store.Renewal{{Service: web, ID: "x"}}); return err },
		"deregister":  func() error { _, err := s.Deregister(ctx, web, "y"); return err },
		"set overlay": func() error { _, err := s.SetOverlay(ctx, web, "x", store.Overlay{Weight: new(uint16(3))}); return err },
		"leases":      func() error { _, err := s.Leases(ctx, web); return err },
	}
}

// TestOutOfReach: Redis is suspended, cut off without a word, or gone. Every call ends in time with ErrUnavailable, the view
// stays and is called stale and then lost; when Redis is back, nothing that came back in time was removed.
func TestOutOfReach(t *testing.T) {
	for _, c := range []struct {
		name      string
		cut, heal func(*testing.T, *redistest.Server, *redistest.Proxy)
	}{
		{
			"suspended",
			func(_ *testing.T, server *redistest.Server, _ *redistest.Proxy) { server.Stop() },
			func(_ *testing.T, server *redistest.Server, _ *redistest.Proxy) { server.Cont() },
		},
		{
			"cut off without a word",
			func(_ *testing.T, _ *redistest.Server, proxy *redistest.Proxy) { proxy.Drop(redistest.Both) },
			func(t *testing.T, _ *redistest.Server, proxy *redistest.Proxy) { healed(t, proxy) },
		},
		{
			"gone",
			func(_ *testing.T, _ *redistest.Server, proxy *redistest.Proxy) { proxy.Refuse(); proxy.Reset() },
			func(t *testing.T, _ *redistest.Server, proxy *redistest.Proxy) { healed(t, proxy) },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			proxy := redistest.NewProxy(t, server.Addr())
			settings := config(t, proxy.URL())
			settings.StaleAfter, settings.MaxStale = 2*time.Second, 6*time.Second
			s := synced(t, settings)
			register(t, s, web, instance("x", ttl(3*time.Second)))
			register(t, s, web, instance("y", ttl(time.Minute)))
			watch(t, []string{"x", "y"}, s)
			c.cut(t, server, proxy)
			begin := time.Now()
			var wait sync.WaitGroup // all at once, so that the view is not lost before it is seen to be stale
			for what, do := range calls(s, t) {
				wait.Go(func() { refused(t, what, do) })
			}
			wait.Wait()
			eventually(t, 2*soon, "the view is stale", func() bool { return s.Freshness() == store.Stale })
			eventually(t, 2*soon, "the bell is found dead", func() bool { return s.Stats().Bell == "down" })
			t.Logf("the bell was found dead after %v", time.Since(begin))
			eventually(t, 2*soon, "the view is lost", func() bool { return s.Freshness() == store.Lost })
			c.heal(t, server, proxy)
			begin = time.Now()
			eventually(t, 2*soon, "it is synced again", func() bool { return s.Freshness() == store.Synced })
			t.Logf("synced again after %v", time.Since(begin))
			register(t, s, web, instance("x", ttl(3*time.Second)))
			register(t, s, web, instance("y", ttl(time.Minute)))
			eventually(t, 2*soon, "the bell is back", func() bool { return s.Stats().Bell == "up" })
		})
	}
}

// refused checks that a call ends in time with ErrUnavailable: one time of three, should the machine stand still meanwhile.
func refused(t *testing.T, what string, do func() error) {
	const tries = 3
	best := time.Hour
	for try := 0; try < tries && best > longest; try++ {
		start := time.Now()
		if err := do(); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: error %v", what, err)
		}
		best = min(best, time.Since(start))
	}
	if best > longest {
		t.Errorf("%s took %v", what, best)
	}
}

func healed(t *testing.T, proxy *redistest.Proxy) {
	if err := proxy.Heal(); err != nil {
		t.Fatal(err)
	}
}

// TestStartWithoutRedis: a store whose Redis is not there yet runs, says so, and follows once it is.
func TestStartWithoutRedis(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	s, _ := launch(t, config(t, server.URL()))
	eventually(t, soon, "a look that fails", func() bool { return s.Stats().Troubles > 0 })
	if s.Freshness() != store.Lost || s.View().Instances() != 0 {
		t.Fatalf("%v with %d instances", s.Freshness(), s.View().Instances())
	}
	for what, do := range calls(s, t) {
		if err := do(); what != "leases" && !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: error %v", what, err)
		}
	}
	server.Restart()
	awaitSync(t, s)
	register(t, s, web, instance("x"))
}

// TestOutOfMemory: what lives stays and is renewed, what ends is removed, and what is new is refused.
func TestOutOfMemory(t *testing.T) {
	server := redistest.Start(t)
	s := synced(t, config(t, server.URL()))
	register(t, s, web, instance("x", ttl(time.Minute)))
	register(t, s, web, instance("dead"))
	server.Set("maxmemory", "1")
	_, err := insist(t, func() (store.Registration, error) { return s.Register(t.Context(), web, instance("new")) })
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("register: error %v", err)
	}
	if results := renewAll(t, s, store.Renewal{Service: web, ID: "x"}); results[0].Err != nil {
		t.Errorf("renew: %+v", results)
	}
	eventually(t, short+soon, "the dead one is gone", func() bool { return s.View().Service(web).Find("dead") == nil })
	deregister(t, s, "x")
	server.Set("maxmemory", "0")
	register(t, s, web, instance("new"))
}

// TestScriptsFlushed: Redis has forgotten its scripts.
func TestScriptsFlushed(t *testing.T) {
	p := newPair(t)
	register(t, p.a, web, instance("x", ttl(time.Minute)))
	p.server.Do("SCRIPT", "FLUSH")
	register(t, p.a, web, instance("y", ttl(time.Minute)))
	p.server.Do("SCRIPT", "FLUSH")
	deregister(t, p.b, "x")
	converged(t, p.a, p.b)
}

// TestClockSteps: Redis' clock jumps an hour ahead and back. What beats is never missing; what is dead ends soon.
func TestClockSteps(t *testing.T) {
	server := redistest.Start(t, redistest.WithClock())
	s := synced(t, config(t, server.URL()))
	live := ids("live", 20)
	defer during(t, s, live...)()
	eventually(t, soon, "all are there", func() bool { return s.View().Instances() == 20 })
	watch(t, live, s)
	for _, offset := range []time.Duration{time.Hour, 0} {
		server.SetClock(offset)
		begin := time.Now()
		eventually(t, 2*soon, "it goes on", func() bool {
			_, err := s.Register(t.Context(), web, instance("dying"))
			return err == nil
		})
		eventually(t, 4*soon, "what is dead is gone", func() bool { return s.View().Service(web).Find("dying") == nil })
		t.Logf("clock at %v: gone after %v, %d clamps", offset, time.Since(begin), s.Stats().Clamps)
	}
}

// TestBrokenRecords: what cannot be read is left out, and counted; the rest is shown.
func TestBrokenRecords(t *testing.T) {
	p := newPair(t)
	register(t, p.a, web, instance("x", ttl(time.Minute)))
	p.server.Do("HSET", p.Rec(web), "y", "{}", "z", instance("other").Canonical())
	p.server.Do("HSET", p.Rec("not a service"), "a", instance("a").Canonical())
	rev := p.server.Do("HINCRBY", p.Meta(), "rev", 2)
	p.server.Do("ZADD", p.ChangeLog(), rev, string(web), rev, "not a service")
	eventually(t, soon, "they are counted", func() bool { return p.a.Stats().Broken >= 3 && p.b.Stats().Broken >= 3 })
	converged(t, p.a, p.b)
	if n := p.a.View().Instances(); n != 1 {
		t.Errorf("%d instances", n)
	}
}

// TestEmptiedServicesAreTrimmed: the log forgets services without records after the retention.
func TestEmptiedServicesAreTrimmed(t *testing.T) {
	server := redistest.Start(t)
	settings := config(t, server.URL())
	settings.Retention = time.Second
	s := synced(t, settings)
	keys := redisstore.NewKeys("dnsreg", zone)
	register(t, s, web, instance("x"))
	deregister(t, s, "x")
	eventually(t, 2*soon, "it is forgotten", func() bool { return server.Do("ZCARD", keys.ChangeLog()) == int64(0) })
}

// TestCompareFindsWhatWasMissed: the log says otherwise than the view, which no change has told.
func TestCompareFindsWhatWasMissed(t *testing.T) {
	server := redistest.Start(t)
	settings := config(t, server.URL())
	settings.CompareEvery = 500 * time.Millisecond
	s := synced(t, settings)
	keys := redisstore.NewKeys("dnsreg", zone)
	r := register(t, s, web, instance("x", ttl(time.Minute)))
	register(t, s, "_api._tcp", instance("x", ttl(time.Minute)))
	server.Do("HSET", keys.Rec(web), "x", instance("x", ttl(time.Minute), port(99)).Canonical())
	server.Do("ZADD", keys.ChangeLog(), uint64(r.Revision-1), string(web))
	eventually(t, soon, "the view has it", func() bool { return s.View().Service(web).Find("x").Port == 99 })
}
