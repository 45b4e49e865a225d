package dnsserver_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/store"
)

func TestB18WholeSetsOrTruncation(t *testing.T) {
	s := newServer(t, newSource(many(t, "_big._tcp", 150)))
	for _, qtype := range []uint16{dns.TypeSRV, dns.TypePTR} {
		m := edns(question("_big._tcp."+zone, qtype), 4096)
		if r := exchange(t, s, m, dnsserver.UDP); !r.Truncated || len(r.Answer)+len(r.Ns) != 0 || len(r.Extra) != 1 || !r.Authoritative {
			t.Errorf("over UDP: TC %v, %d records", r.Truncated, len(r.Answer)+len(r.Ns)+len(r.Extra))
		}
		if r := exchange(t, s, m, dnsserver.TCP); r.Truncated || len(r.Answer) != 150 {
			t.Errorf("over TCP: TC %v, %d answers", r.Truncated, len(r.Answer))
		}
	}
	if r := exchange(t, s, edns(question("big."+zone, dns.TypeA), 4096), dnsserver.UDP); !r.Truncated {
		t.Errorf("150 addresses over UDP: %d answers", len(r.Answer))
	}
}

func TestB18TooLargeForTCP(t *testing.T) {
	s := newServer(t, newSource(many(t, "_huge._tcp", 3000)))
	m := edns(question("_huge._tcp."+zone, dns.TypeSRV), 1232)
	if r := exchange(t, s, m, dnsserver.UDP); !r.Truncated {
		t.Errorf("over UDP: %v", r.MsgHdr)
	}
	if r := exchange(t, s, m, dnsserver.TCP); rcode(r) != "SERVFAIL" || r.Authoritative || len(r.Answer) > 0 || ede(r) != 0 {
		t.Errorf("over TCP: %v, EDE %d", r.MsgHdr, ede(r))
	}
}

func TestB18NegativeAnswerThatDoesNotFit(t *testing.T) {
	long := strings.Repeat(strings.Repeat("m", 60)+".", 4)
	s := newServer(t, newSource(), func(c *dnsserver.Config) {
		c.Zones[0].Mailbox = long
		c.Zones[0].NameServers = []dnsserver.NameServer{{Name: long}}
	})
	name := strings.Repeat("q.", 120) + zone
	if r := exchange(t, s, question(name, dns.TypeA), dnsserver.UDP); !r.Truncated || rcode(r) != "NXDOMAIN" || len(r.Ns) > 0 {
		t.Errorf("over UDP: %v", r)
	}
	if r := exchange(t, s, question(name, dns.TypeA), dnsserver.TCP); r.Truncated || len(r.Ns) != 1 {
		t.Errorf("over TCP: %v", r)
	}
}

func TestB19OneTTLForASet(t *testing.T) {
	s := newServer(t, newSource(snapshot("_http._tcp",
		instance(t, "_http._tcp", "h1", ttl(time.Hour), subtypes("admin")),
		instance(t, "_http._tcp", "h2", ttl(3500*time.Millisecond), with("10.0.0.1"), port(81)),
		instance(t, "_http._tcp", "h3", ttl(time.Minute), with("2001:db8::1"), port(82)),
	)), func(c *dnsserver.Config) { c.TTL = 10 * time.Second })
	for _, tt := range []struct {
		qname string
		qtype uint16
		want  uint32
	}{
		{"_http._tcp.", dns.TypeSRV, 3},
		{"_http._tcp.", dns.TypePTR, 3},
		{"_http._tcp.", dns.TypeTXT, 3}, // one record for three instances
		{"http.", dns.TypeA, 3},         // the shorter lease has the same address
		{"http.", dns.TypeAAAA, 10},
		{"h1._http._tcp.", dns.TypeSRV, 10},
		{"h2._http._tcp.", dns.TypeTXT, 3},
		{"h1.http.", dns.TypeA, 10},
		{"h2.http.", dns.TypeA, 3},
		{"admin._sub._http._tcp.", dns.TypePTR, 10},
		{"_services._dns-sd._udp.", dns.TypePTR, 3},
		{"lb._dns-sd._udp.", dns.TypePTR, 300},
	} {
		r := ask(t, s, tt.qname+zone, tt.qtype)
		if len(r.Answer) == 0 {
			t.Errorf("%s: no answer", tt.qname)
		}
		for _, rr := range r.Answer {
			if rr.Header().Ttl != tt.want {
				t.Errorf("%v, want a TTL of %d", rr, tt.want)
			}
		}
	}
}

func TestB20NoDuplicates(t *testing.T) {
	s := newServer(t, newSource(
		snapshot("_http._tcp",
			instance(t, "_http._tcp", "h1", host("box"), txt("a=1")),
			instance(t, "_http._tcp", "h2", host("box"), txt("a=1")),
			instance(t, "_http._tcp", "h3", host("box"), txt("a=2"), port(81))),
		snapshot("_http._udp", instance(t, "_http._udp", "h1", host("box"))),
	))
	for _, tt := range []struct {
		qname string
		qtype uint16
		want  []string
	}{
		{"_http._tcp.", dns.TypeSRV, []string{"0 1 8080 box.http.svc.example.", "0 1 81 box.http.svc.example."}},
		{"_http._tcp.", dns.TypePTR, []string{"h1._http._tcp.svc.example.", "h2._http._tcp.svc.example.", "h3._http._tcp.svc.example."}},
		{"_http._tcp.", dns.TypeTXT, []string{`"a=1"`, `"a=2"`}},
		{"http.", dns.TypeA, []string{"10.0.0.1"}},
		{"box.http.", dns.TypeA, []string{"10.0.0.1"}},
	} {
		r := ask(t, s, tt.qname+zone, tt.qtype)
		if diff := cmp.Diff(tt.want, records(r.Answer)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.qname, diff)
		}
		if extra := owners(r.Extra); len(slices.Compact(slices.Clone(extra))) != len(extra) {
			t.Errorf("%s: a set twice in the additional section: %v", tt.qname, extra)
		}
	}
}

func TestB23LostSource(t *testing.T) {
	for _, tt := range []struct {
		name      string
		freshness store.Freshness
		loaded    bool
		rcode     string
		ede       int
	}{
		{"in step", store.Synced, true, "NOERROR", -1},
		{"stale", store.Stale, true, "NOERROR", int(dns.ExtendedErrorCodeStaleAnswer)},
		{"lost", store.Lost, true, "SERVFAIL", int(dns.ExtendedErrorCodeNetworkError)},
		{"never loaded", store.Lost, false, "SERVFAIL", int(dns.ExtendedErrorCodeNotReady)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := newSource(web(t))
			if !tt.loaded {
				src.view.Store(&store.View{})
			}
			src.freshness.Store(int32(tt.freshness))
			s := newServer(t, src)
			for _, name := range []string{zone, "_http._tcp." + zone, "nope." + zone} {
				r := ask(t, s, name, dns.TypeSRV)
				want := tt.rcode
				if want == "NOERROR" && strings.HasPrefix(name, "nope") {
					want = "NXDOMAIN"
				}
				if rcode(r) != want || ede(r) != tt.ede || r.Authoritative == (want == "SERVFAIL") {
					t.Errorf("%s: %s, EDE %d, AA %v", name, rcode(r), ede(r), r.Authoritative)
				}
			}
			if r := ask(t, s, "www.other.test.", dns.TypeA); rcode(r) != "REFUSED" {
				t.Errorf("outside the zone: %s", rcode(r))
			}
		})
	}
}

// loading is a Source that has loaded, in step, as soon as its first view was taken.
type loading struct {
	*source
	loaded *store.View
}

func (l loading) View() *store.View {
	defer func() {
		l.view.Store(l.loaded)
		l.freshness.Store(int32(store.Synced))
	}()
	return l.source.View()
}

func TestB23LoadedMeanwhile(t *testing.T) {
	src := loading{newSource(), newSource(web(t)).View()}
	src.view.Store(&store.View{})
	src.freshness.Store(int32(store.Lost))
	s := newServer(t, src)
	for _, want := range []string{"SERVFAIL", "NOERROR"} {
		if r := ask(t, s, "_http._tcp."+zone, dns.TypeSRV); rcode(r) != want {
			t.Errorf("%s, want %s", rcode(r), want)
		}
	}
}

func TestRotationSpreadsTheFirstRecord(t *testing.T) {
	s := newServer(t, newSource(snapshot("_http._tcp",
		instance(t, "_http._tcp", "h1"), instance(t, "_http._tcp", "h2"), instance(t, "_http._tcp", "h3"))))
	first := map[string]int{}
	for id := range 300 {
		m := edns(question("_http._tcp."+zone, dns.TypeSRV), 1232)
		m.Id = uint16(id)
		r := exchange(t, s, m, dnsserver.UDP)
		first[r.Answer[0].(*dns.SRV).Target]++
		if len(records(r.Answer)) != 3 {
			t.Fatalf("answer %v", r.Answer)
		}
		// The additional section starts with the same instance.
		if got := r.Extra[0].Header().Name; got != r.Answer[0].(*dns.SRV).Target {
			t.Fatalf("first target %v, first address of %s", r.Answer[0], got)
		}
	}
	want := map[string]int{"h1.http.svc.example.": 100, "h2.http.svc.example.": 100, "h3.http.svc.example.": 100}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("first records (-want +got):\n%s", diff)
	}
}
