package dnsserver_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/store"
)

// serving adds zones to a server's configuration, each with a source of its own.
func serving(zones ...dnsserver.Zone) func(*dnsserver.Config) {
	return func(c *dnsserver.Config) { c.Zones = append(c.Zones, zones...) }
}

// only is a service of one instance.
func only(tb testing.TB, service store.Service, id string) *store.Snapshot {
	return snapshot(service, instance(tb, service, id))
}

// TestZ4ZoneOfTheLongestSuffix asks a server of zones that lie within each other and beside each other.
func TestZ4ZoneOfTheLongestSuffix(t *testing.T) {
	s := newServer(t, newSource(only(t, "_web._tcp", "top")), serving(
		dnsserver.Zone{Name: "a.b.svc.example", Source: newSource(only(t, "_web._tcp", "deep"))},
		dnsserver.Zone{Name: "other.test", Source: newSource(only(t, "_web._tcp", "other"))},
		dnsserver.Zone{Name: "xsvc.example", Source: newSource(only(t, "_web._tcp", "x"))},
	))
	for _, tt := range []struct{ name, in, target string }{
		{"zone", "_web._tcp.svc.example.", "top.web.svc.example."},
		{"zone below it", "_web._tcp.a.b.svc.example.", "deep.web.a.b.svc.example."},
		{"in capitals", "_WEB._TCP.A.B.SVC.EXAMPLE.", "deep.web.a.b.svc.example."},
		{"zone beside it", "_web._tcp.other.test.", "other.web.other.test."},
		{"zone whose text ends like it", "_web._tcp.xsvc.example.", "x.web.xsvc.example."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := ask(t, s, tt.in, dns.TypeSRV)
			if len(r.Answer) != 1 || r.Answer[0].(*dns.SRV).Target != tt.target {
				t.Errorf("answer %v, want %s", r.Answer, tt.target)
			}
		})
	}
	for _, name := range []string{"example.", "test.", ".", "vc.example.", `x\.svc.example.`, "svc.example.test."} {
		if r := ask(t, s, name, dns.TypeA); rcode(r) != "REFUSED" || r.Authoritative {
			t.Errorf("%s: %v", name, r.MsgHdr)
		}
	}
}

// TestZ5NamesAboveAZone asks for names of a zone that lie above another one: they exist, and the SOA is that of their zone.
func TestZ5NamesAboveAZone(t *testing.T) {
	s := newServer(t, newSource(), serving(dnsserver.Zone{Name: "a.b.c.svc.example", Source: newSource()}))
	for _, tt := range []struct {
		name  string
		qtype uint16
		rcode string
		soa   string
	}{
		{"b.c.svc.example.", dns.TypeA, "NOERROR", "svc.example."},
		{"c.svc.example.", dns.TypeTXT, "NOERROR", "svc.example."},
		{"x.c.svc.example.", dns.TypeA, "NXDOMAIN", "svc.example."},
		{"x.b.c.svc.example.", dns.TypeA, "NXDOMAIN", "svc.example."},
		{"a.b.c.svc.example.", dns.TypeA, "NOERROR", "a.b.c.svc.example."},
		{"x.a.b.c.svc.example.", dns.TypeA, "NXDOMAIN", "a.b.c.svc.example."},
		{"a.b.c.svc.example.", dns.TypeDS, "NOERROR", "svc.example."}, // RFC 4035 section 3.1.4.1
		{"x.a.b.c.svc.example.", dns.TypeDS, "NXDOMAIN", "a.b.c.svc.example."},
		{"svc.example.", dns.TypeDS, "NOERROR", "svc.example."}, // nothing above it is here
	} {
		r := ask(t, s, tt.name, tt.qtype)
		if rcode(r) != tt.rcode || !r.Authoritative || len(r.Answer) > 0 || len(r.Ns) != 1 || r.Ns[0].Header().Name != tt.soa {
			t.Errorf("%s %s: %s, authority %v, want %s of %s", tt.name, dns.TypeToString[tt.qtype], rcode(r), r.Ns, tt.rcode, tt.soa)
		}
	}
}

// TestZ4ZonesAreApart gives two zones different revisions, and loses the source of one of them.
func TestZ4ZonesAreApart(t *testing.T) {
	first, second := newSource(web(t)), newSource(only(t, "_db._tcp", "d"))
	second.set(only(t, "_db._tcp", "d2"))
	second.set(only(t, "_db._tcp", "d3"))
	s := newServer(t, first, serving(dnsserver.Zone{
		Name: "other.test", Source: second, Mailbox: "dns@other.test",
		NameServers: []dnsserver.NameServer{{Name: "ns2.other.test", Addresses: addrs("192.0.2.2")}},
	}))
	lookups(t, s, []lookup{
		{zone, dns.TypeSOA, []string{"ns1.svc.example. hostmaster.svc.example. 1 300 60 86400 5"}},
		{"other.test.", dns.TypeSOA, []string{"ns2.other.test. dns.other.test. 3 300 60 86400 5"}},
		{"ns2.other.test.", dns.TypeA, []string{"192.0.2.2"}},
		{"_services._dns-sd._udp." + zone, dns.TypePTR, []string{"_http._tcp.svc.example."}},
		{"_services._dns-sd._udp.other.test.", dns.TypePTR, []string{"_db._tcp.other.test."}},
		{"lb._dns-sd._udp.other.test.", dns.TypePTR, []string{"other.test."}},
	})
	second.freshness.Store(int32(store.Lost))
	if r := ask(t, s, "_db._tcp.other.test.", dns.TypeSRV); rcode(r) != "SERVFAIL" {
		t.Errorf("lost: %v", r.MsgHdr)
	}
	if r := ask(t, s, "_http._tcp."+zone, dns.TypeSRV); rcode(r) != "NOERROR" || len(r.Answer) != 2 {
		t.Errorf("beside a lost zone: %v", r.MsgHdr)
	}
}

// manyZones returns the most zones that a server may have beside one, at as many depths.
func manyZones(src dnsserver.Source) []dnsserver.Zone {
	var zones []dnsserver.Zone
	for i := range dnsserver.MaxZones - 1 {
		zones = append(zones, dnsserver.Zone{Name: strings.Repeat("x.", i) + "z.test", Source: src})
	}
	return zones
}

func TestZonesAllocateNothing(t *testing.T) {
	src := newSource(web(t))
	s := newServer(t, src, serving(manyZones(src)...))
	for _, name := range []string{"_http._tcp." + zone, "_http._tcp.x.x.z.test.", "nope.z.test.", "x.x.nope.test."} {
		in, out := pack(t, question(name, dns.TypeSRV)), make([]byte, 0, 2048)
		s.Answer(in, out, dnsserver.UDP)
		if n := testing.AllocsPerRun(100, func() { s.Answer(in, out, dnsserver.UDP) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// BenchmarkZones measures the choice among the most zones, all at different depths, for a name that is in none.
func BenchmarkZones(b *testing.B) {
	src := newSource()
	for _, zones := range [][]dnsserver.Zone{nil, manyZones(src)} {
		b.Run(fmt.Sprint(1+len(zones)), func(b *testing.B) {
			s := newServer(b, src, serving(zones...))
			in, out := pack(b, question(strings.Repeat("y.", 70)+"z.other.", dns.TypeA)), make([]byte, 0, 512)
			b.ReportAllocs()
			for b.Loop() {
				s.Answer(in, out, dnsserver.UDP)
			}
		})
	}
}
