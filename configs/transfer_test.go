package configs_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dnsreg/dnsreg/configs"
)

func TestTransferRules(t *testing.T) {
	e := mustLoad(t, "--dns-keys=keys", "--zone-transfer=10.1.2.3/8, 192.0.2.1 ,::ffff:192.0.2.2,@a.key,2001:db8::/32@b_key")
	want := []configs.TransferRule{
		{Prefix: netip.MustParsePrefix("10.0.0.0/8")},
		{Prefix: netip.MustParsePrefix("192.0.2.1/32")},
		{Prefix: netip.MustParsePrefix("192.0.2.2/32")},
		{Key: "a.key"},
		{Prefix: netip.MustParsePrefix("2001:db8::/32"), Key: "b_key"},
	}
	if diff := cmp.Diff(want, e.Zone.Transfer, comparable); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNotifyTargets(t *testing.T) {
	e := mustLoad(t, "--dns-keys=keys", "--zone-notify=192.0.2.1:53,[2001:db8::1]:5353@a.key,[::ffff:192.0.2.2]:53")
	want := []configs.NotifyTarget{
		{Addr: netip.MustParseAddrPort("192.0.2.1:53")},
		{Addr: netip.MustParseAddrPort("[2001:db8::1]:5353"), Key: "a.key"},
		{Addr: netip.MustParseAddrPort("192.0.2.2:53")},
	}
	if diff := cmp.Diff(want, e.Zone.Notify, comparable); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWrongTransfers(t *testing.T) {
	const rule = "must be a prefix, @ and the name of a key, or both"
	const target = "must be an IP address and a port"
	for _, tt := range []struct{ flag, want string }{
		{"--zone-transfer=10.0.0.0/33", `zone.transfer "10.0.0.0/33": ` + rule},
		{"--zone-transfer=ns2.example.net", rule},
		{"--zone-transfer=@", rule},
		{"--zone-transfer=10.0.0.0/8@", rule},
		{"--zone-transfer=@a b", rule},
		{"--zone-transfer=10.0.0.0/8,,", rule},
		{"--zone-transfer=@a", `zone.transfer "@a": must name no key unless dns.keys is set`},
		{"--zone-notify=192.0.2.1", `zone.notify "192.0.2.1": ` + target},
		{"--zone-notify=ns2.example.net:53", target},
		{"--zone-notify=0.0.0.0:53", target},
		{"--zone-notify=224.0.0.1:53", target},
		{"--zone-notify=192.0.2.1:0", target},
		{"--zone-notify=192.0.2.1:53@", target},
		{"--zone-notify=192.0.2.1:53@a", `zone.notify "192.0.2.1:53@a": must name no key unless dns.keys is set`},
		{"--zone-transfer=" + repeated(257, "10.0.0.%d", 256), "must be at most 256 rules"},
		{"--zone-notify=" + repeated(65, "10.0.0.1:%d", 65536), "must be at most 64 addresses"},
		{"--dns-journal=1025", "must be a whole number from 1 to 1024, or 0"},
		{"--zone-others=a.test?transfer=@a", `zone.others[0].transfer "@a": must name no key unless dns.keys is set`},
	} {
		_, err := load(t, tt.flag)
		if got := strings.ReplaceAll(problems(t, err), "\n", " "); !strings.Contains(got, strings.ReplaceAll(tt.want, `": `, `" `)) && !strings.Contains(got, tt.want) {
			t.Errorf("%.60s:\n got %.300s\nwant %s", tt.flag, got, tt.want)
		}
	}
	mustLoad(t, "--zone-transfer="+repeated(256, "10.0.0.%d", 256), "--zone-notify="+repeated(64, "10.0.0.1:%d", 65536), "--dns-journal=1024")
}

// repeated returns a list of n elements, each with a number from 1 up that is less than end.
func repeated(n int, format string, end int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(format, 1+i%(end-1)))
	}
	return strings.Join(all, ",")
}
