package configs_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/pflag"

	"github.com/dnsreg/dnsreg/configs"
)

func TestKeys(t *testing.T) {
	seen := make(map[string]string)
	for _, k := range configs.Keys() {
		if k.Usage == "" || k.Type == "" || strings.HasSuffix(k.Usage, ".") {
			t.Errorf("%s: type %q, usage %q", k.Name, k.Type, k.Usage)
		}
		if k.Name != strings.ToLower(k.Name) || strings.Count(k.Name, ".") != 1 {
			t.Errorf("%s: must be section.name in small letters", k.Name)
		}
		for _, name := range []string{k.Flag(), k.Env(), k.Alias} {
			if other, twice := seen[name]; twice && name != "" {
				t.Errorf("%s and %s share %s", other, k.Name, name)
			}
			seen[name] = k.Name
		}
		if len(k.Values) > 0 && !slices.Contains(k.Values, k.Default) {
			t.Errorf("%s: the default %q is not one of %q", k.Name, k.Default, k.Values)
		}
	}
}

func TestNamesOfAKey(t *testing.T) {
	i := slices.IndexFunc(configs.Keys(), func(k configs.Key) bool { return k.Name == "dns.negative_ttl" })
	k := configs.Keys()[i]
	if k.Flag() != "dns-negative-ttl" || k.Env() != "DNSREG_DNS_NEGATIVE_TTL" || k.Default != "5s" {
		t.Errorf("%s is --%s and %s, by default %s", k.Name, k.Flag(), k.Env(), k.Default)
	}
}

func TestFlagsInHelp(t *testing.T) {
	set := pflag.NewFlagSet("test", pflag.ContinueOnError)
	configs.BindFlags(set)
	help := set.FlagUsages()
	for _, k := range configs.Keys() {
		if !strings.Contains(help, "--"+k.Flag()+" ") || !strings.Contains(help, k.Usage) {
			t.Errorf("help does not explain --%s:\n%s", k.Flag(), help)
		}
	}
	for _, want := range []string{"--config ", "--dns-ttl duration ", "(default 5s)", "--zone name ", "short for --zone-name"} {
		if !strings.Contains(help, want) {
			t.Errorf("help does not show %q:\n%s", want, help)
		}
	}
}

// TestNearest goes through slips of the finger.
func TestNearest(t *testing.T) {
	tests := []struct{ in, want string }{
		{"dns.tll", "dns.ttl"},
		{"dns.negativettl", "dns.negative_ttl"},
		{"dns.listen_on", "dns.listen"},
		{"zone.nameserver", "zone.nameservers"},
		{"zone.strictnames", "zone.strict_names"},
		{"store.uri", "store.url"},
		{"http.trusted_proxy", "http.trusted_proxies"},
		{"auth.token", "auth.tokens"},
		{"dns.rate", "dns.rate_limit"},
		{"Store.Max", "store.max_instances"},
		{"LOG.LEVEL", "log.level"},
		{"logs", "log"},
		{"", "dns"},
	}
	for _, tt := range tests {
		_, err := loadFile(t, `"`+tt.in+`": 1`)
		want := tt.in + ": is unknown; the nearest key is " + tt.want + " (dnsreg.yaml:1)"
		if got := problems(t, err); got != want {
			t.Errorf("problems %q, want %q", got, want)
		}
	}
}

// FuzzFile holds that whatever a file says is either refused or means the same after it was printed.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		"", everyKey, "dns: {listen: [a, [b], {c: d}]}", "dns.ttl: 5s", "a: &a [*a]", "&a dns: *a", "zone: {nameservers: 'ns1=::1;ns2'}",
		"zone:\n  nameservers:\n  - name: ns1\n    addresses: 192.0.2.1, ::1\n", "--- !!map\ndns: !!str x\n", "? {a: b}\n: c", "dns: ~",
		"store: {url: 'redis://u:p@h:1,i:2/0?master=m', prefix: \"a:b\"}", "store: {url: 'rediss://h?x', tls_ca: c}",
		"zone: {mailbox: \"a\\tb@c\"}", "zone: {others: [a.test, {name: b.test, reverse: [10.0.0.0/8], mailbox: 'a;b&%@c'}]}", "auth: {tokens: \"a: #b\\n\"}", "http: {trusted_proxies: \"::ffff:10.0.0.0/104, 1.2.3.4\"}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, err := loadFile(t, text)
		if err != nil {
			return
		}
		again, err := loadFile(t, printed(t, first))
		if err != nil {
			t.Fatalf("file %q was accepted, its printed form was not: %v", text, err)
		}
		first.Store.URL = first.Store.ShownURL()
		if diff := cmp.Diff(first.Config, again.Config, comparable, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("file %q means something else when printed (-want +got):\n%s", text, diff)
		}
	})
}
