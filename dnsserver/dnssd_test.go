package dnsserver_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/store"
)

// lookups asks each question and compares the records of the answer.
func lookups(t *testing.T, s *dnsserver.Server, questions []lookup) {
	t.Helper()
	for _, tt := range questions {
		t.Run(tt.qname+" "+dns.TypeToString[tt.qtype], func(t *testing.T) {
			r := ask(t, s, tt.qname, tt.qtype)
			if diff := cmp.Diff(tt.want, records(r.Answer)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", rcode(r), diff)
			}
		})
	}
}

type lookup struct {
	qname string
	qtype uint16
	want  []string
}

func TestS1ServiceRecords(t *testing.T) {
	weight := uint16(65535)
	overlaid := instance(t, "_http._tcp", "h2", with("10.0.0.2"))
	overlaid.Overlay.Weight = &weight
	s := newServer(t, newSource(snapshot("_http._tcp",
		instance(t, "_http._tcp", "h1", func(in *store.Instance) { in.Priority, in.Weight, in.Port = 65535, 0, 65535 }),
		overlaid,
		instance(t, "_http._tcp", "h3", external("db.other.test."), port(1)),
	)))
	lookups(t, s, []lookup{
		{"_http._tcp." + zone, dns.TypeSRV, []string{
			"0 1 1 db.other.test.", "0 65535 8080 h2.http.svc.example.", "65535 0 65535 h1.http.svc.example.",
		}},
		{"h1._http._tcp." + zone, dns.TypeSRV, []string{"65535 0 65535 h1.http.svc.example."}},
		{"h2._http._tcp." + zone, dns.TypeSRV, []string{"0 65535 8080 h2.http.svc.example."}},
	})
}

func TestS2EveryTargetHasAddresses(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	for _, rr := range ask(t, s, "_http._tcp."+zone, dns.TypeSRV).Answer {
		target := rr.(*dns.SRV).Target
		n := len(ask(t, s, target, dns.TypeA).Answer) + len(ask(t, s, target, dns.TypeAAAA).Answer)
		if n == 0 {
			t.Errorf("no address of %s", target)
		}
	}
}

func TestS3TargetsAreNotCompressed(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	for _, name := range []string{"_http._tcp." + zone, "h1._http._tcp." + zone} {
		for _, qtype := range []uint16{dns.TypeSRV, dns.TypePTR} {
			out := s.Answer(pack(t, edns(question(name, qtype), 1232)), nil, dnsserver.UDP)
			rawRecords(t, out, func(_ int, typ uint16, data, length int) {
				if typ != dns.TypeSRV {
					return
				}
				target, _, err := dns.UnpackDomainName(out, data+6)
				if err != nil || length != 6+len(wireName(t, target)) {
					t.Errorf("SRV data %x, target %s: %v", out[data:data+length], target, err)
				}
			})
		}
	}
}

func TestS4AddressesOfTargets(t *testing.T) {
	s := newServer(t, newSource(snapshot("_http._tcp",
		instance(t, "_http._tcp", "h1", with("10.0.0.1", "10.0.0.2", "2001:db8::1")),
		instance(t, "_http._tcp", "h2", external("db.other.test.")),
		instance(t, "_http._tcp", "h3", with("10.0.0.3")),
	)))
	want := []string{"h1.http.svc.example. A", "h1.http.svc.example. A", "h1.http.svc.example. AAAA", "h3.http.svc.example. A"}
	if diff := cmp.Diff(want, owners(ask(t, s, "_http._tcp."+zone, dns.TypeSRV).Extra)); diff != "" {
		t.Errorf("additional (-want +got):\n%s", diff)
	}
}

func TestS4OverflowingAddressesAreLeftOutWhole(t *testing.T) {
	var list []store.Live
	for i := range 8 {
		list = append(list, instance(t, "_http._tcp", fmt.Sprintf("h%d", i), with(fmt.Sprintf("10.0.0.%d", i+1), fmt.Sprintf("10.0.1.%d", i+1))))
	}
	s := newServer(t, newSource(snapshot("_http._tcp", list...)))
	for size := uint16(512); size < 512+2*32; size++ { // so that one of two addresses would have room, too
		r := exchange(t, s, edns(question("_http._tcp."+zone, dns.TypeSRV), size), dnsserver.UDP)
		if r.Truncated || len(r.Answer) != 8 || len(r.Extra) < 2 || len(r.Extra) > 16 {
			t.Fatalf("%d octets: TC %v, %d answers, %d additional", size, r.Truncated, len(r.Answer), len(r.Extra))
		}
		count := map[string]int{}
		for _, rr := range r.Extra {
			if rr.Header().Rrtype != dns.TypeOPT {
				count[rr.Header().Name]++
			}
		}
		for name, n := range count {
			if n != 2 {
				t.Errorf("%d octets: %d of 2 addresses of %s", size, n, name)
			}
		}
	}
}

func TestS6S7Browsing(t *testing.T) {
	s := newServer(t, newSource(snapshot("_http._tcp",
		instance(t, "_http._tcp", "Web One", txt("a=1")),
		instance(t, "_http._tcp", "büro.two"),
	)))
	r := ask(t, s, "_http._tcp."+zone, dns.TypePTR)
	want := []string{`Web\ One._http._tcp.svc.example.`, `b\195\188ro\.two._http._tcp.svc.example.`}
	if diff := cmp.Diff(want, records(r.Answer)); diff != "" {
		t.Errorf("PTR (-want +got):\n%s", diff)
	}
	for _, rr := range r.Answer {
		name := rr.(*dns.PTR).Ptr
		srv, txt := ask(t, s, name, dns.TypeSRV), ask(t, s, name, dns.TypeTXT)
		if len(srv.Answer) != 1 || len(txt.Answer) != 1 {
			t.Errorf("%s: SRV %v, TXT %v", name, srv.Answer, txt.Answer)
		}
	}
}

func TestS8TXTWithoutAttributes(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	out := s.Answer(pack(t, question("h1._http._tcp."+zone, dns.TypeTXT)), nil, dnsserver.UDP)
	rawRecords(t, out, func(_ int, typ uint16, data, length int) {
		if typ == dns.TypeTXT && (length != 1 || out[data] != 0) {
			t.Errorf("data %x, want one empty string", out[data:data+length])
		}
	})
	lookups(t, s, []lookup{{"h1._http._tcp." + zone, dns.TypeTXT, []string{`""`}}})
}

func TestS9S11TXTStrings(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []string
	}{
		{"no value, empty value, value", []string{"flag", "k=", "v=1"}},
		{"order as registered", []string{"z=1", "a=2", "m=3"}},
		{"backslashes, quotes and dots", []string{`a\b"c=\d"`, `p=C:\x\.`}},
		{"octets that look like escapes", []string{`e=\065\\`}},
		{"UTF-8 and control characters", []string{"u=Zürich", "c=a\tb\x00c"}},
		{"as long as can be", []string{"l=" + strings.Repeat("x", 253)}},
		{"equals signs in the value", []string{"q=a=b=c"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, newSource(snapshot("_http._tcp", instance(t, "_http._tcp", "h1", txt(tt.in...)))))
			out := s.Answer(pack(t, question("h1._http._tcp."+zone, dns.TypeTXT)), nil, dnsserver.UDP)
			var got []string
			rawRecords(t, out, func(_ int, _ uint16, data, length int) {
				for b := out[data : data+length]; len(b) > 0; b = b[1+int(b[0]):] {
					got = append(got, string(b[1:1+int(b[0])]))
				}
			})
			if diff := cmp.Diff(tt.in, got); diff != "" {
				t.Errorf("strings (-registered +answered):\n%s", diff)
			}
		})
	}
}

func TestS12S13InstanceLabels(t *testing.T) {
	ids := []string{"h1", "Web One", "büro.two", `a.b\c`, "tab-less ; ( ) @ $ \" label", strings.Repeat("é", 31), "日本語"}
	var list []store.Live
	for _, id := range ids {
		list = append(list, instance(t, "_http._tcp", id))
	}
	s := newServer(t, newSource(snapshot("_http._tcp", list...)))
	var got []string
	for _, rr := range exchange(t, s, question("_http._tcp."+zone, dns.TypePTR), dnsserver.TCP).Answer {
		name := rr.(*dns.PTR).Ptr
		wire := wireName(t, name)
		got = append(got, string(wire[1:1+wire[0]]))
		if r := ask(t, s, name, dns.TypeSRV); len(r.Answer) != 1 {
			t.Errorf("%s: %s", name, rcode(r))
		}
	}
	slices.Sort(got)
	slices.Sort(ids)
	if diff := cmp.Diff(ids, got); diff != "" {
		t.Errorf("labels (-registered +answered):\n%s", diff)
	}
}

func TestS14TransportProtocols(t *testing.T) {
	s := newServer(t, newSource(
		snapshot("_dns._tcp", instance(t, "_dns._tcp", "t1", with("10.0.0.1"))),
		snapshot("_dns._udp", instance(t, "_dns._udp", "u1", with("10.0.0.2")), instance(t, "_dns._udp", "t1", with("10.0.0.3"))),
	))
	lookups(t, s, []lookup{
		{"_dns._tcp." + zone, dns.TypeSRV, []string{"0 1 8080 t1.dns.svc.example."}},
		{"_dns._udp." + zone, dns.TypeSRV, []string{"0 1 8080 t1.dns.svc.example.", "0 1 8080 u1.dns.svc.example."}},
		{"dns." + zone, dns.TypeA, []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}},
		{"t1.dns." + zone, dns.TypeA, []string{"10.0.0.1", "10.0.0.3"}},
		{"u1.dns." + zone, dns.TypeA, []string{"10.0.0.2"}},
	})
}

func TestS14OnlyUDP(t *testing.T) {
	src := newSource(snapshot("_dns._udp", instance(t, "_dns._udp", "u1", with("10.0.0.2"))))
	s := newServer(t, src)
	lookups(t, s, []lookup{
		{"dns." + zone, dns.TypeA, []string{"10.0.0.2"}},
		{"_tcp." + zone, dns.TypeA, []string{}},
	})
	if r := ask(t, s, "_tcp."+zone, dns.TypeA); rcode(r) != "NXDOMAIN" {
		t.Errorf("_tcp without services: %s", rcode(r))
	}
	// The sibling comes: what is known of the name has to follow.
	src.set(snapshot("_dns._tcp", instance(t, "_dns._tcp", "t1", with("10.0.0.1"))))
	lookups(t, s, []lookup{{"dns." + zone, dns.TypeA, []string{"10.0.0.1", "10.0.0.2"}}})
	src.set(&store.Snapshot{Service: "_dns._udp"})
	lookups(t, s, []lookup{{"dns." + zone, dns.TypeA, []string{"10.0.0.1"}}})
}

func TestS15Subtypes(t *testing.T) {
	s := newServer(t, newSource(snapshot("_http._tcp",
		instance(t, "_http._tcp", "h1", subtypes("admin", "dot.ted", "_Printer")),
		instance(t, "_http._tcp", "h2", subtypes("ADMIN")),
	)))
	lookups(t, s, []lookup{
		{"admin._sub._http._tcp." + zone, dns.TypePTR, []string{"h1._http._tcp.svc.example.", "h2._http._tcp.svc.example."}},
		{`dot\.ted._sub._http._tcp.` + zone, dns.TypePTR, []string{"h1._http._tcp.svc.example."}},
		{"_printer._sub._http._tcp." + zone, dns.TypePTR, []string{"h1._http._tcp.svc.example."}},
		{"_http._tcp." + zone, dns.TypePTR, []string{"h1._http._tcp.svc.example.", "h2._http._tcp.svc.example."}},
	})
}

func TestS16ServiceTypes(t *testing.T) {
	src := newSource(web(t), other(t), snapshot("_http._udp", instance(t, "_http._udp", "h1")),
		snapshot("_gone._tcp", draining(instance(t, "_gone._tcp", "g1"))))
	s := newServer(t, src)
	meta := "_services._dns-sd._udp." + zone
	lookups(t, s, []lookup{{meta, dns.TypePTR, []string{"_http._tcp.svc.example.", "_http._udp.svc.example.", "_other._tcp.svc.example."}}})
	src.set(&store.Snapshot{Service: "_http._tcp"})
	lookups(t, s, []lookup{{meta, dns.TypePTR, []string{"_http._udp.svc.example.", "_other._tcp.svc.example."}}})
}

func TestS16MoreTypesThanFit(t *testing.T) {
	var all []*store.Snapshot
	for i := range 4000 {
		service := store.Service(fmt.Sprintf("_service-%d._tcp", i))
		all = append(all, snapshot(service, instance(t, service, "i")))
	}
	s := newServer(t, newSource(all...))
	m := edns(question("_services._dns-sd._udp."+zone, dns.TypePTR), 1232)
	if r := exchange(t, s, m, dnsserver.UDP); !r.Truncated || len(r.Answer) > 0 {
		t.Errorf("over UDP: %v", r.MsgHdr)
	}
	if r := exchange(t, s, m, dnsserver.TCP); rcode(r) != "SERVFAIL" || ede(r) != 0 || len(r.Answer) > 0 {
		t.Errorf("over TCP: %v, EDE %d", r.MsgHdr, ede(r))
	}
}

func TestS17BrowsingDomains(t *testing.T) {
	s := newServer(t, newSource())
	var want []lookup
	for _, name := range []string{"b", "db", "lb"} {
		want = append(want, lookup{name + "._dns-sd._udp." + zone, dns.TypePTR, []string{zone}})
	}
	lookups(t, s, want)
}

func TestS18AdditionalRecordsOfBrowsing(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	h1 := []string{"h1._http._tcp.svc.example. SRV", "h1._http._tcp.svc.example. TXT", "h1.http.svc.example. A", "h1.http.svc.example. AAAA"}
	h2 := []string{"h2._http._tcp.svc.example. SRV", "h2._http._tcp.svc.example. TXT", "h2.http.svc.example. A"}
	for _, tt := range []struct {
		qname string
		want  []string
	}{
		{"_http._tcp.", slices.Concat(h1, h2)},
		{"admin._sub._http._tcp.", h1},
		{"_services._dns-sd._udp.", []string{}},
		{"b._dns-sd._udp.", []string{}},
	} {
		slices.Sort(tt.want)
		if diff := cmp.Diff(tt.want, owners(ask(t, s, tt.qname+zone, dns.TypePTR).Extra)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.qname, diff)
		}
	}
}

func TestS18LargeAnswersOverTCP(t *testing.T) {
	s := newServer(t, newSource(many(t, "_big._tcp", 800)))
	for _, qtype := range []uint16{dns.TypePTR, dns.TypeSRV} {
		r := exchange(t, s, edns(question("_big._tcp."+zone, qtype), 1232), dnsserver.TCP)
		if r.Truncated || len(r.Answer) != 800 {
			t.Errorf("type %d: TC %v, %d answers", qtype, r.Truncated, len(r.Answer))
		}
		for _, rr := range r.Extra {
			if name := rr.Header().Name; name != "." && !strings.HasPrefix(name, "instance-0") {
				t.Errorf("type %d: additional %v", qtype, rr)
			}
		}
	}
}

// TestS22S24OneViewForAllNames has an instance come and go beside another, and both.
func TestS22S24OneViewForAllNames(t *testing.T) {
	both := web(t)
	one, none := snapshot("_http._tcp", both.Instances[1]), &store.Snapshot{Service: "_http._tcp"}
	src := newSource(both)
	s := newServer(t, src)
	for round, now := range []*store.Snapshot{both, one, both, none, both, one, none, one, both, none, none, both} {
		src.set(now)
		n := len(now.Instances)
		first := max(n-1, 0) // h1 is there only beside h2
		for _, l := range []struct {
			qname string
			qtype uint16
			want  int
		}{
			{"_http._tcp.", dns.TypePTR, n},
			{"_http._tcp.", dns.TypeSRV, n},
			{"http.", dns.TypeA, n},
			{"h1._http._tcp.", dns.TypeTXT, first},
			{"admin._sub._http._tcp.", dns.TypePTR, first},
			{"h1.http.", dns.TypeA, first},
		} {
			if r := ask(t, s, l.qname+zone, l.qtype); len(r.Answer) != l.want {
				t.Fatalf("round %d: %s has %d answers, want %d", round, l.qname, len(r.Answer), l.want)
			}
		}
	}
}

func TestS23TTLIsNoCountdown(t *testing.T) {
	src := newSource(snapshot("_http._tcp", instance(t, "_http._tcp", "h1", ttl(2*time.Second))))
	s := newServer(t, src)
	for range 3 {
		if r := ask(t, s, "_http._tcp."+zone, dns.TypeSRV); r.Answer[0].Header().Ttl != 2 {
			t.Errorf("%v", r.Answer)
		}
	}
	src.set(other(t)) // another revision, the same instance
	if r := ask(t, s, "_http._tcp."+zone, dns.TypeSRV); r.Answer[0].Header().Ttl != 2 {
		t.Errorf("%v", r.Answer)
	}
}

func TestS25SerialIsTheRevision(t *testing.T) {
	src := newSource()
	s := newServer(t, src)
	for _, revision := range []store.Revision{1, 2, 1<<32 - 1, 1 << 32, 1<<32 + 7} {
		src.view.Store((&store.View{}).With(revision))
		for _, name := range []string{zone, "nope." + zone} {
			r := ask(t, s, name, dns.TypeSOA)
			soa := slices.Concat(r.Answer, r.Ns)[0].(*dns.SOA)
			if soa.Serial != uint32(revision) {
				t.Errorf("revision %d: %v", revision, soa)
			}
		}
	}
}
