package soak_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/internal/redistest"
	"github.com/dnsreg/dnsreg/store"
)

func isUnavailable(err error) bool { return errors.Is(err, store.ErrUnavailable) }

// Row 11: 10,000 instances register at once, and again after Redis was emptied under them; none is lost.
func TestHerd(t *testing.T) {
	n := either(10_000, 100_000)
	r := redistest.Start(t)
	a, b := serve(t, "a", r.URL()), serve(t, "b", r.URL())
	f := newFleet(t, n, 30*time.Second, a, b)
	check := watch(t, f, a, b)
	took := f.start()
	seen := check.await(4 * bound)
	t.Logf("%d instances registered at once in %v (%.0f/s), shown by both servers %v later; failed %d", n, took,
		float64(n)/took.Seconds(), seen, f.failed.Load())
	check.fault()
	r.Kill()
	r.Restart()
	up := time.Now()
	back := f.awaitRenewed(up, 10*time.Second+12*bound)
	check.heal()
	check.await(4 * bound)
	t.Logf("emptied: every heartbeat accepted %v after Redis was up (heartbeat 10 s), registered again %d, failed %d; heartbeat calls %v",
		back, f.returned.Load(), f.failed.Load(), f.calls.take())
	check.logExcuses()
}

// A fleet whose every process is restarted, each of which registers what it was, through another server than before:
// nothing changes, so that no revision does, and nobody is missing for a moment.
func TestFleetRestart(t *testing.T) {
	n := either(2_000, 100_000)
	r := redistest.Start(t)
	a, b := serve(t, "a", r.URL()), serve(t, "b", r.URL())
	f := newFleet(t, n, 30*time.Second, a, b)
	check := watch(t, f, a, b)
	took := f.start()
	check.await(4 * bound)
	revision, others := a.View().Revision(), map[*server]*server{a: b, b: a}
	f.each(func(m *member) {
		home, _ := m.at()
		m.move(others[home])
	})
	again := f.registerAll()
	check.await(4 * bound)
	t.Logf("%d instances registered in %v (%.0f/s), restarted in %v (%.0f/s); calls failed %d, registered for want of a lease %d",
		n, took, float64(n)/took.Seconds(), again, float64(n)/again.Seconds(), f.failed.Load(), f.returned.Load())
	for _, s := range []*server{a, b} {
		if got := s.View().Instances(); got != n {
			t.Errorf("%s has %d instances, want %d", s.name, got, n)
		}
		if got := s.View().Revision(); got != revision && f.returned.Load() == 0 {
			t.Errorf("%s is at revision %d, before the restart it was at %d", s.name, got, revision)
		}
	}
}

// Row 12: leases that end among many that live are noticed at once.
func TestExpiryAtScale(t *testing.T) {
	n, dying := either(5_000, 100_000), either(200, 2_000)
	r := redistest.Start(t)
	a, b := serve(t, "a", r.URL()), serve(t, "b", r.URL())
	living := newFleet(t, n, 10*time.Minute, a, b)
	living.registerAll()
	f := newFleet(t, 0, 0)
	for i := range dying {
		f.members = append(f.members, newMember(n+i, 2*time.Second+time.Millisecond*rand.N[time.Duration](2000), a))
	}
	check := watch(t, f, a, b)
	f.registerAll()
	f.each((*member).silence)
	check.await(4*time.Second + bound)
	t.Logf("%d leases ended among %d: end of lease → gone %v", dying, n, check.lateness.take())
	if got := a.View().Instances(); got != n {
		t.Errorf("%d instances are left, want the %d that live", got, n)
	}
}

// Row 13: random names cost Redis nothing: it sees what poll, tick and reaper do, as when nobody asks.
func TestRandomNames(t *testing.T) {
	n := either(50_000, 1_000_000)
	r := redistest.Start(t)
	a := serve(t, "a", r.URL())
	m := newMember(1, time.Minute, a)
	a.insist(t, m)
	pass(t, time.Second)
	before, begin := r.CommandStats(), time.Now()
	pass(t, 3*time.Second)
	quiet, quietFor := redistest.Calls(before, r.CommandStats()), time.Since(begin)

	before, begin = r.CommandStats(), time.Now()
	flood(t, a, n)
	pass(t, 3*time.Second-time.Since(begin)) // the rates of a few hundred ms would tell nothing
	after, took := r.CommandStats(), time.Since(begin)
	calls := redistest.Calls(before, after)
	t.Logf("quiet: %v in %v", quiet, quietFor)
	t.Logf("%d random names: %v in %v", n, calls, took)
	for name, got := range calls {
		limit := 1.5*float64(quiet[name])*took.Seconds()/quietFor.Seconds() + 10
		if float64(got) > limit {
			t.Errorf("%d calls of %s during the flood, want at most %.0f, as in quiet times", got, name, limit)
		}
	}
}

// flood asks for n names that do not exist.
func flood(t testing.TB, s *server, n int) {
	t.Helper()
	var buf []byte
	begin := time.Now()
	for i := range n {
		msg := new(dns.Msg)
		msg.SetQuestion(fmt.Sprintf("_r%x%d._tcp.%s", rand.Uint64(), i, s.zone), dns.TypeSRV)
		wire, err := msg.Pack()
		if err != nil {
			t.Fatal(err)
		}
		buf = s.dns.Answer(wire, buf[:0], dnsserver.UDP)
		if rcode := int(buf[3] & 0xf); rcode != dns.RcodeNameError {
			t.Fatalf("%s: %s, want NXDOMAIN", msg.Question[0].Name, dns.RcodeToString[rcode])
		}
	}
	t.Logf("%d names asked in %v", n, time.Since(begin))
}
