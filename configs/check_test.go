package configs_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/configs"
)

func TestWrongFiles(t *testing.T) {
	tests := []struct {
		name, in, want string
	}{
		{"unknown key", "dns:\n  tll: 5s", "dns.tll: is unknown; the nearest key is dns.ttl (dnsreg.yaml:2)"},
		{"unknown section", "htttp: {listen: []}", "htttp: is unknown; the nearest key is http (dnsreg.yaml:1)"},
		{"wrong case", "DNS: {ttl: 5s}", "DNS: is unknown; the nearest key is dns (dnsreg.yaml:1)"},
		{"key twice", "dns:\n  ttl: 5s\n  ttl: 6s", "dns.ttl: must not be there twice (dnsreg.yaml:3)"},
		{"section twice", "dns: {ttl: 5s}\ndns: {ttl: 6s}", "dns: must not be there twice (dnsreg.yaml:2)"},
		{"dotted and nested", "dns: {ttl: 5s}\ndns.ttl: 6s", "dns.ttl: must not be there twice (dnsreg.yaml:2)"},
		{"merge key", "a: &a {ttl: 5s}\ndns: {<<: *a}", "a: is unknown; the nearest key is dns (dnsreg.yaml:1)\n" +
			"dns.<<: is unknown; the nearest key is dns (dnsreg.yaml:2)"},
		{"section as value", "dns: 5s", `dns "5s": must be a mapping of keys (dnsreg.yaml:1)`},
		{"whole file a word", "hello", `the file "hello": must be a mapping of keys (dnsreg.yaml:1)`},
		{"whole file a list", "[dns]", `the file: must be a mapping of keys (dnsreg.yaml:1)`},
		{"list for one", "dns: {ttl: [5s]}", "dns.ttl: must be one value, not a list (dnsreg.yaml:1)"},
		{"mapping for one", "dns: {ttl: {a: 5s}}", "dns.ttl: must not be a mapping (dnsreg.yaml:1)"},
		{"mapping for list", "dns: {listen: {a: 5s}}", "dns.listen: must not be a mapping (dnsreg.yaml:1)"},
		{"list in list", "dns: {listen: [[a]]}", "dns.listen[0]: must be one value, not a list (dnsreg.yaml:1)"},
		{"mapping in list", "dns: {listen: [{a: b}]}", "dns.listen[0]: must not be a mapping (dnsreg.yaml:1)"},
		{"null in list", "dns: {listen: [null]}", `dns.listen "null": ` + ruleListen + ` (dnsreg.yaml:1)`},
		{"number for duration", "dns: {ttl: 5}", `dns.ttl "5": ` + ruleTTL + ` (dnsreg.yaml:1)`},
		{"empty duration", `dns: {ttl: ""}`, `dns.ttl: ` + ruleTTL + ` (dnsreg.yaml:1)`},
		{"yes", "zone: {strict_names: yes}", `zone.strict_names "yes": must be true or false (dnsreg.yaml:1)`},
		{
			"name server without name", "zone: {nameservers: [{addresses: [192.0.2.1]}]}",
			`zone.nameservers "=192.0.2.1": ` + ruleServerName + ` (dnsreg.yaml:1)`,
		},
		{
			"name server with more", "zone: {nameservers: [{name: ns1, adress: 192.0.2.1, addresses: [192.0.2.1]}]}",
			"zone.nameservers[0].adress: is unknown; the nearest key is addresses (dnsreg.yaml:1)",
		},
		{
			"name server with two names", "zone: {nameservers: [{name: ns1, name: ns2, addresses: [192.0.2.1]}]}",
			"zone.nameservers[0].name: must not be there twice (dnsreg.yaml:1)",
		},
		{
			"name server named by a list", "zone: {nameservers: [{name: [ns1], addresses: [192.0.2.1]}]}",
			"zone.nameservers[0].name: must be one value, not a list (dnsreg.yaml:1)",
		},
		{"no address", "dns: {listen: []}\nhttp: {listen: []}", "dns.listen: must have at least one address (dnsreg.yaml:1)\n" +
			"http.listen: must have at least one address (dnsreg.yaml:2)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := loadFile(t, tt.in)
			if got := problems(t, err); got != tt.want {
				t.Errorf("problems:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

const (
	ruleListen        = "must be an IP address and a port, such as 127.0.0.1:8053, or :8053 for every address"
	ruleTTL           = "must be a duration of whole seconds from 1s to 24h, such as 5s or 1m30s"
	ruleMailbox       = "must be a mail address, such as hostmaster@example.net"
	rulePrefix        = "must be an IP address or a prefix, such as 10.0.0.0/8"
	ruleCount         = "must be a whole number of 1 or more"
	ruleStore         = `must be "memory:" or the URL of a Redis, such as redis://host:6379/0 or rediss:// for TLS`
	ruleServerName    = "must begin with a host label of the zone, such as ns1, or a full name that ends in a dot"
	ruleServerAddress = "must have unicast IP addresses, such as ns1=192.0.2.1,2001:db8::1"
)

func TestValues(t *testing.T) {
	tests := []struct {
		key  string
		good []string
		bad  []string
		rule string
	}{
		{
			"dns.listen",
			[]string{"127.0.0.1:0", "[::1]:65535", ":53", "[fe80::1%eth0]:53"},
			[]string{"127.0.0.1", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:dns", "::1:53", "localhost:53", "example.net:53", "127.1:53", ":"},
			ruleListen,
		},
		{"dns.ttl", []string{"1s", "24h", "1m30s"}, []string{"5", "0s", "-5s", "1500ms", "25h", "x", "1d"}, ruleTTL},
		{"dns.nsid", []string{"hostname", "ns a!", strings.Repeat("x", 64)}, []string{"a\tb", "ä"}, "must be up to 128 printable ASCII characters"},
		{"dns.chaos", []string{"true", "false"}, []string{"on"}, "must be true or false"},
		{"dns.cookies", []string{"true", "false"}, []string{"off"}, "must be true or false"},
		{"dns.rate_limit", []string{"0", "1", "100000"}, []string{"-1", "100001", "many", ""}, "must be a whole number from 1 to 100000, or 0"},
		{"dns.rate_slip", []string{"0", "2", "100"}, []string{"1", "-2", "101"}, "must be a whole number from 2 to 100, or 0"},
		{"dns.rate_exempt", []string{"", "10.0.0.0/8,::1"}, []string{"loopback"}, rulePrefix},
		{"dns.tcp_connections", []string{"1", "100000"}, []string{"0", "-1"}, ruleCount},
		{
			"zone.mailbox",
			[]string{"a@b", "first.last@example.net", "a@example.net."},
			[]string{"hostmaster", "@example.net", "a@", "a b@example.net", "a@b..c", "a@b_c", "a@.", "ä@b"},
			ruleMailbox,
		},
		{"zone.strict_names", []string{"true", "false"}, []string{"1", "TRUE", "yes"}, "must be true or false"},
		{
			"store.url",
			[]string{"redis://h:6379/0", "rediss://u:p@h", "redis://a:1,b:2,c:3", "redis://a,b,c:26379?master=m", "redis://[::1]:1"},
			[]string{"memory", "memory:x", "file:/x", "redis://", "rediss://", "redis:h", "REDIS://h", "http://h", ""},
			ruleStore,
		},
		{"store.notify", []string{"auto", "check", "off"}, []string{"on", "AUTO", ""}, "must be auto, check or off"},
		{"store.max_stale", []string{"1s", "10m", "24h"}, []string{"0s", "10", "forever"}, ruleTTL},
		{"store.max_instances", []string{"1", "1000000"}, []string{"0", "-1", "1e6", "many", "99999999999999999999"}, ruleCount},
		{
			"http.trusted_proxies",
			[]string{"10.0.0.1", "10.0.0.0/8", "::1", "2001:db8::/32"},
			[]string{"10.0.0.0/33", "10.0.0", "fe80::1%eth0", "proxy"},
			rulePrefix,
		},
		{"auth.mode", []string{"auto", "none"}, []string{"tokens", "None", "off"}, "must be auto, token or none"},
		{"log.level", []string{"debug", "info", "warn", "error"}, []string{"INFO", "trace", "info+1"}, "must be debug, info, warn or error"},
		{"log.format", []string{"text", "json"}, []string{"logfmt"}, "must be text or json"},
		{
			"zone.nameservers",
			[]string{"ns1=192.0.2.1", "ns1.svc.internal.=192.0.2.1", "ns.example.net.", "ns1=192.0.2.1;ns2=::1"},
			[]string{"=192.0.2.1", "ns1.example.net", "ns_1=192.0.2.1", ".", "-=192.0.2.1"},
			ruleServerName,
		},
		{"zone.nameservers", nil, []string{"ns1=", "ns1=x", "ns1=0.0.0.0", "ns1=224.0.0.1", "ns1=fe80::1%1", "ns1=192.0.2.1,"}, ruleServerAddress},
	}
	for _, tt := range tests {
		flag := "--" + strings.NewReplacer(".", "-", "_", "-").Replace(tt.key)
		for _, v := range tt.good {
			if _, err := load(t, flag+"="+v); err != nil {
				t.Errorf("%s=%s: %v", flag, v, err)
			}
		}
		for _, v := range tt.bad {
			_, err := load(t, flag+"="+v)
			want := configs.Problem{Key: tt.key, Value: v, Rule: tt.rule, Source: flag}.String()
			if got := problems(t, err); got != want {
				t.Errorf("%s=%s:\n got %s\nwant %s", flag, v, got, want)
			}
		}
	}
}

func TestZoneNames(t *testing.T) {
	for _, zone := range []string{".", "local", "x.local.", "a..b", "a b", "-a.net", strings.Repeat("a.", 100)} {
		_, err := load(t, "--zone="+zone)
		if got := problems(t, err); !strings.HasPrefix(got, "zone.name ") || !strings.Contains(got, "must ") || strings.Contains(got, "\n") {
			t.Errorf("--zone=%s: %q, want one rule for zone.name", zone, got)
		}
	}
}

func TestLongValuesAreCut(t *testing.T) {
	tests := []struct{ name, in string }{
		{"local part", strings.Repeat("a", 64) + "@b"},
		{"whole name", strings.Repeat("a", 60) + "@" + strings.Repeat("b.", 110) + "c"},
		{"in the middle of a character", strings.Repeat("a", 63) + "é@b"},
	}
	for _, tt := range tests {
		_, err := load(t, "--zone-mailbox="+tt.in)
		want := configs.Problem{
			Key: "zone.mailbox", Value: strings.TrimSuffix(tt.in[:64], "\xc3") + "…", Rule: ruleMailbox, Source: "--zone-mailbox",
		}.String()
		if got := problems(t, err); got != want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, want)
		}
	}
}

func TestAccess(t *testing.T) {
	const (
		open   = `http.listen "%": must be a loopback address unless auth.tokens is set or auth.mode is none (--http-listen)`
		noFile = "auth.tokens: must name a file where auth.mode is token (default)"
		unused = `auth.tokens "t": must be empty where auth.mode is none (--auth-tokens)`
	)
	tests := []struct {
		listen string
		args   []string
		want   string
	}{
		{"127.0.0.1:1", nil, ""},
		{"127.255.255.254:1", nil, ""},
		{"[::1]:1", nil, ""},
		{"[::ffff:127.0.0.1]:1", nil, ""},
		{":1", nil, open},
		{"0.0.0.0:1", nil, open},
		{"192.0.2.1:1", nil, open},
		{"[::]:1", nil, open},
		{"192.0.2.1:1", []string{"--auth-mode=none"}, ""},
		{"192.0.2.1:1", []string{"--auth-tokens=t"}, ""},
		{"192.0.2.1:1", []string{"--auth-mode=token", "--auth-tokens=t"}, ""},
		{"127.0.0.1:1", []string{"--auth-mode=token"}, noFile},
		{"127.0.0.1:1", []string{"--auth-mode=none", "--auth-tokens=t"}, unused},
	}
	for _, tt := range tests {
		_, err := load(t, append(tt.args, "--http-listen="+tt.listen)...)
		want := strings.ReplaceAll(tt.want, "%", tt.listen)
		if got := problems(t, err); got != want {
			t.Errorf("%s %v:\n got %s\nwant %s", tt.listen, tt.args, got, want)
		}
	}
}

func TestNameServersFitTheZone(t *testing.T) {
	tests := []struct {
		in, value, want string
	}{
		{"ns1", "ns1", "must have addresses, being in the zone"},
		{"NS1.Svc.Internal.", "NS1.Svc.Internal.", "must have addresses, being in the zone"},
		{"svc.internal.=192.0.2.1", "svc.internal.=192.0.2.1", "must be one label below the zone, or outside of it"},
		{"a.b.svc.internal.=192.0.2.1", "a.b.svc.internal.=192.0.2.1", "must be one label below the zone, or outside of it"},
		{"ns1.example.net.=192.0.2.1", "ns1.example.net.=192.0.2.1", "must have no addresses, being outside of the zone"},
		{"ns1=192.0.2.1;NS1.svc.internal.=192.0.2.2", "NS1.svc.internal.=192.0.2.2", "must not name a server twice"},
	}
	for _, tt := range tests {
		_, err := load(t, "--zone-nameservers="+tt.in)
		want := configs.Problem{Key: "zone.nameservers", Value: tt.value, Rule: tt.want, Source: "--zone-nameservers"}.String()
		if got := problems(t, err); got != want {
			t.Errorf("%s:\n got %s\nwant %s", tt.in, got, want)
		}
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	t.Setenv("DNSREG_LOG_LEVEL", "loud")
	t.Setenv("DNSREG_DNS_TLL", "5s")
	_, err := load(t, "--config", file(t, "zone: {nam: x}\ndns: {negative_ttl: soon}\n"), "--http-listen=nowhere")
	want := "DNSREG_DNS_TLL: is unknown; the nearest key is DNSREG_DNS_TTL (environment)\n" +
		"zone.nam: is unknown; the nearest key is zone.name (dnsreg.yaml:1)\n" +
		`dns.negative_ttl "soon": ` + ruleTTL + " (dnsreg.yaml:2)\n" +
		`http.listen "nowhere": ` + ruleListen + " (--http-listen)\n" +
		`log.level "loud": must be debug, info, warn or error (DNSREG_LOG_LEVEL)`
	if got := problems(t, err); got != want {
		t.Errorf("problems:\n%s\nwant:\n%s", got, want)
	}
	if got := err.Error(); strings.Count(got, "; ") < 4 || strings.Contains(got, "\n") {
		t.Errorf("the error's text is not one line of all problems: %q", got)
	}
}

func TestEnvironment(t *testing.T) {
	tests := []struct {
		name, value, want string
	}{
		{"DNSREG_SERVER", "http://127.0.0.1:1", ""},
		{"DNSREG_DNS", "127.0.0.1:1", ""},
		{"DNSREG_TOKEN_FILE", "t", ""},
		{"DNSREG_DNS_TTL", "", ""},
		{"DNSREG_NOTHING", "", ""},
		{"OTHER_DNSREG_X", "1", ""},
		{"DNSREG_PORT", "tcp://10.0.0.1:8054", ""},
		{"DNSREG_PORT_8054_TCP_ADDR", "10.0.0.1", ""},
		{"DNSREG_DNS_SERVICE_HOST", "10.0.0.1", ""},
		{"DNSREG_SERVICE_PORT_HTTP", "8054", ""},
		{"DNSREG_HTTP_PORT", "8054", "DNSREG_HTTP_PORT: is unknown; the nearest key is DNSREG_HTTP_LISTEN (environment)"},
		{"DNSREG_STOREURL", "memory:", "DNSREG_STOREURL: is unknown; the nearest key is DNSREG_STORE_URL (environment)"},
		{"DNSREG_dns_ttl", "5s", "DNSREG_dns_ttl: is unknown; the nearest key is DNSREG_DNS_TTL (environment)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(tt.name, tt.value)
			_, err := load(t)
			if got := problems(t, err); got != tt.want {
				t.Errorf("problems %q, want %q", got, tt.want)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	c := configs.Default()
	c.DNS.TTL = time.Millisecond
	c.HTTP.Listen = []string{"192.0.2.1:1"}
	c.Zone.NameServers = []configs.NameServer{{Name: "ns1", Addresses: []netip.Addr{netip.IPv4Unspecified()}}}
	want := `dns.ttl "1ms": ` + ruleTTL + "\n" +
		`zone.nameservers "ns1=0.0.0.0": ` + ruleServerAddress + "\n" +
		`http.listen "192.0.2.1:1": must be a loopback address unless auth.tokens is set or auth.mode is none`
	if got := problems(t, c.Validate()); got != want {
		t.Errorf("problems:\n%s\nwant:\n%s", got, want)
	}
	if err := everyKeyConfig().Validate(); err != nil {
		t.Errorf("a good configuration: %v", err)
	}
	if err := (configs.Config{}).Validate(); err == nil {
		t.Error("the zero value is valid, want an error")
	}
}
