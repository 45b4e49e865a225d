package dnsserver_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
)

// wireOption returns an option for wireOPT.
func wireOption(code uint16, data []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, code)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	return append(b, data...)
}

// withOptions returns a query with an OPT record that has options.
func withOptions(tb testing.TB, name string, qtype uint16, options ...[]byte) []byte {
	tb.Helper()
	return message(header(flagsQuery, 1, 0, 0, 1), wireQuestion(tb, name, qtype), wireOPT(1232, 0, 0, message(options...)))
}

// option returns the data of a reply's option, nil if there is none.
func option(tb testing.TB, reply []byte, code uint16) []byte {
	tb.Helper()
	var found []byte
	if len(reply) < 12 {
		tb.Fatalf("reply %x", reply)
	}
	visit := func(_ int, typ uint16, data, length int) {
		if typ != dns.TypeOPT {
			return
		}
		for rest := reply[data : data+length]; len(rest) > 0; {
			n := 4 + int(binary.BigEndian.Uint16(rest[2:]))
			if binary.BigEndian.Uint16(rest) == code {
				found = rest[4:n:n]
			}
			rest = rest[n:]
		}
	}
	if binary.BigEndian.Uint16(reply[4:]) == 0 { // which rawRecords expects one of
		visit(12, binary.BigEndian.Uint16(reply[13:]), 23, int(binary.BigEndian.Uint16(reply[21:])))
		return found
	}
	rawRecords(tb, reply, visit)
	return found
}

func TestE14NSID(t *testing.T) {
	src := newSource(many(t, "_big._tcp", 100), web(t))
	named := newServer(t, src, func(c *dnsserver.Config) { c.NSID = "ns-a" })
	ask := wireOption(dns.EDNS0NSID, nil)
	for _, tt := range []struct {
		name string
		s    *dnsserver.Server
		in   []byte
		want string
	}{
		{"asked", named, withOptions(t, zone, dns.TypeSOA, ask), "ns-a"},
		{"asked with something to ignore", named, withOptions(t, zone, dns.TypeSOA, wireOption(dns.EDNS0NSID, []byte("x"))), "ns-a"},
		{"with an error", named, withOptions(t, "other.test.", dns.TypeSOA, ask), "ns-a"},
		{"with a truncated reply", named, withOptions(t, "_big._tcp."+zone, dns.TypeSRV, ask), "ns-a"},
		{"behind the error that it is in", named, message(header(flagsQuery, 1, 0, 0, 1), []byte{0xff}, wireOPT(512, 0, 0, ask)), "ns-a"},
		{"not asked", named, withOptions(t, zone, dns.TypeSOA), ""},
		{"not configured", newServer(t, src), withOptions(t, zone, dns.TypeSOA, ask), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := option(t, tt.s.Answer(tt.in, nil, dnsserver.UDP), dns.EDNS0NSID); string(got) != tt.want {
				t.Errorf("NSID %q, want %q", got, tt.want)
			}
		})
	}
}

// TestE14HasItsRoom asks for what it is told beside answers of every size.
func TestE14HasItsRoom(t *testing.T) {
	src := newSource()
	s := newServer(t, src, func(c *dnsserver.Config) { c.NSID = "a-rather-long-name-of-a-server" })
	cut := 0
	for n := range 40 {
		src.set(many(t, "_web._tcp", n+1))
		out := s.Answer(withOptions(t, "_web._tcp."+zone, dns.TypeSRV, wireOption(dns.EDNS0NSID, nil)), nil, dnsserver.UDP)
		if len(out) > 1232 || option(t, out, dns.EDNS0NSID) == nil {
			t.Errorf("%d instances: %d octets, NSID %q", n+1, len(out), option(t, out, dns.EDNS0NSID))
		}
		if out[2]&0x02 != 0 {
			cut++
		}
	}
	if cut == 0 || cut == 40 {
		t.Errorf("%d of 40 replies truncated", cut)
	}
}

func TestE17Keepalive(t *testing.T) {
	s := newServer(t, newSource(web(t)), func(c *dnsserver.Config) { c.IdleTimeout = 7 * time.Second })
	ask := withOptions(t, zone, dns.TypeSOA, wireOption(dns.EDNS0TCPKEEPALIVE, nil))
	for _, tt := range []struct {
		name string
		from dnsserver.Client
		in   []byte
		want []byte
	}{
		{"UDP", dnsserver.Client{Transport: dnsserver.UDP, Idle: time.Minute}, ask, nil},
		{"TCP", dnsserver.Client{Transport: dnsserver.TCP, Idle: 10 * time.Second}, ask, []byte{0, 100}},
		{"no time left", dnsserver.Client{Transport: dnsserver.TCP}, ask, []byte{0, 0}},
		{"more than there are digits for", dnsserver.Client{Transport: dnsserver.TCP, Idle: 3 * time.Hour}, ask, []byte{0xff, 0xff}},
		{"not asked", dnsserver.Client{Transport: dnsserver.TCP, Idle: time.Second}, withOptions(t, zone, dns.TypeSOA), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, option(t, s.AnswerTo(tt.from, tt.in, nil), dns.EDNS0TCPKEEPALIVE)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if got := option(t, s.Answer(ask, nil, dnsserver.TCP), dns.EDNS0TCPKEEPALIVE); !bytes.Equal(got, []byte{0, 70}) {
		t.Errorf("a client without address is told %x", got)
	}
}

// TestE17KeepaliveUnderLoad fills a server with connections: what they are told grows less, and then nothing.
func TestE17KeepaliveUnderLoad(t *testing.T) {
	s := start(t, newServer(t, newSource(), func(c *dnsserver.Config) { c.MaxTCPConns, c.IdleTimeout = 4, 8*time.Second }))
	m := edns(question(zone, dns.TypeSOA), 1232)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE})
	var told []uint16
	for range 4 {
		conn := dial(t, s.addr)
		conn.send(framed(t, m))
		for _, o := range conn.receive().IsEdns0().Option {
			told = append(told, o.(*dns.EDNS0_TCP_KEEPALIVE).Timeout)
		}
	}
	if diff := cmp.Diff([]uint16{80, 80, 20, 0}, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// TestE2E9OPTBehindErrors has OPT records behind what cannot be read.
func TestE2E9OPTBehindErrors(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	q := wireQuestion(t, zone, dns.TypeSOA)
	opt := wireOPT(1232, 0, 0x8000, nil)
	one := header(flagsQuery, 1, 0, 0, 1)
	padded := wireOPT(1232, 0, 0, wireOption(dns.EDNS0PADDING, make([]byte, 100)))
	broken := []byte{0xff, 0xff, 0xff}
	for _, tt := range []struct {
		name, rcode string
		in          []byte
		opt         bool
	}{
		{"question unreadable", "FORMERR", message(one, broken, opt), true},
		{"record unreadable", "FORMERR", message(header(flagsQuery, 1, 1, 0, 1), q, broken, opt), true},
		{"records missing", "FORMERR", message(header(flagsQuery, 1, 9, 0, 1), q, opt), true},
		{"OPT with options", "FORMERR", message(one, broken, padded), true},
		{"opcode without a known form", "NOTIMP", message(header(opcode(15), 1, 0, 0, 1), q, opt), true},
		{"that and garbage", "NOTIMP", message(header(opcode(6), 7, 7, 7, 7), broken, padded), true},
		{"no additional record counted", "FORMERR", message(header(flagsQuery, 1), broken, opt), false},
		{"another version", "FORMERR", message(one, broken, wireOPT(1232, 1, 0, nil)), false},
		{"options not whole", "FORMERR", message(one, broken, wireOPT(1232, 0, 0, []byte{0, 12, 0, 9, 0})), false},
		{"something behind it", "FORMERR", message(one, broken, opt, []byte{1}), false},
		{"too far from the end", "FORMERR", message(one, broken, wireOPT(1232, 0, 0, wireOption(dns.EDNS0PADDING, make([]byte, 600)))), false},
		{"nothing but its tail", "FORMERR", message(one, opt[1:]), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := exchangeRaw(t, s, tt.in, dnsserver.UDP)
			if got := r.IsEdns0() != nil; rcode(r) != tt.rcode || got != tt.opt {
				t.Errorf("%s, OPT %v; want %s, %v", rcode(r), got, tt.rcode, tt.opt)
			}
		})
	}
}

func TestB11ChaosIsOffByDefault(t *testing.T) {
	src := newSource(web(t))
	telling := newServer(t, src, func(c *dnsserver.Config) { c.Chaos, c.Version, c.NSID = true, "dnsreg 1.0", "ns-a" })
	silent := newServer(t, src, func(c *dnsserver.Config) { c.Version, c.NSID = "dnsreg 1.0", "ns-a" })
	nothing := newServer(t, src, func(c *dnsserver.Config) { c.Chaos = true })
	for _, tt := range []struct {
		name, qname string
		s           *dnsserver.Server
		qtype       uint16
		class       uint16
		want        []string
	}{
		{"version", "Version.BIND.", telling, dns.TypeTXT, dns.ClassCHAOS, []string{`"dnsreg 1.0"`}},
		{"version by its other name", "version.server.", telling, dns.TypeANY, dns.ClassCHAOS, []string{`"dnsreg 1.0"`}},
		{"identity", "id.server.", telling, dns.TypeTXT, dns.ClassCHAOS, []string{`"ns-a"`}},
		{"identity by its other name", "hostname.bind.", telling, dns.TypeTXT, dns.ClassCHAOS, []string{`"ns-a"`}},
		{"another type", "id.server.", telling, dns.TypeA, dns.ClassCHAOS, nil},
		{"another name", "authors.bind.", telling, dns.TypeTXT, dns.ClassCHAOS, nil},
		{"another class", "id.server.", telling, dns.TypeTXT, dns.ClassHESIOD, nil},
		{"off", "id.server.", silent, dns.TypeTXT, dns.ClassCHAOS, nil},
		{"nothing to tell", "id.server.", nothing, dns.TypeTXT, dns.ClassCHAOS, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := question(tt.qname, tt.qtype)
			m.Question[0].Qclass = tt.class
			r := exchange(t, tt.s, m, dnsserver.UDP)
			if tt.want == nil {
				if rcode(r) != "REFUSED" || len(r.Answer) > 0 {
					t.Errorf("%v", r)
				}
				return
			}
			if diff := cmp.Diff(tt.want, records(r.Answer)); diff != "" || rcode(r) != "NOERROR" || !r.Authoritative {
				t.Errorf("%v (-want +got):\n%s", r, diff)
			}
			if h := r.Answer[0].Header(); h.Class != dns.ClassCHAOS || h.Ttl != 0 {
				t.Errorf("header %v", h)
			}
		})
	}
}

func TestT6ClientsByPrefix(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1":           "192.0.2.1",
		"2001:db8:1:2:3::4":   "2001:db8:1:2::",
		"2001:db8:1:2:ff::1":  "2001:db8:1:2::",
		"2001:db8:1:2:8000::": "2001:db8:1:2::",
		"::1":                 "::",
	} {
		if got := dnsserver.ClientOf(netip.MustParseAddr(in)).String(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
