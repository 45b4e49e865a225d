package soak_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
)

// askEvery makes 50 queries a second.
const askEvery = 20 * time.Millisecond

// asker asks a server for members that heartbeat, 50 times a second, and reports every answer that lacks one.
type asker struct {
	*server
	fleet  *fleet
	check  *checker
	report func(format string, args ...any)
	took   figures

	mu     sync.Mutex // guards all below
	lost   time.Time  // from when on SERVFAIL is in order; zero: never
	failed time.Time  // when it was the answer for the first time
	rcodes map[int]int
	stale  int // answers that carried the code Stale Answer
}

// ask starts askers of servers. They end with the test.
func ask(t testing.TB, f *fleet, check *checker, servers ...*server) []*asker {
	var askers []*asker
	for _, s := range servers {
		a := &asker{server: s, fleet: f, check: check, report: atMost(20, t.Errorf), rcodes: make(map[int]int)}
		askers = append(askers, a)
		run(t, func(ctx context.Context) error {
			for ctx.Err() == nil {
				a.once()
				pause(ctx, askEvery)
			}
			return nil
		})
	}
	return askers
}

// once asks for one member, by the name of its service and by that of its host.
func (a *asker) once() {
	members := a.fleet.all()
	m := members[rand.IntN(len(members))]
	if !m.answered() {
		return
	}
	name := strings.TrimPrefix(strings.TrimSuffix(string(m.service), "._tcp"), "_")
	host := m.in.ID + "." + name + "." + a.zone
	for _, q := range []dns.Question{{Name: string(m.service) + "." + a.zone, Qtype: dns.TypeSRV}, {Name: host, Qtype: dns.TypeA}} {
		reply := a.query(q)
		if !m.answered() || reply == nil {
			return
		}
		a.judge(m, q, reply, host)
	}
}

// query asks one question as over TCP, nil for no readable reply.
func (a *asker) query(q dns.Question) *dns.Msg {
	msg := new(dns.Msg)
	msg.SetQuestion(q.Name, q.Qtype)
	msg.SetEdns0(dns.DefaultMsgSize, false)
	wire, err := msg.Pack()
	if err != nil {
		a.report("%s: pack %v: %v", a.name, q, err)
		return nil
	}
	begin := time.Now()
	wire = a.dns.Answer(wire, nil, dnsserver.TCP)
	a.took.add(time.Since(begin))
	reply := new(dns.Msg)
	if err := reply.Unpack(wire); err != nil {
		a.report("%s: reply to %v: %v", a.name, q, err)
		return nil
	}
	return reply
}

// judge expects a member in a reply.
func (a *asker) judge(m *member, q dns.Question, reply *dns.Msg, host string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	a.rcodes[reply.Rcode]++
	if isStale(reply) {
		a.stale++
	}
	if reply.Rcode == dns.RcodeServerFailure && a.failed.IsZero() {
		a.failed = now
	}
	if reply.Rcode == dns.RcodeServerFailure && !a.lost.IsZero() && now.After(a.lost) {
		return
	}
	if (reply.Rcode != dns.RcodeSuccess || !names(reply.Answer, host)) && !a.check.starved(m) {
		a.report("%s: %s %s: %s with %d records, none for %v", a.name, q.Name, dns.TypeToString[q.Qtype],
			dns.RcodeToString[reply.Rcode], len(reply.Answer), m)
	}
}

// names reports whether a record is about a host: its address, or an SRV that points to it.
func names(records []dns.RR, host string) bool {
	for _, record := range records {
		if srv, ok := record.(*dns.SRV); ok && srv.Target == host || !ok && record.Header().Name == host {
			return true
		}
	}
	return false
}

func isStale(reply *dns.Msg) bool {
	opt := reply.IsEdns0()
	if opt == nil {
		return false
	}
	for _, option := range opt.Option {
		if ede, ok := option.(*dns.EDNS0_EDE); ok && ede.InfoCode == dns.ExtendedErrorCodeStaleAnswer {
			return true
		}
	}
	return false
}

// allowLost says that the store may be lost from a time on, so that SERVFAIL is in order.
func (a *asker) allowLost(from time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lost = from
}

// failedAt returns when the first SERVFAIL came, zero for none.
func (a *asker) failedAt() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed
}

// tally returns how many answers had an rcode, and how many were stale.
func (a *asker) tally(rcode int) (n, stale int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.rcodes[rcode], a.stale
}

// logAsked logs what every asker saw, and fails the test where one saw nothing.
func logAsked(t testing.TB, askers []*asker) {
	t.Helper()
	for _, a := range askers {
		n, stale := a.tally(dns.RcodeSuccess)
		failed, _ := a.tally(dns.RcodeServerFailure)
		none, _ := a.tally(dns.RcodeNameError)
		t.Logf("%s: %d answered (%d stale), %d SERVFAIL, %d NXDOMAIN; took %v", a.name, n, stale, failed, none, a.took.take())
		if n == 0 {
			t.Errorf("%s answered nothing", a.name)
		}
	}
}
