package dnssd_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"web-1":    `web-1`,
		"Web One":  `Web\032One`,
		"büro.two": `b\195\188ro\.two`,
		`a\b`:      `a\\b`,
		`"x";(@$)`: `\"x\"\;\(\@\$\)`,
		"\x00\x7f": `\000\127`,
	} {
		if got := dnssd.Escape(in); got != want {
			t.Errorf("Escape(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestSplit(t *testing.T) {
	long := strings.Repeat("x", 63)
	cases := []struct {
		name, in string
		want     []string
		broken   string
	}{
		{"root", ".", nil, ""},
		{"empty", "", nil, ""},
		{"plain", "web.svc.internal.", []string{"web", "svc", "internal"}, ""},
		{"no final dot", "web.svc", []string{"web", "svc"}, ""},
		{"escaped space and dot", `Web\032One\.x._tcp.`, []string{"Web One.x", "_tcp"}, ""},
		{"escaped backslash", `a\\b.`, []string{`a\b`}, ""},
		{"escaped dot at the end", `a\.`, []string{"a."}, ""},
		{"label of 63", long + ".", []string{long}, ""},
		{"name of 255", strings.Repeat(long+".", 3) + long[:61] + ".", []string{long, long, long, long[:61]}, ""},
		{"leading dot", ".a.", nil, "empty label"},
		{"two dots", "a..b.", nil, "empty label"},
		{"label of 64", long + "x.", nil, "a label of 64 octets"},
		{"name of 256", strings.Repeat(long+".", 3) + long[:62] + ".", nil, "256 octets"},
		{"backslash at the end", `a\`, nil, "an escape is"},
		{"short escape", `a\12`, nil, "an escape is"},
		{"escape over 255", `a\256.`, nil, "an escape is"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			got, err := dnssd.Split(tc.in)
			wantRule(t, err, tc.broken)
			if err != nil && !errors.Is(err, dnssd.ErrName) {
				t.Errorf("error %v is not ErrName", err)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("labels %q, want %q", got, tc.want)
			}
		})
	}
}

// FuzzSplit holds Split against the packer of an independent library, and Escape as its inverse.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{".", "web.svc.", `Web\032One._http._tcp.svc.`, `b\195\188ro\.two.x.`, `a\`, "a..b", `\000.`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		labels, err := dnssd.Split(name)
		if err != nil {
			return
		}
		presented := "."
		if len(labels) > 0 {
			presented = ""
			for _, l := range labels {
				presented += dnssd.Escape(l) + "."
			}
		}
		wire := make([]byte, 256)
		n, err := dns.PackDomainName(presented, wire, 0, nil, false)
		if err != nil {
			t.Fatalf("%q is split into %q, whose form %q does not pack: %v", name, labels, presented, err)
		}
		if n != dnssd.WireLen(labels...) {
			t.Errorf("WireLen(%q) = %d, packed %d", labels, dnssd.WireLen(labels...), n)
		}
		again, err := dnssd.Split(presented)
		if err != nil || !slices.Equal(again, labels) {
			t.Errorf("Split(%q) = %q, %v; want %q", presented, again, err, labels)
		}
	})
}

func TestDerivedNames(t *testing.T) {
	const zone, service = "svc.internal.", "_web._tcp"
	for _, tc := range []struct{ name, got, want string }{
		{"service", dnssd.ServiceName(zone, service), "_web._tcp.svc.internal."},
		{"instance", dnssd.InstanceName(zone, service, "Web One"), `Web\032One._web._tcp.svc.internal.`},
		{"subtype", dnssd.SubtypeName(zone, service, "a.b"), `a\.b._sub._web._tcp.svc.internal.`},
		{"addresses", dnssd.AddressName(zone, service), "web.svc.internal."},
		{"addresses over UDP", dnssd.AddressName(zone, "_web._udp"), "web.svc.internal."},
		{"target", dnssd.TargetName(zone, service, "web-1"), "web-1.web.svc.internal."},
		{"external target", dnssd.TargetName(zone, service, "db.example.org."), "db.example.org."},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, tc.got, tc.want)
		}
	}
}

func TestCheckLengths(t *testing.T) {
	const service = "_web._tcp"
	label := strings.Repeat("x", 63)
	// <id of 63>._web._tcp.<zone> takes 64+5+5 octets and the zone's own, 255 with a zone of 181.
	zone := strings.Repeat(label[:59]+".", 3)
	cases := []struct {
		name     string
		zone, id string
		subtypes []string
		broken   string
	}{
		{"at the limit", zone, label, nil, ""},
		{"instance one over", "y" + zone, label, nil, "256 octets"},
		{"subtype at the limit", zone, "a", []string{label[:58]}, ""},
		{"subtype one over", zone, "a", []string{label[:59]}, "256 octets"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			wantRule(t, dnssd.CheckLengths(tc.zone, service, tc.id, "h", tc.subtypes), tc.broken)
		})
	}
}
