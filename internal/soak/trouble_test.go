package soak_test

import (
	"context"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/internal/redistest"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/redisstore"
)

// bellLost waits until a server knows that its bell is lost, and returns how long that took.
func bellLost(t testing.TB, s *server, within time.Duration) time.Duration {
	t.Helper()
	return eventually(t, within, s.name+" notices that its bell is lost", func() bool { return s.redis.Stats().Bell == "down" })
}

// Row 2: Redis hangs for longer than a lease, and nobody is removed when it goes on.
func TestStoppedRedis(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	w := populate(t, fleetSize(), serve(t, "a", r.URL()), serve(t, "b", r.URL()))
	dead := w.members[0]
	w.check.fault()
	r.Stop()
	stopped := time.Now()
	dead.silence()
	noticed := bellLost(t, w.servers[0], 10*time.Second)
	pass(t, either(lease()+time.Second, time.Minute)-time.Since(stopped))
	r.Cont()
	resumed := time.Now()
	w.check.heal()
	synced := max(w.servers[0].awaitSync(t, bound), w.servers[1].awaitSync(t, bound))
	back := w.awaitRenewed(resumed, lease()+bound)
	t.Logf("stopped for %v: noticed after %v; synced %v and every heartbeat accepted %v after it went on",
		resumed.Sub(stopped), noticed, synced, back)
	w.finish()
}

// Row 3: Redis is slow, and neither answers nor callers wait for it.
func TestSlowRedis(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	p := redistest.NewProxy(t, r.Addr())
	w := populate(t, fleetSize(), serve(t, "a", p.URL()), serve(t, "b", p.URL()))
	slowest, late := 1100*time.Millisecond, newLateness(t)
	for _, delay := range []time.Duration{0, 200 * time.Millisecond, time.Second} {
		w.check.fault()
		p.Delay(redistest.ToClient, delay)
		w.calls.take()
		w.askers[0].took.take()
		_, excuse := late.of(t, func() { pass(t, either(lease()+time.Second, 2*lease())) })
		calls, answers := w.calls.take(), w.askers[0].took.take()
		t.Logf("Redis slower by %v: DNS %v; heartbeat calls %v; the machine late by %v", delay, answers, calls, excuse)
		if !within(t, scheduling, calls.at(100)-excuse-slowest, "the slowest heartbeat call, beyond its limit") {
			t.Errorf("a heartbeat call took %v, want at most %v, and %v for a late machine", calls.at(100), slowest, excuse)
		}
		if !within(t, 100*time.Millisecond, answers.at(99), "99 % of answers") {
			t.Errorf("99 %% of answers within %v: they wait for Redis", answers.at(99))
		}
		// Half of all is what no load excuses: whoever waits for Redis has every answer and call late.
		if calls.at(50) > slowest+100*time.Millisecond || answers.at(50) > 50*time.Millisecond {
			t.Errorf("half the heartbeat calls within %v, half the answers within %v: they wait for Redis", calls.at(50), answers.at(50))
		}
	}
	heal(t, p)
	w.check.heal()
	healed := time.Now()
	t.Logf("every heartbeat accepted %v after the delay ended", w.awaitRenewed(healed, lease()+bound))
	w.members[0].silence()
	w.finish()
}

// scheduling is what a busy machine with the race detector may add to a call.
const scheduling = time.Second

func heal(t testing.TB, p *redistest.Proxy) {
	t.Helper()
	if err := p.Heal(); err != nil {
		t.Fatal(err)
	}
}

// Row 4: one server is cut off from Redis. It answers what it knew for as long as it may, then SERVFAIL, and catches up
// when the network is back.
func TestPartition(t *testing.T) {
	t.Parallel()
	maxStale := either(6*time.Second, time.Minute)
	r := redistest.Start(t)
	p := redistest.NewProxy(t, r.Addr())
	cut := serve(t, "cut", p.URL(), func(c *redisstore.Config) { c.MaxStale, c.StaleAfter = maxStale, 2*time.Second })
	b := serve(t, "b", r.URL())
	w := &world{fleet: newFleet(t, fleetSize(), lease(), b), servers: []*server{cut, b}}
	w.check = watch(t, w.fleet, cut, b)
	w.start()
	w.check.await(bound)
	w.ask()

	w.check.fault()
	p.Drop(redistest.Both)
	begin := time.Now()
	w.askers[0].allowLost(begin.Add(maxStale - time.Second))
	noticed := bellLost(t, cut, 10*time.Second)
	w.members[0].silence() // unseen by the server that is cut off
	eventually(t, bound, "answers are marked stale", func() bool { _, stale := w.askers[0].tally(dns.RcodeSuccess); return stale > 0 })
	stale := time.Since(begin)
	if _, err := cut.Deregister(t.Context(), "_s0._tcp", "i1"); err == nil {
		t.Error("a server that is cut off deregisters")
	}
	eventually(t, maxStale+4*time.Second-time.Since(begin), "SERVFAIL", func() bool { return !w.askers[0].failedAt().IsZero() })
	lost := w.askers[0].failedAt().Sub(begin)
	if lost < maxStale-time.Second && !w.check.starved(w.members[1]) {
		t.Errorf("SERVFAIL %v after the cut, before %v", lost, maxStale)
	}

	heal(t, p)
	w.check.heal()
	synced := cut.awaitSync(t, bound)
	t.Logf("cut off: noticed after %v, answers marked stale after %v, SERVFAIL after %v (bound %v); synced %v after the network was back",
		noticed, stale, lost, maxStale, synced)
	w.finish()
}

// Calls of a store that cannot reach Redis end within 1.1 s, whether it is refused, hung or swallowed.
func TestCallsAreBounded(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fault func(*redistest.Server, *redistest.Proxy)
	}{
		{"refused", func(_ *redistest.Server, p *redistest.Proxy) { p.Refuse(); p.Reset() }},
		{"reset", func(_ *redistest.Server, p *redistest.Proxy) { p.Cut(redistest.ToClient, 3); p.Reset(); p.Refuse() }},
		{"swallowed", func(_ *redistest.Server, p *redistest.Proxy) { p.Drop(redistest.Both) }},
		{"hung", func(r *redistest.Server, _ *redistest.Proxy) { r.Stop() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := redistest.Start(t)
			p := redistest.NewProxy(t, r.Addr())
			s := serve(t, "a", p.URL())
			m := newMember(1, time.Minute, s)
			s.insist(t, m)
			tt.fault(r, p)
			late := newLateness(t)
			for end := time.Now().Add(either(4*time.Second, time.Minute)); time.Now().Before(end); {
				boundedCalls(t, s, m, late)
			}
			if s.View().Instances() != 1 {
				t.Error("the view is lost with Redis")
			}
		})
	}
}

// boundedCalls makes one call of each kind, which all fail, none after more than 1.1 s of a machine that is not late.
func boundedCalls(t testing.TB, s *server, m *member, late *lateness) {
	t.Helper()
	other := m.in
	other.Port++
	for what, call := range map[string]func(context.Context) error{
		"register": func(ctx context.Context) error { _, err := s.Register(ctx, m.service, other); return err },
		"renew": func(ctx context.Context) error {
			_, err := s.RenewAll(ctx, []store.Renewal{{Service: m.service, ID: m.in.ID}})
			return err
		},
		"deregister": func(ctx context.Context) error { _, err := s.Deregister(ctx, m.service, m.in.ID); return err },
	} {
		var err error
		took, excuse := late.of(t, func() { err = call(t.Context()) })
		if err == nil || !within(t, scheduling/2, took-excuse-1100*time.Millisecond, what+", beyond its limit") {
			t.Errorf("%s: %v after %v, want an error within 1.1 s, and %v for a late machine", what, err, took, excuse)
		}
	}
}
