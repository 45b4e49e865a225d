package zone_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/bench/internal/zone"
)

// TestCheckAgreesWithDnsreg: all kinds, all services.
func TestCheckAgreesWithDnsreg(t *testing.T) {
	z := zone.Zone{Services: 5, Instances: 3}
	s := server(t, z)
	for _, kind := range []zone.Kind{zone.SRV, zone.PTR, zone.A, zone.TXT, zone.Missing} {
		query := zone.Query{Kind: kind}
		mix, err := z.Mix(query)
		if err != nil {
			t.Fatal(err)
		}
		for n, i := range z.Order() {
			if err := z.Check(query, i, answer(t, s, mix.Queries[n]), 100, 512); err != nil {
				t.Errorf("%s of service %d: %v", kind, i, err)
			}
			if err := z.Check(query, (i+1)%z.Services, answer(t, s, mix.Queries[n]), 100, 512); err == nil && kind != zone.Missing {
				t.Errorf("%s of service %d passes for another one", kind, i)
			}
		}
	}
}

func TestCheckFindsWhatDiffers(t *testing.T) {
	z := zone.Zone{Services: 2, Instances: 3}
	s := server(t, z)
	for _, test := range []struct {
		name   string
		kind   zone.Kind
		change func(*dns.Msg)
		octets int
		want   string
	}{
		{"nothing", zone.SRV, func(*dns.Msg) {}, 200, ""},
		{"another order", zone.SRV, func(m *dns.Msg) { m.Answer[0], m.Answer[2] = m.Answer[2], m.Answer[0] }, 200, ""},
		{"an OPT record", zone.SRV, func(m *dns.Msg) { m.SetEdns0(1232, false) }, 200, ""},
		{"no authority", zone.SRV, func(m *dns.Msg) { m.Authoritative = false }, 200, "not authoritative"},
		{"an error", zone.SRV, func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure }, 200, "SERVFAIL"},
		{"an answer is missing", zone.SRV, func(m *dns.Msg) { m.Answer = m.Answer[1:] }, 200, "is missing"},
		{"an answer twice", zone.SRV, func(m *dns.Msg) { m.Answer = append(m.Answer, m.Answer[0]) }, 200, "is not wanted"},
		{"another port", zone.SRV, func(m *dns.Msg) { m.Answer[0].(*dns.SRV).Port++ }, 200, "is not wanted"},
		{"another TTL", zone.SRV, func(m *dns.Msg) { m.Answer[0].Header().Ttl++ }, 200, "is not wanted"},
		{"an address is missing", zone.SRV, func(m *dns.Msg) { m.Extra = m.Extra[1:] }, 200, "is missing"},
		{"no room for it", zone.SRV, func(m *dns.Msg) { m.Extra = m.Extra[1:] }, 500, ""},
		{"another address", zone.SRV, func(m *dns.Msg) { m.Extra[0].(*dns.A).A[3]++ }, 500, "is not wanted"},
		{"truncated", zone.SRV, func(m *dns.Msg) { m.Truncated, m.Answer, m.Extra = true, nil, nil }, 200, ""},
		{"truncated and wrong", zone.SRV, func(m *dns.Msg) { m.Truncated, m.Answer[0].(*dns.SRV).Port = true, 1 }, 200, "is not wanted"},
		{"missing is there", zone.Missing, func(m *dns.Msg) { m.Rcode = dns.RcodeSuccess }, 100, "not NXDOMAIN"},
		{"missing without SOA", zone.Missing, func(m *dns.Msg) { m.Ns = nil }, 100, "not NXDOMAIN"},
	} {
		t.Run(test.name, func(t *testing.T) {
			query := zone.Query{Kind: test.kind}
			mix, err := z.Mix(query)
			if err != nil {
				t.Fatal(err)
			}
			reply := answer(t, s, mix.Queries[0])
			test.change(reply)
			got := fmt.Sprint(z.Check(query, z.Order()[0], reply, test.octets, 512))
			if test.want == "" {
				test.want = "<nil>"
			}
			if !strings.Contains(got, test.want) {
				t.Errorf("error %q, want %q", got, test.want)
			}
		})
	}
}
