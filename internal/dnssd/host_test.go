package dnssd_test

import (
	"strings"
	"testing"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

func TestHostLabel(t *testing.T) {
	long := strings.Repeat("ab ", 21) // 63 octets, not LDH
	for in, want := range map[string]string{
		"web-1":    "web-1",
		"Web-1":    "web-1",
		"Web One":  "web-one-mnac7p",
		"web one":  "web-one-mnac7p",
		"web.one":  "web-one-xzacqj",
		"büro.two": "b-ro-two-cianvr",
		"日本":       "z4vl6d",
		"-web-":    "web-c4doij",
		long:       "",
	} {
		got := dnssd.HostLabel(in)
		if want != "" && got != want {
			t.Errorf("HostLabel(%q) = %q, want %q", in, got, want)
		}
		if err := dnssd.CheckHostLabel(got); err != nil {
			t.Errorf("HostLabel(%q) = %q: %v", in, got, err)
		}
	}
}

// FuzzHostLabel holds that every instance id has a host label that is a host label, whatever its case.
func FuzzHostLabel(f *testing.F) {
	for _, s := range []string{"web-1", "Web One", "büro.two", "日本", "-", "a-", strings.Repeat("é ", 21)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if dnssd.CheckInstance(id) != nil {
			return
		}
		host := dnssd.HostLabel(id)
		if err := dnssd.CheckHostLabel(host); err != nil {
			t.Errorf("HostLabel(%q) = %q: %v", id, host, err)
		}
		if folded := dnssd.HostLabel(dnssd.Fold(id)); folded != host {
			t.Errorf("HostLabel differs by case: %q and %q", host, folded)
		}
	})
}

func TestCheckHost(t *testing.T) {
	check := func(host string) error { return dnssd.CheckHost("svc.internal.", host) }
	runRules(t, check, []ruleCase{
		{"label", "web-1", ""},
		{"external", "db.example.org.", ""},
		{"external of one label", "db.", ""},
		{"a digit first", "1.pool.ntp.org.", ""},
		{"two labels without a dot", "a.b", "must be one label"},
		{"underscore", "_web", "must be one label"},
		{"external underscore", "_web.example.org.", "must be one label"},
		{"root", ".", "must be one label"},
		{"empty label", "a..", "must be one label"},
		{"the zone itself", "svc.internal.", "outside the zone"},
		{"below the zone", "x.web.SVC.internal.", "outside the zone"},
		{"beside the zone", "xsvc.internal.", ""},
		{"address", "10.0.0.1.", "not an address"},
	})
}
