package resolverclient_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// lowered is the reply of a server that loses the case of the question.
func lowered(z *zone, query *dns.Msg) *dns.Msg {
	query.Question[0].Name = strings.ToLower(query.Question[0].Name)
	return z.answer(query)
}

// forged sends first what an attacker or a late packet would, made from the true reply by a change, then that reply.
func forged(z *zone, change func(m *dns.Msg)) handler {
	return func(x exchange) {
		m := z.answer(x.query.Copy())
		for _, rr := range m.Answer {
			rr.(*dns.SRV).Target = "evil.example."
		}
		change(m)
		x.reply(m)
		z.serve(x)
	}
}

func TestExchangeSurvives(t *testing.T) {
	z := newZone(t, threeWebs()...)
	for _, tt := range []struct {
		name  string
		serve handler
	}{
		{"another id", forged(z, func(m *dns.Msg) { m.Id++ })},
		{"another name", forged(z, func(m *dns.Msg) { m.Question[0].Name = "evil.example." })},
		{"another type", forged(z, func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeTXT })},
		{"a query", forged(z, func(m *dns.Msg) { m.Response = false })},
		{"another opcode", forged(z, func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify })},
		{"two questions", forged(z, func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) })},
		{"no question", forged(z, func(m *dns.Msg) { m.Question = nil })},
		{"case guessed wrong, with the right id", caseThenTCP(z, true)},
		{"a server that loses case", caseThenTCP(z, false)},
		{"an error without a question, with the right id", overUDP(withoutQuestion(dns.RcodeServerFailure), z.serve)},
		{"REFUSED without a question, with the right id", overUDP(withoutQuestion(dns.RcodeRefused), z.serve)},
		{"octets too few", func(x exchange) { x.send([]byte{1, 2, 3}); z.serve(x) }},
		{"truncated to nothing", func(x exchange) { small := *z; small.limit = 20; small.serve(x) }},
		{"truncated in the middle of a record", cutShort(z)},
		{"no EDNS, FORMERR", noEDNS(z, dns.RcodeFormatError)},
		{"no EDNS, NOTIMP", noEDNS(z, dns.RcodeNotImplemented)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := clientOf(t, tt.serve).Lookup(t.Context(), "web")
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Endpoints) != 3 || strings.Contains(describe(got.Endpoints), "evil") {
				t.Errorf("got\n%s", describe(got.Endpoints))
			}
		})
	}
}

// caseThenTCP answers over UDP with the question in small letters, with forged data where evil, and well over TCP.
func caseThenTCP(z *zone, evil bool) handler {
	return func(x exchange) {
		m := lowered(z, x.query)
		if evil && x.network == "udp" {
			for _, rr := range m.Answer {
				rr.(*dns.SRV).Target = "evil.example."
			}
		}
		x.reply(m)
	}
}

// overUDP answers by one handler over UDP and by another over TCP.
func overUDP(udp, tcp handler) handler {
	return func(x exchange) {
		if x.network == "udp" {
			udp(x)
			return
		}
		tcp(x)
	}
}

// withoutQuestion answers with a code and no question, which a forger can who guessed the id alone.
func withoutQuestion(code int) handler {
	return func(x exchange) {
		m := new(dns.Msg).SetRcode(x.query, code)
		m.Question = nil
		x.reply(m)
	}
}

// cutShort answers over UDP with TC and the front of the reply, as servers do that cut octets.
func cutShort(z *zone) handler {
	return func(x exchange) {
		if x.network == "tcp" {
			z.serve(x)
			return
		}
		m := z.answer(x.query)
		m.Truncated = true
		wire, err := m.Pack()
		if err != nil {
			panic(err)
		}
		x.send(wire[:len(wire)/2])
	}
}

// noEDNS refuses queries with an OPT record, by a reply without one.
func noEDNS(z *zone, code int) handler {
	return func(x exchange) {
		if x.query.IsEdns0() != nil {
			withoutQuestion(code)(x)
			return
		}
		z.serve(x)
	}
}

func TestExchangeOfManyEndpoints(t *testing.T) {
	var records []string
	for i := range 150 {
		records = append(records,
			fmt.Sprintf("_web._tcp.svc.internal. 5 SRV 0 1 8080 web-%d.web.svc.internal.", i),
			fmt.Sprintf("web-%d.web.svc.internal. 5 A 10.0.0.%d", i, i))
	}
	queries := &counted{next: newZone(t, records...).serve}
	got, err := clientOf(t, queries.serve).Lookup(t.Context(), "web")
	if err != nil || len(got.Endpoints) != 150 {
		t.Fatalf("%d endpoints, %v, want 150", len(got.Endpoints), err)
	}
	if n := queries.of(dns.TypeSRV); n != 2 {
		t.Errorf("%d queries, want one over UDP and one over TCP", n)
	}
}

func TestExchangeFails(t *testing.T) {
	z := newZone(t, threeWebs()...)
	for _, tt := range []struct {
		name  string
		serve handler
		text  []string
		waits bool // for a reply that does not come
	}{
		{"silence", silent, []string{"no reply within 50ms", "i/o timeout"}, true},
		{"wrong ids alone", func(x exchange) {
			m := z.answer(x.query)
			m.Id++
			x.reply(m)
		}, []string{"no reply within 50ms", "another id"}, true},
		{"malformed body", func(x exchange) {
			wire, _ := z.answer(x.query).Pack()
			x.send(wire[:len(wire)-3])
		}, []string{"malformed reply"}, false},
		{"truncated over TCP too", func(x exchange) {
			m := z.answer(x.query)
			m.Answer, m.Extra, m.Truncated = nil, nil, true
			x.reply(m)
		}, []string{"over tcp", "truncated reply"}, false},
		{"truncated, then TCP closes", func(x exchange) {
			if x.network == "udp" {
				small := *z
				small.limit = 20
				small.serve(x)
			}
		}, []string{"over tcp", "read length: EOF"}, false},
		{"lame: a referral", func(x exchange) {
			m := new(dns.Msg).SetReply(x.query)
			ns, _ := dns.NewRR("internal. 5 NS ns.example.")
			m.Ns = append(m.Ns, ns)
			x.reply(m)
		}, []string{"lame"}, false},
		{"lame: nothing", func(x exchange) { x.reply(new(dns.Msg).SetReply(x.query)) }, []string{"lame"}, false},
		{"extended error", func(x exchange) {
			m := new(dns.Msg).SetRcode(x.query, dns.RcodeServerFailure)
			m.SetEdns0(1232, false)
			m.IsEdns0().Option = append(m.IsEdns0().Option,
				&dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeNotReady, ExtraText: "store unreachable"})
			x.reply(m)
		}, []string{"SERVFAIL (Not Ready: store unreachable)"}, false},
		{"unknown code", func(x exchange) { rcode(12)(x) }, []string{"RCODE 12"}, false},
		{"no question over TCP either", withoutQuestion(dns.RcodeRefused), []string{"REFUSED"}, false},
		{"no error and no question", withoutQuestion(dns.RcodeSuccess), []string{"0 questions"}, true},
		{"NXDOMAIN without a question", withoutQuestion(dns.RcodeNameError), []string{"0 questions"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.waits {
				bubble(t, resolverclient.Config{Timeout: 50 * time.Millisecond}, func(b *cacheTest) {
					b.script.set(tt.serve)
					_, _, err := b.lookup()
					wantNoAnswer(t, err, append(tt.text, "ns:53")...)
				})
				return
			}
			addr := listen(t, tt.serve)
			c := newClient(t, resolverclient.Config{Servers: []string{addr}, Timeout: 10 * time.Second, LookupTimeout: time.Minute})
			_, err := c.Lookup(t.Context(), "web")
			wantNoAnswer(t, err, append(tt.text, addr)...)
		})
	}
}

// wantNoAnswer checks that a lookup failed for want of an answer, and that its error says why.
func wantNoAnswer(t *testing.T, err error, texts ...string) {
	t.Helper()
	if !errors.Is(err, resolverclient.ErrNoAnswer) {
		t.Fatalf("got %v, want ErrNoAnswer", err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q does not say %q", err, text)
		}
	}
}

// Queries must be hard to forge replies to: ids, letter case and source ports all differ from query to query.
func TestQueriesAreHardToGuess(t *testing.T) {
	var mu sync.Mutex
	ids, names, ports := map[uint16]bool{}, map[string]bool{}, map[string]bool{}
	z := newZone(t, threeWebs()...)
	addr := listen(t, func(x exchange) {
		mu.Lock()
		defer mu.Unlock()
		ids[x.query.Id], names[x.query.Question[0].Name] = true, true
		z.serve(x)
	})
	dial := dialSpy(func(conn net.Conn) {
		mu.Lock()
		defer mu.Unlock()
		ports[conn.LocalAddr().String()] = true
	})
	const n = 20
	for range n {
		c := newClient(t, resolverclient.Config{Servers: []string{addr}, Dial: dial})
		if _, err := c.Lookup(t.Context(), "web"); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for what, got := range map[string]int{"ids": len(ids), "spellings": len(names), "ports": len(ports)} {
		if got < n-3 {
			t.Errorf("%d different %s in %d queries", got, what, n)
		}
	}
}

func TestQueryForm(t *testing.T) {
	queries := make(chan *dns.Msg, 1)
	z := newZone(t, threeWebs()...)
	c := clientOf(t, func(x exchange) { queries <- x.query.Copy(); z.serve(x) })
	if _, err := c.Lookup(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	seen := <-queries
	opt := seen.IsEdns0()
	if opt == nil || opt.UDPSize() != 1232 || opt.Do() || !seen.RecursionDesired {
		t.Errorf("query %v, want RD and EDNS with 1232 octets", seen)
	}
	if !bytes.EqualFold([]byte(seen.Question[0].Name), []byte("_web._tcp.svc.internal.")) {
		t.Errorf("asked for %s", seen.Question[0].Name)
	}
}
