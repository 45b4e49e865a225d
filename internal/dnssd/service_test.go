package dnssd_test

import (
	"strings"
	"testing"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

func TestParseService(t *testing.T) {
	cases := []struct{ name, in, want, broken string }{
		{"bare name", "web", "_web._tcp", ""},
		{"capitals", "_HtTp._TCP", "_http._tcp", ""},
		{"UDP", "_sip._udp", "_sip._udp", ""},
		{"16 letters", "abcdefghijklmnop", "_abcdefghijklmnop._tcp", ""},
		{"62 letters", strings.Repeat("a", 62), "_" + strings.Repeat("a", 62) + "._tcp", ""},
		{"digits and a letter", "3d", "_3d._tcp", ""},
		{"63 letters", strings.Repeat("a", 63), "", "1 to 62 letters"},
		{"empty", "", "", "1 to 62 letters"},
		{"digits alone", "80", "", "at least one letter"},
		{"two hyphens", "a--b", "", "no two in a row"},
		{"leading hyphen", "-a", "", "no hyphen at either end"},
		{"trailing hyphen", "a-", "", "no hyphen at either end"},
		{"inner underscore", "a_b", "", "letters, digits and hyphens"},
		{"UTF-8", "bü", "", "letters, digits and hyphens"},
		{"SCTP", "_web._sctp", "", "_name._tcp or _name._udp"},
		{"no protocol", "_web", "", "_name._tcp or _name._udp"},
		{"subtype", "_x._sub._web._tcp", "", "_name._tcp or _name._udp"},
		{"bare with protocol", "web._tcp", "", "letters, digits and hyphens"},
		{"meta-query", "dns-sd", "", "reserved"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			got, err := dnssd.ParseService(tc.in)
			wantRule(t, err, tc.broken)
			if got != tc.want {
				t.Errorf("ParseService(%q) = %q, want %q", tc.in, got, tc.want)
			}
		})
	}
}

// FuzzParseService holds that a canonical form is its own canonical form and makes valid labels.
func FuzzParseService(f *testing.F) {
	for _, s := range []string{"web", "_web._tcp", "_WEB._udp", "a--b", "_._tcp", "dns-sd"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		canonical, err := dnssd.ParseService(s)
		if err != nil {
			return
		}
		if again, err := dnssd.ParseService(canonical); err != nil || again != canonical {
			t.Errorf("ParseService(%q) = %q, %v", canonical, again, err)
		}
		if labels, err := dnssd.Split(dnssd.ServiceName("z.", canonical)); err != nil || len(labels) != 3 {
			t.Errorf("service name of %q: %q, %v", s, labels, err)
		}
		if name, _ := dnssd.CutService(canonical); dnssd.CheckHostLabel(name) != nil {
			t.Errorf("the address name of %q is no host name", s)
		}
	})
}
