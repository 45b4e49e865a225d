package load_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/dnsreg/dnsreg/bench/internal/load"
	"github.com/dnsreg/dnsreg/bench/internal/zone"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// responder answers datagrams with what reply returns, not at all if that is nil. It remembers the names asked for.
type responder struct {
	addr  netip.AddrPort
	mu    sync.Mutex
	names map[string]int
	ports map[uint16]bool
}

func newResponder(t *testing.T, reply func(query *dns.Msg) *dns.Msg) *responder {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	r := &responder{addr: conn.LocalAddr().(*net.UDPAddr).AddrPort(), names: make(map[string]int), ports: make(map[uint16]bool)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.serve(conn, reply)
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return r
}

func (r *responder) serve(conn *net.UDPConn, reply func(query *dns.Msg) *dns.Msg) {
	buf := make([]byte, 512)
	for {
		n, client, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		query := new(dns.Msg)
		if query.Unpack(buf[:n]) != nil {
			continue
		}
		r.mu.Lock()
		r.names[query.Question[0].Name]++
		r.ports[client.Port()] = true
		r.mu.Unlock()
		if answer := reply(query); answer != nil {
			if packed, err := answer.Pack(); err == nil {
				_, _ = conn.WriteToUDPAddrPort(packed, client)
			}
		}
	}
}

func (r *responder) asked() (names, ports int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.names), len(r.ports)
}

// answers returns a reply with n answers.
func answers(n, rcode int) func(*dns.Msg) *dns.Msg {
	return func(query *dns.Msg) *dns.Msg {
		reply := new(dns.Msg).SetRcode(query, rcode)
		for i := range n {
			reply.Answer = append(reply.Answer, &dns.SRV{
				Hdr: dns.RR_Header{Name: query.Question[0].Name, Rrtype: dns.TypeSRV, Class: dns.ClassINET}, Port: uint16(i), Target: ".",
			})
		}
		return reply
	}
}

func mix(t *testing.T, kind zone.Kind) zone.Mix {
	t.Helper()
	m, err := zone.Zone{Services: 50, Instances: 2}.Mix(zone.Query{Kind: kind})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// patient is the grace where every reply is waited for: a machine that stands still for a moment loses none.
const patient = 10 * time.Second

func run(t *testing.T, spec load.Spec) load.Result {
	t.Helper()
	r, err := load.Run(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if r.Sent == 0 {
		t.Fatal("nothing was sent")
	}
	return r
}

func TestSaturateCountsEveryReply(t *testing.T) {
	server := newResponder(t, answers(2, dns.RcodeSuccess))
	r := run(t, load.Spec{Server: server.addr, Mix: mix(t, zone.SRV), Duration: 100 * time.Millisecond, Window: 64, Grace: patient})
	if r.Answered != r.Sent || r.Bad+r.Lost+r.Late+r.Truncated > 0 {
		t.Errorf("result %+v", r)
	}
	if r.Octets == 0 || r.Octets%r.Answered != 0 {
		t.Errorf("%d octets in %d replies of one size", r.Octets, r.Answered)
	}
	if names, _ := server.asked(); names != 50 {
		t.Errorf("%d names were asked for, want 50", names)
	}
	if r.Elapsed < 100*time.Millisecond || r.QPS() <= 0 || r.Latency != nil {
		t.Errorf("elapsed %v, %v qps, latency %v", r.Elapsed, r.QPS(), r.Latency)
	}
}

func TestRandomNamesDoNotRepeat(t *testing.T) {
	server := newResponder(t, answers(0, dns.RcodeNameError))
	r := run(t, load.Spec{Server: server.addr, Mix: mix(t, zone.Missing), Duration: 100 * time.Millisecond, Window: 32, Grace: patient})
	if names, _ := server.asked(); uint64(names) != r.Sent || r.Answered != r.Sent {
		t.Errorf("%d names in %d queries with %d answered", names, r.Sent, r.Answered)
	}
}

func TestSocketsTakeTurns(t *testing.T) {
	server := newResponder(t, answers(2, dns.RcodeSuccess))
	for _, rate := range []int{0, 2000} {
		r := run(t, load.Spec{Server: server.addr, Mix: mix(t, zone.SRV), Duration: 100 * time.Millisecond, Window: 64, Sockets: 4, Rate: rate, Sleep: true, Grace: patient})
		if r.Answered != r.Sent {
			t.Errorf("rate %d: %+v", rate, r)
		}
	}
	if _, ports := server.asked(); ports != 8 {
		t.Errorf("queries came from %d ports, want 8", ports)
	}
}

func TestUnexpectedRepliesAreBad(t *testing.T) {
	truncated := func(query *dns.Msg) *dns.Msg {
		reply := new(dns.Msg).SetReply(query)
		reply.Truncated = true
		return reply
	}
	query := func(query *dns.Msg) *dns.Msg { return query }
	for _, test := range []struct {
		name           string
		reply          func(*dns.Msg) *dns.Msg
		bad, truncated bool
	}{
		{"expected", answers(2, dns.RcodeSuccess), false, false},
		{"one answer", answers(1, dns.RcodeSuccess), true, false},
		{"SERVFAIL", answers(0, dns.RcodeServerFailure), true, false},
		{"not a reply", query, true, false},
		{"truncated", truncated, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := newResponder(t, test.reply)
			r := run(t, load.Spec{Server: server.addr, Mix: mix(t, zone.SRV), Duration: 20 * time.Millisecond, Window: 8})
			if (r.Bad > 0) != test.bad || (r.Truncated > 0) != test.truncated || (r.Answered > 0) == test.bad {
				t.Errorf("result %+v", r)
			}
		})
	}
}

func TestEchoIsExpectedOnlyOfEchoes(t *testing.T) {
	server := newResponder(t, func(query *dns.Msg) *dns.Msg { return query })
	echoed := mix(t, zone.SRV)
	echoed.Echo = true
	r := run(t, load.Spec{Server: server.addr, Mix: echoed, Duration: 20 * time.Millisecond, Window: 8, Grace: patient})
	if r.Bad > 0 || r.Answered != r.Sent {
		t.Errorf("result %+v", r)
	}
}

// TestLostQueriesFreeTheWindow: every second query gets no reply, and yet far more than a window are sent.
func TestLostQueriesFreeTheWindow(t *testing.T) {
	reply, n := answers(2, dns.RcodeSuccess), 0
	server := newResponder(t, func(query *dns.Msg) *dns.Msg {
		if n++; n%2 == 0 {
			return nil
		}
		return reply(query)
	})
	r := run(t, load.Spec{Server: server.addr, Mix: mix(t, zone.SRV), Duration: 900 * time.Millisecond, Window: 16})
	if r.Sent < 40 || r.Lost+r.Answered != r.Sent || r.Lost < r.Sent/3 {
		t.Errorf("result %+v", r)
	}
}

func TestRate(t *testing.T) {
	server := newResponder(t, answers(2, dns.RcodeSuccess))
	const rate = 200 // so that what falls due while the machine stands still fits into the socket's buffer
	r := run(t, load.Spec{Server: server.addr, Mix: mix(t, zone.SRV), Duration: 500 * time.Millisecond, Rate: rate, Grace: patient})
	if most := uint64(rate*r.Elapsed.Seconds()) + 2; r.Sent > most || r.Answered != r.Sent { // a busy machine sends less
		t.Errorf("at %d qps, which allows %d: %+v", rate, most, r)
	}
	if got := r.Latency.TotalCount(); uint64(got) != r.Answered {
		t.Errorf("latency of %d replies, want %d", got, r.Answered)
	}
	if p50 := time.Duration(r.Latency.ValueAtQuantile(50)); p50 <= 0 || p50 > 100*time.Millisecond {
		t.Errorf("median latency %v", p50)
	}
}

// TestSilentServer: everything is lost.
func TestSilentServer(t *testing.T) {
	server := newResponder(t, func(*dns.Msg) *dns.Msg { return nil })
	r := run(t, load.Spec{Server: server.addr, Mix: mix(t, zone.SRV), Duration: 50 * time.Millisecond, Window: 100})
	want := load.Result{Sent: r.Sent, Lost: r.Sent}
	if diff := cmp.Diff(want, r, cmpopts.IgnoreFields(load.Result{}, "Elapsed", "Latency")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNoServerIsAnError(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	addr := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err := load.Run(t.Context(), load.Spec{Server: addr, Mix: mix(t, zone.SRV), Duration: time.Second, Window: 64}); err == nil {
		t.Errorf("no error, %+v", r)
	}
}

func TestEndedContext(t *testing.T) {
	server := newResponder(t, answers(2, dns.RcodeSuccess))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := load.Run(ctx, load.Spec{Server: server.addr, Mix: mix(t, zone.SRV), Duration: time.Hour, Window: 64})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
