package dnssd_test

import (
	"strings"
	"testing"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

func TestParseZone(t *testing.T) {
	label := strings.Repeat("x", 63)
	at160 := label + "." + label + "." + label[:30] + "." // 64 + 64 + 31 + 1
	cases := []struct{ name, in, want, broken string }{
		{"canonical", "svc.internal.", "svc.internal.", ""},
		{"no final dot", "svc.internal", "svc.internal.", ""},
		{"capitals", "Svc.Internal", "svc.internal.", ""},
		{"one label", "internal", "internal.", ""},
		{"underscore", "_svc.internal", "_svc.internal.", ""},
		{"160 octets", at160, at160, ""},
		{"161 octets", "x" + label[:62] + "." + label + "." + label[:31] + ".", "", "at most 160 octets"},
		{"empty", "", "", "must not be the root"},
		{"root", ".", "", "must not be the root"},
		{"local", "local.", "", "multicast DNS"},
		{"below local", "svc.LOCAL", "", "multicast DNS"},
		{"local in front", "local.svc", "local.svc.", ""},
		{"space", "my zone.", "", "separated by dots"},
		{"escape", `a\045b.example`, "", "separated by dots"},
		{"empty label", "a..b", "", "separated by dots"},
		{"hyphen at the end", "a-.b", "", "separated by dots"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			got, err := dnssd.ParseZone(tc.in)
			wantRule(t, err, tc.broken)
			if got != tc.want {
				t.Errorf("ParseZone(%q) = %q, want %q", tc.in, got, tc.want)
			}
		})
	}
}

func TestInZone(t *testing.T) {
	for name, want := range map[string]bool{
		"svc.internal.": true, "web.svc.internal.": true, "WEB.SVC.internal.": true,
		"internal.": false, "xsvc.internal.": false, "svc.internal.x.": false,
	} {
		if got := dnssd.InZone("svc.internal.", name); got != want {
			t.Errorf("InZone(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestInServices(t *testing.T) {
	for _, tt := range []struct {
		outer, inner string
		want         bool
	}{
		{"svc.internal.", "_tcp.svc.internal.", true},
		{"svc.internal.", "a._udp.svc.internal.", true},
		{"svc.internal.", "_web._tcp.svc.internal.", true},
		{"svc.internal.", "tcp.svc.internal.", false},
		{"svc.internal.", "x_tcp.svc.internal.", false},
		{"svc.internal.", "_tcp.a.svc.internal.", false},
		{"svc.internal.", "_tcp.xsvc.internal.", false},
		{"svc.internal.", "svc.internal.", false},
	} {
		if got := dnssd.InServices(tt.outer, tt.inner); got != tt.want {
			t.Errorf("%s in %s: %v", tt.inner, tt.outer, got)
		}
	}
}
