package dnsserver_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
)

// Names of tests begin with the line of docs/conformance.md that they hold.

func TestB1FlagsOfAnswers(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	for _, tt := range []struct {
		name, qname string
		qtype       uint16
	}{
		{"answer", zone, dns.TypeSOA},
		{"no data", zone, dns.TypeMX},
		{"no name", "nope." + zone, dns.TypeA},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := question(tt.qname, tt.qtype)
			m.AuthenticatedData, m.CheckingDisabled = true, true
			r := exchange(t, s, m, dnsserver.UDP)
			if r.Id != m.Id || !r.Response || !r.Authoritative {
				t.Errorf("id %d (asked %d), QR %v, AA %v", r.Id, m.Id, r.Response, r.Authoritative)
			}
			if r.RecursionAvailable || r.AuthenticatedData || r.CheckingDisabled || r.RecursionDesired || r.Truncated || r.Zero {
				t.Errorf("flags set that should not be: %v", r.MsgHdr)
			}
			if diff := cmp.Diff(m.Question, r.Question); diff != "" {
				t.Errorf("question (-asked +echoed):\n%s", diff)
			}
		})
	}
}

func TestB2RecursionDesiredIsCopied(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	m := question(zone, dns.TypeSOA)
	plain := exchange(t, s, m, dnsserver.UDP)
	m.RecursionDesired = true
	r := exchange(t, s, m, dnsserver.UDP)
	if !r.RecursionDesired || r.RecursionAvailable {
		t.Errorf("RD %v, RA %v", r.RecursionDesired, r.RecursionAvailable)
	}
	if diff := cmp.Diff(records(plain.Answer), records(r.Answer)); diff != "" {
		t.Errorf("answer differs with RD:\n%s", diff)
	}
}

func TestB12NumberOfQuestions(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	q := wireQuestion(t, zone, dns.TypeSOA)
	opt := wireOPT(1232, 0, 0, nil)
	for _, tt := range []struct {
		name string
		in   []byte
		opt  bool
	}{
		{"none", header(flagsQuery), false},
		{"none, with OPT", message(header(flagsQuery, 0, 0, 0, 1), opt), true},
		{"two", message(header(flagsQuery, 2), q, q), false},
		{"two, with OPT", message(header(flagsQuery, 2, 0, 0, 1), q, q, opt), true},
		{"more than there are", message(header(flagsQuery, 65535), q), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := exchangeRaw(t, s, tt.in, dnsserver.UDP)
			if rcode(r) != "FORMERR" || len(r.Question) != 0 || (r.IsEdns0() != nil) != tt.opt || r.Id != 0x1234 {
				t.Errorf("%v", r)
			}
		})
	}
	// A cookie may come without a question, not with two.
	two := message(header(flagsQuery, 2, 0, 0, 1), q, q, wireOPT(1232, 0, 0, wireOption(dns.EDNS0COOKIE, make([]byte, 8))))
	if out := s.AnswerTo(dnsserver.Client{Addr: netip.MustParseAddr(client4)}, two, nil); out[3]&0xf != dns.RcodeFormatError {
		t.Errorf("two questions with a cookie: %x", out)
	}
}

func TestB13OtherOpcodes(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	q := wireQuestion(t, zone, dns.TypeSOA)
	for _, op := range []int{dns.OpcodeIQuery, dns.OpcodeStatus, 3, 6, 7, 15} {
		for name, body := range map[string][]byte{"header only": {}, "question": q, "garbage": {0xff, 0xff, 0xff}} {
			in := message(header(opcode(op)|0x07f0, 1, 2, 3, 4), body)
			out := s.Answer(in, nil, dnsserver.UDP)
			want := header(opcode(op) | 0x8000 | uint16(dns.RcodeNotImplemented))
			if diff := cmp.Diff(want, out); diff != "" {
				t.Errorf("opcode %d, %s (-want +got):\n%s", op, name, diff)
			}
		}
	}
}

func TestB14ReservedBits(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	// AA, TC, RA, Z, AD, CD and an rcode, none of which mean anything in a query
	in := message(header(0x06f5, 1), wireQuestion(t, zone, dns.TypeSOA))
	out := s.Answer(in, nil, dnsserver.UDP)
	if out[2] != 0x84 || out[3] != 0 || out[7] != 1 {
		t.Errorf("header %x", out[:12])
	}
}

func TestB15WhatIsNotAQuery(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	q := wireQuestion(t, zone, dns.TypeSOA)
	longName := []byte(strings.Repeat("\x3f"+strings.Repeat("a", 63), 4))
	for _, tt := range []struct {
		name, want string
		in         []byte
	}{
		{"nothing", "", nil},
		{"short of a header", "", header(flagsQuery, 1)[:11]},
		{"a response", "", message(header(0x8000, 1), q)},
		{"a response of another opcode", "", header(0x8000 | opcode(5))},
		{"no question although one is counted", "FORMERR", header(flagsQuery, 1)},
		{"name cut off", "FORMERR", message(header(flagsQuery, 1), q[:5])},
		{"type cut off", "FORMERR", message(header(flagsQuery, 1), q[:len(q)-1])},
		{"pointer in the question", "FORMERR", message(header(flagsQuery, 1), []byte{0xc0, 12, 0, 1, 0, 1})},
		{"label of a reserved kind", "FORMERR", message(header(flagsQuery, 1), []byte{0x41, 'a', 0, 0, 1, 0, 1})},
		{"name over 255 octets", "FORMERR", message(header(flagsQuery, 1), longName, []byte{0, 0, 1, 0, 1})},
		{"records that are not there", "FORMERR", message(header(flagsQuery, 1, 0xffff, 0xffff, 0xffff), q)},
		{"record cut off", "FORMERR", message(header(flagsQuery, 1, 0, 0, 1), q, []byte{0, 0, 1, 0, 1})},
		{"owner cut off", "FORMERR", message(header(flagsQuery, 1, 1), q, []byte{0xc0})},
		{"owner of a reserved kind", "FORMERR", message(header(flagsQuery, 1, 1), q, []byte{0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0})},
		{"data cut off", "FORMERR", message(header(flagsQuery, 1, 1), q, []byte{0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2})},
		{"octets left over", "FORMERR", message(header(flagsQuery, 1), q, []byte{0})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			prefix := []byte("kept")
			out := s.Answer(tt.in, prefix, dnsserver.UDP)
			if tt.want == "" {
				if string(out) != "kept" {
					t.Errorf("replied %x", out)
				}
				return
			}
			var r dns.Msg
			if err := r.Unpack(out[len(prefix):]); err != nil || rcode(&r) != tt.want || string(out[:4]) != "kept" {
				t.Errorf("%x: %v, %v", out, err, &r)
			}
		})
	}
}

func TestB15RecordsInQueriesAreIgnored(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	m := edns(question("_http._tcp."+zone, dns.TypeSRV), 1232)
	a, err := dns.NewRR("x.test. 5 IN A 192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	m.Answer, m.Ns = []dns.RR{a, a}, []dns.RR{a}
	m.Extra = append([]dns.RR{a}, m.Extra...)
	m.Compress = true
	if r := exchange(t, s, m, dnsserver.UDP); r.Rcode != dns.RcodeSuccess || len(r.Answer) != 2 || r.IsEdns0() == nil {
		t.Errorf("%v", r)
	}
}
