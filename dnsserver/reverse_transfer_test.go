package dnsserver_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/store"
)

// TestX2X3TransfersOfAReverseZone follows a random history by IXFR: at every view the secondary has what AXFR says, and
// what the answers say.
func TestX2X3TransfersOfAReverseZone(t *testing.T) {
	const apex = "10.in-addr.arpa."
	axfr := question(apex, dns.TypeAXFR)
	rapid.Check(t, func(rt *rapid.T) {
		src := newSource()
		s := newServer(t, src, reversing("10.0.0.0/8", "2001::/16"), transfers())
		serial := src.View().Revision().Serial()
		have := wholeZone(rt, transfer(t, s, axfr), serial)
		for range rapid.IntRange(1, 4).Draw(rt, "views") {
			changed := append(drawZone(t, rt), &store.Snapshot{Service: rapid.SampledFrom(drawnServices).Draw(rt, "removed")})
			next := src.set(changed...).Serial()
			m := ixfr(serial)
			m.Question[0].Name, m.Ns[0].Header().Name = apex, apex
			have.apply(rt, transfer(t, s, m), serial, next)
			serial = next
			if diff := cmp.Diff(wholeZone(rt, transfer(t, s, axfr), serial), have); diff != "" {
				rt.Fatalf("at %d (-AXFR +IXFR):\n%s", serial, diff)
			}
		}
		want := copied{apex + "\t300\tIN\tNS\tns1.svc.example.": true}
		for name, set := range reverseModel(t, src.View()) {
			for target := range set.data {
				if dns.IsSubDomain(apex, name) {
					want[fmt.Sprintf("%s\t%d\tIN\tPTR\t%s", name, set.ttl, target)] = true
				}
			}
		}
		if diff := cmp.Diff(want, have); diff != "" {
			rt.Fatalf("(-model +have):\n%s", diff)
		}
	})
}

// TestX2TransfersDelegate holds that a secondary of a zone learns where another begins, and nothing from below.
func TestX2TransfersDelegate(t *testing.T) {
	list := snapshot("_web._tcp", instance(t, "_web._tcp", "a", with("10.0.0.1", "10.9.8.7")))
	s := newServer(t, newSource(list), reversing("10.0.0.0/8"), transfers(), serving(dnsserver.Zone{
		Name: "lab.svc.example", Source: newSource(list), Reverse: []netip.Prefix{netip.MustParsePrefix("10.9.8.0/24")},
	}))
	for apex, want := range map[string][]string{
		"10.in-addr.arpa.": {
			"10.in-addr.arpa.\t300\tIN\tNS\tns1.svc.example.", "8.9.10.in-addr.arpa.\t300\tIN\tNS\tns1.lab.svc.example.",
			"1.0.0.10.in-addr.arpa.\t5\tIN\tPTR\ta.web.svc.example.",
		},
		zone: {
			"lab.svc.example.\t300\tIN\tNS\tns1.lab.svc.example.", "ns1.lab.svc.example.\t300\tIN\tA\t127.0.0.1",
		},
	} {
		have := wholeZone(t, transfer(t, s, question(apex, dns.TypeAXFR)), 1)
		for _, record := range want {
			if !have[record] {
				t.Errorf("%s lacks %s: %v", apex, record, have)
			}
		}
		for record := range have {
			if strings.HasPrefix(record, "7.8.9.10.") || strings.Contains(record, "a.web.lab.") {
				t.Errorf("%s has %s", apex, record)
			}
		}
	}
}
