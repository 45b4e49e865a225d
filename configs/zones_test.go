package configs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dnsreg/dnsreg/configs"
)

func TestWrongZones(t *testing.T) {
	const here = " (dnsreg.yaml:1)"
	for _, tt := range []struct{ name, in, want string }{
		{"no name", "zone: {others: [{mailbox: a@b}]}", `zone.others "?mailbox=a@b": must not be the root` + here},
		{"bad name", "zone: {others: [a..b]}", `zone.others "a..b": must be labels of letters, digits, hyphens and underscores, separated by dots` + here},
		{"unknown key", "zone: {others: [{name: a.test, mail: a@b}]}", "zone.others[0].mail: is unknown; the nearest key is name" + here},
		{"key twice", "zone: {others: [{name: a.test, name: b.test}]}", "zone.others[0].name: must not be there twice" + here},
		{"others of others", "zone: {others: [{name: a.test, others: [b.test]}]}", "zone.others[0].others: is unknown; the nearest key is reverse" + here},
		{"list for one", "zone: {others: [b.test, {name: a.test, mailbox: [a@b]}]}", "zone.others[1].mailbox: must be one value, not a list" + here},
		{"bad value", "zone: {others: [{name: a.test, mailbox: a}]}", `zone.others "a.test?mailbox=a": mailbox "a" must be a mail address, such as hostmaster@example.net` + here},
		{"twice", "zone: {others: [a.test, A.test.]}", `zone.others[1].name "A.test.": must not be named twice` + here},
		{"default twice", "zone: {name: a.test, others: [a.test]}", `zone.others[0].name "a.test": must not be named twice` + here},
		{"among services", "zone: {name: a.test, others: [b._tcp.a.test]}", `zone.others[0].name "b._tcp.a.test": must not lie among the services of a.test` + here},
		{"default among services", "zone: {name: _udp.a.test, others: [a.test]}", `zone.name "_udp.a.test": must not lie among the services of a.test` + here},
		{
			"name server outside", "zone: {others: [{name: a.test, nameservers: [{name: ns.test., addresses: [192.0.2.1]}]}]}",
			`zone.others[0].nameservers "ns.test.=192.0.2.1": must have no addresses, being outside of the zone` + here,
		},
		{
			"reverse", "zone: {reverse: [172.16.0.0/12, 10.0.0.1, '2001:db8::/33', x]}",
			`zone.reverse "172.16.0.0/12": must be a /8, /16 or /24: a reverse zone of IPv4 ends between two octets` + here + "\n" +
				`zone.reverse "10.0.0.1": must be a /8, /16 or /24: a reverse zone of IPv4 ends between two octets` + here + "\n" +
				`zone.reverse "2001:db8::/33": must be a /4 to /124 in steps of 4: a reverse zone of IPv6 ends between two hexadecimal digits` + here + "\n" +
				`zone.reverse "x": must be an IP address or a prefix, such as 10.0.0.0/8` + here,
		},
		{
			"reverse twice", "zone: {reverse: [10.0.0.0/8], others: [{name: a.test, reverse: [10.9.0.0/8]}]}",
			`zone.others[0].reverse "10.0.0.0/8": must not be named twice, nor by two zones` + here,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := loadFile(t, tt.in)
			if got := problems(t, err); got != tt.want {
				t.Errorf("problems:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

func TestWrongZonesInText(t *testing.T) {
	for in, want := range map[string]string{
		"a.test?mail=a@b":                  `mail is unknown; the nearest key is mailbox`,
		"a.test?name=b.test":               `name is unknown; the nearest key is notify`,
		"a.test?mailbox=a@b&mailbox=c@d":   `mailbox must not be there twice`,
		"a.test?strict_names=yes":          `strict_names "yes" must be true or false`,
		"a.test?reverse=10.0.0.0/8,1/2":    `reverse "1/2" must be an IP address or a prefix, such as 10.0.0.0/8`,
		"a.test?nameservers=ns1=192.0.2.x": `nameservers "ns1=192.0.2.x" ` + ruleServerAddress,
	} {
		_, err := load(t, "--zone-others="+in)
		if got := problems(t, err); !strings.Contains(got, ": "+want+" (--zone-others)") {
			t.Errorf("%s:\n got %s\nwant %s", in, got, want)
		}
	}
}

// TestZonesOfTheEnvironment holds that zones can be given without a file.
func TestZonesOfTheEnvironment(t *testing.T) {
	t.Setenv("DNSREG_ZONE_OTHERS", "a.test; b.test?mailbox=x@b.test")
	want := []configs.Zone{{Name: "svc.internal"}, {Name: "a.test"}, {Name: "b.test", Mailbox: "x@b.test"}}
	if diff := cmp.Diff(want, mustLoad(t).Zones(), comparable); diff != "" {
		t.Errorf("zones (-want +got):\n%s", diff)
	}
	want = []configs.Zone{{Name: "svc.internal"}, {Name: "c.test"}, {Name: "d.test"}}
	if diff := cmp.Diff(want, mustLoad(t, "--zone-others=c.test", "--zone-others=d.test").Zones(), comparable); diff != "" {
		t.Errorf("zones (-want +got):\n%s", diff)
	}
}

// TestLimitsOfZones goes up to each limit and one beyond.
func TestLimitsOfZones(t *testing.T) {
	names := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf("z%d.test", i))
		}
		return strings.Join(all, ";")
	}
	prefixes := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf("10.%d.0.0/16", i))
		}
		return strings.Join(all, ",")
	}
	mustLoad(t, "--zone-others="+names(configs.MaxZones-1), "--zone-reverse="+prefixes(configs.MaxReverse))
	_, err := load(t, "--zone-others="+names(configs.MaxZones), "--zone-reverse="+prefixes(configs.MaxReverse+1))
	want := `zone.others "64": must be at most 63 zones (--zone-others)` + "\n" + `zone.reverse "65": must be at most 64 prefixes (--zone-reverse)`
	if got := problems(t, err); got != want {
		t.Errorf("problems:\n%s\nwant:\n%s", got, want)
	}
}
