package dnsserver_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/store"
)

func TestB3ApexAndNameServers(t *testing.T) {
	s := newServer(t, newSource(web(t)), func(c *dnsserver.Config) {
		c.Zones[0].NameServers = []dnsserver.NameServer{
			{Name: "NS1.svc.example", Addresses: addrs("192.0.2.1", "2001:db8::53")},
			{Name: "ns.other.test."},
		}
		c.Zones[0].Mailbox = "dns.admin@example.net"
	})
	for _, tt := range []struct {
		name, qname        string
		qtype              uint16
		answer, additional []string
	}{
		{"SOA", zone, dns.TypeSOA, []string{"ns1.svc.example. dns\\.admin.example.net. 1 300 60 86400 5"}, []string{}},
		{"NS", zone, dns.TypeNS, []string{"ns.other.test.", "ns1.svc.example."}, []string{"192.0.2.1", "2001:db8::53"}},
		{"A of a name server", "ns1." + zone, dns.TypeA, []string{"192.0.2.1"}, []string{}},
		{"AAAA of a name server", "ns1." + zone, dns.TypeAAAA, []string{"2001:db8::53"}, []string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := ask(t, s, tt.qname, tt.qtype)
			if diff := cmp.Diff(tt.answer, records(r.Answer)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.additional, records(r.Extra)); diff != "" {
				t.Errorf("additional (-want +got):\n%s", diff)
			}
			for _, rr := range r.Answer {
				if rr.Header().Ttl != 300 {
					t.Errorf("TTL %d of %v", rr.Header().Ttl, rr)
				}
			}
		})
	}
}

// kinds are questions about every kind of name, with the response code and whether there is an answer.
var kinds = []struct {
	qname  string
	qtype  uint16
	rcode  string
	answer bool
}{
	{zone, dns.TypeSOA, "NOERROR", true},
	{zone, dns.TypeNS, "NOERROR", true},
	{zone, dns.TypeMX, "NOERROR", false},
	{zone, 1000, "NOERROR", false},
	{"ns1." + zone, dns.TypeA, "NOERROR", true},
	{"ns1." + zone, dns.TypeAAAA, "NOERROR", false},
	{"x.ns1." + zone, dns.TypeA, "NXDOMAIN", false},
	{"nope." + zone, dns.TypeA, "NXDOMAIN", false},
	{"a.b.c.nope." + zone, dns.TypeA, "NXDOMAIN", false},
	{"_tcp." + zone, dns.TypeA, "NOERROR", false},
	{"_udp." + zone, dns.TypeA, "NOERROR", false},
	{"_sctp." + zone, dns.TypeA, "NXDOMAIN", false},
	{"_http._tcp." + zone, dns.TypeSRV, "NOERROR", true},
	{"_http._tcp." + zone, dns.TypePTR, "NOERROR", true},
	{"_http._tcp." + zone, dns.TypeTXT, "NOERROR", true},
	{"_http._tcp." + zone, dns.TypeA, "NOERROR", false},
	{"_http._udp." + zone, dns.TypeSRV, "NXDOMAIN", false},
	{"_nope._tcp." + zone, dns.TypeSRV, "NXDOMAIN", false},
	{"http._tcp." + zone, dns.TypeSRV, "NXDOMAIN", false},
	{"_http." + zone, dns.TypeSRV, "NXDOMAIN", false},
	{`_http\._tcp.` + zone, dns.TypeSRV, "NXDOMAIN", false},
	{"h1._http._tcp." + zone, dns.TypeSRV, "NOERROR", true},
	{"h1._http._tcp." + zone, dns.TypeTXT, "NOERROR", true},
	{"h1._http._tcp." + zone, dns.TypePTR, "NOERROR", false},
	{"h9._http._tcp." + zone, dns.TypeSRV, "NXDOMAIN", false},
	{"x.h1._http._tcp." + zone, dns.TypeSRV, "NXDOMAIN", false},
	{"_sub._http._tcp." + zone, dns.TypePTR, "NOERROR", false},
	{"_sub._other._tcp." + zone, dns.TypePTR, "NXDOMAIN", false},
	{"admin._sub._http._tcp." + zone, dns.TypePTR, "NOERROR", true},
	{"admin._sub._http._tcp." + zone, dns.TypeSRV, "NOERROR", false},
	{"nope._sub._http._tcp." + zone, dns.TypePTR, "NXDOMAIN", false},
	{"x.admin._sub._http._tcp." + zone, dns.TypePTR, "NXDOMAIN", false},
	{"http." + zone, dns.TypeA, "NOERROR", true},
	{"http." + zone, dns.TypeAAAA, "NOERROR", true},
	{"http." + zone, dns.TypeSRV, "NOERROR", false},
	{"h1.http." + zone, dns.TypeA, "NOERROR", true},
	{"h1.http." + zone, dns.TypeAAAA, "NOERROR", true},
	{"h2.http." + zone, dns.TypeAAAA, "NOERROR", false},
	{"h9.http." + zone, dns.TypeA, "NXDOMAIN", false},
	{"x.h1.http." + zone, dns.TypeA, "NXDOMAIN", false},
	{"_dns-sd._udp." + zone, dns.TypePTR, "NOERROR", false},
	{"_dns-sd._tcp." + zone, dns.TypePTR, "NXDOMAIN", false},
	{"_services._dns-sd._udp." + zone, dns.TypePTR, "NOERROR", true},
	{"b._dns-sd._udp." + zone, dns.TypePTR, "NOERROR", true},
	{"r._dns-sd._udp." + zone, dns.TypePTR, "NXDOMAIN", false},
	{"x.b._dns-sd._udp." + zone, dns.TypePTR, "NXDOMAIN", false},
}

func other(tb testing.TB) *store.Snapshot {
	return snapshot("_other._tcp", instance(tb, "_other._tcp", "o1"))
}

func TestB4B5NoDataAndNoName(t *testing.T) {
	s := newServer(t, newSource(web(t), other(t)))
	for _, tt := range kinds {
		t.Run(tt.qname+" "+dns.TypeToString[tt.qtype], func(t *testing.T) {
			r := ask(t, s, tt.qname, tt.qtype)
			if rcode(r) != tt.rcode || len(r.Answer) > 0 != tt.answer || !r.Authoritative {
				t.Fatalf("%s with %d answers, AA %v; want %s, answer %v", rcode(r), len(r.Answer), r.Authoritative, tt.rcode, tt.answer)
			}
			want := []string{}
			if !tt.answer {
				want = []string{zone + " SOA"}
			}
			if diff := cmp.Diff(want, owners(r.Ns)); diff != "" {
				t.Errorf("authority (-want +got):\n%s", diff)
			}
		})
	}
}

func TestB6EmptyNonTerminals(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	for _, name := range []string{"_tcp.", "_udp.", "_dns-sd._udp.", "_sub._http._tcp.", "_http._tcp."} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeNS, 116} {
			if r := ask(t, s, name+zone, qtype); r.Rcode != dns.RcodeSuccess || len(r.Answer) > 0 || len(r.Ns) != 1 {
				t.Errorf("%s type %d: %s, %d answers, %d in authority", name, qtype, rcode(r), len(r.Answer), len(r.Ns))
			}
		}
	}
}

func TestB7NamesEndWithTheirInstances(t *testing.T) {
	src := newSource(web(t))
	s := newServer(t, src)
	names := []string{
		"_tcp.", "_http._tcp.", "h1._http._tcp.", "_sub._http._tcp.", "admin._sub._http._tcp.", "http.", "h1.http.",
		"_services._dns-sd._udp.",
	}
	expect := func(what, want string) {
		t.Helper()
		for _, name := range names {
			if r := ask(t, s, name+zone, dns.TypeANY); rcode(r) != want {
				t.Errorf("%s: %s is %s, want %s", what, name, rcode(r), want)
			}
		}
	}
	expect("registered", "NOERROR")

	all := web(t).Instances
	for i := range all {
		all[i] = draining(all[i])
	}
	src.set(snapshot("_http._tcp", all...))
	expect("all draining", "NXDOMAIN")

	src.set(web(t))
	expect("back", "NOERROR")
	src.set(&store.Snapshot{Service: "_http._tcp"})
	expect("expired", "NXDOMAIN")
	if r := ask(t, s, "_udp."+zone, dns.TypeA); rcode(r) != "NOERROR" {
		t.Errorf("_udp, above the browsing names: %s", rcode(r))
	}
}

func TestB7DrainingInstanceAmongOthers(t *testing.T) {
	h1, h2 := web(t).Instances[0], web(t).Instances[1]
	s := newServer(t, newSource(snapshot("_http._tcp", draining(h1), h2)))
	for _, name := range []string{"h1._http._tcp.", "h1.http.", "_sub._http._tcp.", "admin._sub._http._tcp."} {
		if r := ask(t, s, name+zone, dns.TypeANY); rcode(r) != "NXDOMAIN" {
			t.Errorf("%s: %s", name, rcode(r))
		}
	}
	r := ask(t, s, "_http._tcp."+zone, dns.TypeSRV)
	if diff := cmp.Diff([]string{"0 1 8080 h2.http.svc.example."}, records(r.Answer)); diff != "" {
		t.Errorf("SRV (-want +got):\n%s", diff)
	}
	if r := ask(t, s, "http."+zone, dns.TypeAAAA); len(r.Answer) != 0 || rcode(r) != "NOERROR" {
		t.Errorf("address of a draining instance: %v", r.Answer)
	}
}

func TestB7ExternalHostsLeaveNoBareName(t *testing.T) {
	s := newServer(t, newSource(snapshot("_ext._tcp", instance(t, "_ext._tcp", "e1", external("db.other.test.")))))
	if r := ask(t, s, "ext."+zone, dns.TypeA); rcode(r) != "NXDOMAIN" {
		t.Errorf("name without addresses: %s", rcode(r))
	}
	if r := ask(t, s, "_ext._tcp."+zone, dns.TypeSRV); !slices.Equal(records(r.Answer), []string{"0 1 8080 db.other.test."}) {
		t.Errorf("SRV %v", r.Answer)
	}
}

func TestB8NegativeTTL(t *testing.T) {
	for _, tt := range []struct {
		name              string
		negative          time.Duration
		ttl, minimum, soa uint32
	}{
		{"default", 0, 5, 5, 300},
		{"shorter than the SOA's", 2 * time.Second, 2, 2, 300},
		{"longer than the SOA's", time.Hour, 300, 3600, 300},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, newSource(), func(c *dnsserver.Config) { c.NegativeTTL = tt.negative })
			for _, name := range []string{"nope." + zone, "_udp." + zone} {
				r := ask(t, s, name, dns.TypeA)
				soa, ok := r.Ns[0].(*dns.SOA)
				if !ok || soa.Hdr.Name != zone || soa.Hdr.Ttl != tt.ttl || soa.Minttl != tt.minimum {
					t.Errorf("%s: authority %v", name, r.Ns)
				}
			}
			if r := ask(t, s, zone, dns.TypeSOA); r.Answer[0].Header().Ttl != tt.soa {
				t.Errorf("SOA as an answer: %v", r.Answer)
			}
		})
	}
}

func TestB9UnknownTypes(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	for _, name := range []string{zone, "h1.http." + zone, "_http._tcp." + zone, "h1._http._tcp." + zone} {
		for _, qtype := range []uint16{0, 1000, 65400, 65535, dns.TypeHTTPS} {
			if r := ask(t, s, name, qtype); r.Rcode != dns.RcodeSuccess || len(r.Answer) != 0 || len(r.Ns) != 1 {
				t.Errorf("%s TYPE%d: %s, %v", name, qtype, rcode(r), r.Answer)
			}
		}
	}
}

func TestB10OutsideTheZone(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	for _, name := range []string{"www.other.test.", "example.", ".", "xsvc.example.", "svc.example.test.", `a\.svc.example.`, `a\003svc.example.`} {
		r := ask(t, s, name, dns.TypeA)
		if rcode(r) != "REFUSED" || r.Authoritative || len(r.Answer)+len(r.Ns) > 0 || len(r.Question) != 1 {
			t.Errorf("%s: %v", name, r)
		}
	}
}

func TestB11OtherClasses(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	for _, class := range []uint16{dns.ClassCHAOS, dns.ClassHESIOD, dns.ClassNONE, dns.ClassANY, 77} {
		m := edns(question(zone, dns.TypeSOA), 1232)
		m.Question[0].Qclass = class
		if r := exchange(t, s, m, dnsserver.UDP); rcode(r) != "REFUSED" || len(r.Answer) > 0 || r.Authoritative {
			t.Errorf("class %d: %v", class, r)
		}
	}
}

// TestB16FoldsEveryOctet has each octet at each place of names that are folded in one piece, in two, and in parts of one.
func TestB16FoldsEveryOctet(t *testing.T) {
	for n := 1; n <= 17; n++ {
		for i := range n {
			for c := range 256 {
				in := []byte("AZ@[az`{\xc1\xda\x00\x3fAZ\x80\xffm")[:n]
				in[i] = byte(c)
				want := bytes.Clone(in)
				for j, b := range in {
					if b >= 'A' && b <= 'Z' {
						want[j] = b + 'a' - 'A'
					}
				}
				got := make([]byte, n)
				if dnsserver.Fold(got, in); !bytes.Equal(got, want) {
					t.Fatalf("%q: %q, want %q", in, got, want)
				}
			}
		}
	}
}

func TestB16NamesCompareWithoutASCIICase(t *testing.T) {
	s := newServer(t, newSource(snapshot("_http._tcp", instance(t, "_http._tcp", "büro Ab", subtypes("Übung")))))
	for _, tt := range []struct {
		qname string
		qtype uint16
		rcode string
	}{
		{"_HtTp._TCP.SVC.example.", dns.TypeSRV, "NOERROR"},
		{`b\195\188RO\032aB._http._tcp.svc.EXAMPLE.`, dns.TypeSRV, "NOERROR"},
		{`B\195\156RO\032ab._http._tcp.svc.example.`, dns.TypeSRV, "NXDOMAIN"}, // Ü is another letter than ü
		{`\195\156BUNG._SUB._http._tcp.svc.example.`, dns.TypePTR, "NOERROR"},
		{`\195\188bung._sub._http._tcp.svc.example.`, dns.TypePTR, "NXDOMAIN"},
		{"HTTP.svc.example.", dns.TypeA, "NOERROR"},
		{"NS1.svc.example.", dns.TypeA, "NOERROR"},
		{"LB._DNS-SD._UDP.svc.example.", dns.TypePTR, "NOERROR"},
		{"_SERVICES._dns-sd._udp.svc.example.", dns.TypePTR, "NOERROR"},
	} {
		if r := ask(t, s, tt.qname, tt.qtype); rcode(r) != tt.rcode || len(r.Answer) > 0 != (tt.rcode == "NOERROR") {
			t.Errorf("%s: %s, %d answers", tt.qname, rcode(r), len(r.Answer))
		}
	}
}

func TestB17CaseIsKept(t *testing.T) {
	s := newServer(t, newSource(snapshot("_http._tcp", instance(t, "_http._tcp", "Web One"))))
	r := ask(t, s, "_hTTp._TcP.svc.eXample.", dns.TypePTR)
	if got := r.Question[0].Name; got != "_hTTp._TcP.svc.eXample." {
		t.Errorf("question echoed as %s", got)
	}
	if got := r.Answer[0].(*dns.PTR).Ptr; !strings.HasPrefix(got, `Web\ One.`) {
		t.Errorf("instance named %s", got)
	}
	r = ask(t, s, `wEB\032one._http._tcp.`+zone, dns.TypeSRV)
	if got := r.Answer[0].Header().Name; got != `wEB\ one._http._tcp.`+zone {
		t.Errorf("owner %s", got)
	}
}

func TestB22NoAliases(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	for _, name := range []string{"h1.http.", "ns1.", "h1._http._tcp."} {
		if r := ask(t, s, name+zone, dns.TypeCNAME); r.Rcode != dns.RcodeSuccess || len(r.Answer) > 0 {
			t.Errorf("%s: %v", name, r)
		}
	}
}

func TestB24NamesTooLongToEncode(t *testing.T) {
	long := strings.Repeat("x", 64) // no store lets it in
	for what, breakIt := range map[string]func(*store.Live){
		"id":            func(l *store.Live) { l.ID = long },
		"empty id":      func(l *store.Live) { l.ID = "" },
		"host":          func(l *store.Live) { l.Host = long },
		"external host": func(l *store.Live) { l.Host = strings.Repeat("a.", 130) },
		"empty label":   func(l *store.Live) { l.Host = "a..b." },
	} {
		broken := instance(t, "_http._tcp", "h1")
		breakIt(&broken)
		s := newServer(t, newSource(snapshot("_http._tcp", broken), other(t)))
		for _, name := range []string{"_http._tcp.", "http.", "h1.http."} {
			if r := ask(t, s, name+zone, dns.TypeSRV); rcode(r) != "SERVFAIL" || ede(r) != 0 {
				t.Errorf("%s, %s: %v", what, name, r)
			}
		}
		if r := ask(t, s, "_other._tcp."+zone, dns.TypeSRV); len(r.Answer) != 1 {
			t.Errorf("%s: another service: %v", what, r)
		}
	}
}

func TestB24LongestNames(t *testing.T) {
	label := strings.Repeat("a", 63)
	long := strings.Repeat("b", 62)
	service := store.Service("_" + long + "._tcp")
	s := newServer(t, newSource(snapshot(service, instance(t, service, label, subtypes(label)))))
	for _, tt := range []struct {
		qname string
		qtype uint16
	}{
		{label + "._" + long + "._tcp." + zone, dns.TypeSRV},
		{label + "._sub._" + long + "._tcp." + zone, dns.TypePTR},
		{label + "." + long + "." + zone, dns.TypeA},
	} {
		if r := exchange(t, s, question(tt.qname, tt.qtype), dnsserver.UDP); len(r.Answer) != 1 {
			t.Errorf("%s: %v", tt.qname, r)
		}
	}
}
