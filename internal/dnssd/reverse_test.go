package dnssd_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

func TestReverseZone(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.0/8":        "10.in-addr.arpa.",
		"10.1.0.0/16":       "1.10.in-addr.arpa.",
		"192.0.2.0/24":      "2.0.192.in-addr.arpa.",
		"192.0.2.77/24":     "2.0.192.in-addr.arpa.",
		"f000::/4":          "f.ip6.arpa.",
		"fd00::/8":          "d.f.ip6.arpa.",
		"2001:db8::/32":     "8.b.d.0.1.0.0.2.ip6.arpa.",
		"2001:db8:0:a::/64": "a.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
		"::1/124":           strings.Repeat("0.", 31) + "ip6.arpa.",
	} {
		got, err := dnssd.ReverseZone(netip.MustParsePrefix(in))
		if err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", in, got, err, want)
		}
		if _, err := dnssd.ParseZone(got); err != nil {
			t.Errorf("%s: %q is no zone: %v", in, got, err)
		}
	}
}

func TestReverseZoneRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"0.0.0.0/0": "must be a /8, /16 or /24", "172.16.0.0/12": "must be a /8, /16 or /24", "192.0.2.0/25": "must be a /8, /16 or /24",
		"192.0.2.1/32": "must be a /8, /16 or /24", "::/0": "in steps of 4", "2001:db8::/33": "in steps of 4", "::1/128": "in steps of 4",
		"::ffff:10.0.0.0/104": "mapped into IPv6",
	} {
		if got, err := dnssd.ReverseZone(netip.MustParsePrefix(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v, want %q", in, got, err, want)
		}
	}
	if _, err := dnssd.ReverseZone(netip.Prefix{}); err == nil {
		t.Error("took the zero prefix")
	}
}

func TestReverseLabels(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.255.7":  "10 0 255 7",
		"2001:db8::f": "2 0 0 1 0 d b 8" + strings.Repeat(" 0", 23) + " f",
	} {
		if got := strings.Join(dnssd.ReverseLabels(netip.MustParseAddr(in)), " "); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
