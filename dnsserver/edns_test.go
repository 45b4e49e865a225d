package dnsserver_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/store"
)

func TestE1WithoutEDNS(t *testing.T) {
	s := newServer(t, newSource(many(t, "_big._tcp", 15), web(t))) // which have room in 1232 octets
	for _, name := range []string{zone, "nope." + zone, "_http._tcp." + zone, "other.test."} {
		if r := exchange(t, s, question(name, dns.TypeSRV), dnsserver.UDP); r.IsEdns0() != nil {
			t.Errorf("%s: OPT in the reply", name)
		}
	}
	out := s.Answer(pack(t, question("_big._tcp."+zone, dns.TypeSRV)), nil, dnsserver.UDP)
	if len(out) > 512 || out[2]&0x02 == 0 {
		t.Errorf("%d octets, header %x", len(out), out[:12])
	}
}

// replies are queries for every kind of reply.
func replies(t *testing.T) map[string][]byte {
	opt := wireOPT(1232, 0, 0, nil)
	count := func(flags uint16) []byte { return header(flags, 1, 0, 0, 1) }
	return map[string][]byte{
		"NOERROR":   message(count(flagsQuery), wireQuestion(t, zone, dns.TypeSOA), opt),
		"NODATA":    message(count(flagsQuery), wireQuestion(t, zone, dns.TypeMX), opt),
		"NXDOMAIN":  message(count(flagsQuery), wireQuestion(t, "nope."+zone, dns.TypeA), opt),
		"REFUSED":   message(count(flagsQuery), wireQuestion(t, "other.test.", dns.TypeA), opt),
		"AXFR":      message(count(flagsQuery), wireQuestion(t, zone, dns.TypeAXFR), opt),
		"TC":        message(count(flagsQuery), wireQuestion(t, "_big._tcp."+zone, dns.TypeSRV), opt),
		"FORMERR":   message(header(flagsQuery, 1, 0, 0, 2), wireQuestion(t, zone, dns.TypeSOA), opt),
		"BADVERS":   message(count(flagsQuery), wireQuestion(t, zone, dns.TypeSOA), wireOPT(1232, 9, 0, nil)),
		"UPDATE":    message(count(opcode(dns.OpcodeUpdate)), wireQuestion(t, zone, dns.TypeSOA), opt),
		"NOTIFY":    message(count(opcode(dns.OpcodeNotify)), wireQuestion(t, zone, dns.TypeSOA), opt),
		"questions": message(header(flagsQuery, 0, 0, 0, 1), opt),
	}
}

func TestE2OneOPTInEveryReply(t *testing.T) {
	src := newSource(many(t, "_big._tcp", 100))
	s := newServer(t, src)
	check := func(name string, in []byte) {
		for _, transport := range []dnsserver.Transport{dnsserver.UDP, dnsserver.TCP} {
			r := exchangeRaw(t, s, in, transport)
			n := 0
			for _, rr := range r.Extra {
				if opt, ok := rr.(*dns.OPT); ok {
					n++
					if opt.Version() != 0 || opt.UDPSize() != 1232 || opt.Hdr.Name != "." {
						t.Errorf("%s: %v", name, opt)
					}
				}
			}
			if n != 1 {
				t.Errorf("%s over %v: %d OPT records", name, transport, n)
			}
		}
	}
	for name, in := range replies(t) {
		check(name, in)
	}
	src.freshness.Store(int32(store.Lost))
	check("SERVFAIL", replies(t)["NOERROR"])
}

func TestE3Version(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	for _, version := range []byte{1, 255} {
		// What follows the fixed part is of an unknown form, so it may be anything.
		in := message(header(flagsQuery, 1, 0, 0, 1), wireQuestion(t, zone, dns.TypeSOA), wireOPT(1232, version, 0, []byte{0, 1, 2}))
		out := s.Answer(in, nil, dnsserver.UDP)
		var r dns.Msg
		if err := r.Unpack(out); err != nil {
			t.Fatal(err)
		}
		opt := r.IsEdns0()
		if !r.Response || r.Rcode != dns.RcodeBadVers || opt == nil || opt.Version() != 0 || len(r.Answer)+len(r.Ns) > 0 || r.Authoritative {
			t.Errorf("version %d: %v", version, &r)
		}
	}
}

func TestE4UnknownOptions(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	for _, code := range []uint16{3, 8, 9, 11, 12, 100, 65001} {
		option := []byte{byte(code >> 8), byte(code), 0, 3, 1, 2, 3}
		in := message(header(flagsQuery, 1, 0, 0, 1), wireQuestion(t, zone, dns.TypeSOA), wireOPT(1232, 0, 0, message(option, []byte{0, 101, 0, 0})))
		r := exchangeRaw(t, s, in, dnsserver.UDP)
		if r.Rcode != 0 || len(r.Answer) != 1 || len(r.IsEdns0().Option) != 0 {
			t.Errorf("option %d: %v", code, r)
		}
	}
}

func TestE5E6Flags(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	for _, tt := range []struct{ in, want uint16 }{{0, 0}, {0x0040, 0}, {0x7fff, 0}, {0x8000, 0x8000}, {0xffff, 0x8000}} {
		in := message(header(flagsQuery, 1, 0, 0, 1), wireQuestion(t, zone, dns.TypeSOA), wireOPT(1232, 0, tt.in, nil))
		r := exchangeRaw(t, s, in, dnsserver.UDP)
		if got := uint16(r.IsEdns0().Hdr.Ttl); got != tt.want || r.Rcode != 0 || len(r.Answer) != 1 {
			t.Errorf("flags %04x: %04x, want %04x", tt.in, got, tt.want)
		}
	}
}

func TestE7E8E9MalformedOPT(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	q := wireQuestion(t, zone, dns.TypeSOA)
	opt := wireOPT(1232, 0, 0, nil)
	elsewhere := message([]byte{1, 'x'}, opt)
	for _, tt := range []struct {
		name string
		in   []byte
	}{
		{"two", message(header(flagsQuery, 1, 0, 0, 2), q, opt, opt)},
		{"owner not the root", message(header(flagsQuery, 1, 0, 0, 1), q, elsewhere)},
		{"owner the root by a pointer", message(header(flagsQuery, 1, 0, 0, 1), q, []byte{0xc0, byte(12 + len(q) - 5)}, opt[1:])},
		{"in the answer section", message(header(flagsQuery, 1, 1), q, opt)},
		{"in the authority section", message(header(flagsQuery, 1, 0, 1), q, opt)},
		{"option longer than the data", message(header(flagsQuery, 1, 0, 0, 1), q, wireOPT(1232, 0, 0, []byte{0, 100, 0, 9, 1}))},
		{"option without a length", message(header(flagsQuery, 1, 0, 0, 1), q, wireOPT(1232, 0, 0, []byte{0, 100, 0}))},
		{"data longer than the message", message(header(flagsQuery, 1, 0, 0, 1), q, opt[:10], []byte{9})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := exchangeRaw(t, s, tt.in, dnsserver.UDP)
			if rcode(r) != "FORMERR" || r.IsEdns0() == nil || len(r.Answer) > 0 || len(r.Question) != 1 {
				t.Errorf("%v", r)
			}
		})
	}
}

func TestE10E11E13SizeOfReplies(t *testing.T) {
	src := newSource(many(t, "_big._tcp", 60), many(t, "_small._tcp", 8))
	for _, tt := range []struct {
		name, qname string
		advertised  uint16
		config      int
		transport   dnsserver.Transport
		limit       int
		tc          bool
	}{
		{"less than 512 counts as 512", "_small._tcp.", 100, 0, dnsserver.UDP, 512, false},
		{"none counts as 512", "_small._tcp.", 0, 0, dnsserver.UDP, 512, false},
		{"the client's size", "_big._tcp.", 600, 0, dnsserver.UDP, 600, true},
		{"clamped to 1232", "_big._tcp.", 4096, 0, dnsserver.UDP, 1232, true},
		{"clamped to what is configured", "_big._tcp.", 65535, 1400, dnsserver.UDP, 1400, true},
		{"configured down to 512", "_small._tcp.", 4096, 512, dnsserver.UDP, 512, false},
		{"ignored over TCP", "_big._tcp.", 512, 0, dnsserver.TCP, 65535, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, src, func(c *dnsserver.Config) { c.MaxUDPSize = tt.config })
			out := s.Answer(pack(t, edns(question(tt.qname+zone, dns.TypeSRV), tt.advertised)), nil, tt.transport)
			if len(out) > tt.limit || out[2]&0x02 != 0 != tt.tc {
				t.Errorf("%d octets, TC %v", len(out), out[2]&0x02 != 0)
			}
			if tt.transport == dnsserver.TCP && len(out) < 1232 {
				t.Errorf("%d octets over TCP", len(out))
			}
		})
	}
}

// TestE12 asks for a set that exactly fits, and one octet less.
func TestE12TruncationOnlyForAnswers(t *testing.T) {
	s := newServer(t, newSource(many(t, "_big._tcp", 15)))
	m := question("_big._tcp."+zone, dns.TypeSRV)
	whole := exchange(t, s, m, dnsserver.TCP)
	whole.Extra = nil
	answer := 12 + len(wireName(t, m.Question[0].Name)) + 4
	for _, rr := range whole.Answer {
		answer += 12 + 6 + len(wireName(t, rr.(*dns.SRV).Target))
	}
	const opt = 11
	for _, tt := range []struct {
		size int
		tc   bool
	}{{answer + opt - 1, true}, {answer + opt, false}, {answer + opt + 15, false}} {
		r := exchange(t, s, edns(m.Copy(), uint16(tt.size)), dnsserver.UDP)
		if r.Truncated != tt.tc || tt.tc != (len(r.Answer) == 0) || len(records(r.Extra)) != 0 {
			t.Errorf("%d octets for an answer of %d: TC %v, %d answers", tt.size, answer, r.Truncated, len(r.Answer))
		}
	}
	if r := exchange(t, s, edns(m.Copy(), uint16(answer+opt+16)), dnsserver.UDP); r.Truncated || len(records(r.Extra)) != 1 {
		t.Errorf("room for one address: TC %v, %d additional", r.Truncated, len(records(r.Extra)))
	}
}

func TestE15ExtendedErrors(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	chaos := edns(question(zone, dns.TypeSOA), 1232)
	chaos.Question[0].Qclass = dns.ClassCHAOS
	for _, tt := range []struct {
		name string
		in   *dns.Msg
		want int
	}{
		{"outside the zone", edns(question("other.test.", dns.TypeA), 1232), int(dns.ExtendedErrorCodeNotAuthoritative)},
		{"another class", chaos, int(dns.ExtendedErrorCodeNotAuthoritative)},
		{"transfer", edns(question(zone, dns.TypeAXFR), 1232), int(dns.ExtendedErrorCodeProhibited)},
		{"transfer of another zone", edns(question("other.test.", dns.TypeAXFR), 1232), int(dns.ExtendedErrorCodeNotAuthoritative)},
		{"no error", edns(question(zone, dns.TypeSOA), 1232), -1},
		{"without EDNS", question("other.test.", dns.TypeA), -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ede(exchange(t, s, tt.in, dnsserver.UDP)); got != tt.want {
				t.Errorf("EDE %d, want %d", got, tt.want)
			}
		})
	}
}

// TestE15GivesWay fills a reply so that an extended error finds no room: it is the first to go (RFC 8914 section 3).
func TestE15GivesWay(t *testing.T) {
	long := strings.Repeat("x", 200)
	src := newSource(snapshot("_http._tcp", instance(t, "_http._tcp", "h1", txt("a="+long, "b="+long))))
	s := newServer(t, src)
	src.freshness.Store(int32(store.Stale))
	seen := map[string]bool{}
	for size := uint16(512); size < 540; size++ {
		for pad := range 60 {
			src.set(snapshot("_http._tcp", instance(t, "_http._tcp", "h1", txt("a="+long, "b="+long, "c="+strings.Repeat("y", pad)))))
			m := edns(question("h1._http._tcp."+zone, dns.TypeTXT), size)
			out := s.Answer(pack(t, m), nil, dnsserver.UDP)
			if len(out) > int(size) {
				t.Fatalf("%d octets for a size of %d", len(out), size)
			}
			r := exchange(t, s, m, dnsserver.UDP)
			seen[fmt.Sprintf("answer %v, EDE %v", len(r.Answer) == 1, ede(r) == 3)] = true
		}
	}
	want := map[string]bool{"answer true, EDE true": true, "answer true, EDE false": true, "answer false, EDE true": true}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("replies (-want +got):\n%s", diff)
	}
}
