package configs_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dnsreg/dnsreg/configs"
)

var comparable = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}, netip.AddrPort{})

func TestNothingToldIsDefault(t *testing.T) {
	e := mustLoad(t)
	if diff := cmp.Diff(configs.Default(), e.Config, comparable, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("configuration differs (-want +got):\n%s", diff)
	}
	if err := configs.Default().Validate(); err != nil {
		t.Errorf("the default is invalid: %v", err)
	}
	for _, key := range configs.Keys() {
		if got := e.Source(key.Name); got != "default" {
			t.Errorf("source of %s = %q, want default", key.Name, got)
		}
	}
}

func TestPrecedence(t *testing.T) {
	const text = "dns:\n  ttl: 10s\n"
	tests := []struct {
		name   string
		file   string
		env    string
		args   []string
		want   time.Duration
		source string
	}{
		{"default", "", "", nil, 5 * time.Second, "default"},
		{"file over default", text, "", nil, 10 * time.Second, "dnsreg.yaml:2"},
		{"variable over file", text, "20s", nil, 20 * time.Second, "DNSREG_DNS_TTL"},
		{"flag over variable", text, "20s", []string{"--dns-ttl=30s"}, 30 * time.Second, "--dns-ttl"},
		{"flag over file", text, "", []string{"--dns-ttl", "30s"}, 30 * time.Second, "--dns-ttl"},
		{"flag that says the default", text, "20s", []string{"--dns-ttl=5s"}, 5 * time.Second, "--dns-ttl"},
		{"last flag", "", "", []string{"--dns-ttl=30s", "--dns-ttl=40s"}, 40 * time.Second, "--dns-ttl"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("DNSREG_DNS_TTL", tt.env)
			e := mustLoad(t, append(tt.args, "--config", file(t, tt.file))...)
			if e.DNS.TTL != tt.want {
				t.Errorf("dns.ttl = %v, want %v", e.DNS.TTL, tt.want)
			}
			if got := filepath.Base(e.Source("dns.ttl")); got != tt.source {
				t.Errorf("source = %q, want %q", got, tt.source)
			}
		})
	}
}

// everyKey sets each key to something that is not its default.
const everyKey = `
dns:
  listen: ["127.0.0.2:5300", "[::1]:5300"]
  ttl: 1m30s
  negative_ttl: 1s
  nsid: ns-a
  chaos: true
  cookies: false
  cookie_secrets: /etc/secrets
  rate_limit: 0
  rate_slip: 7
  rate_exempt: [192.0.2.0/24, "2001:db8::1"]
  tcp_connections: 50
  keys: /etc/keys
  journal: 3
zone:
  name: Example.NET.
  nameservers:
    - {name: ns1, addresses: [192.0.2.1, "2001:db8::1"]}
    - {name: ns.example.org.}
  mailbox: dns.admin@example.org
  reverse: [10.0.0.0/8, "fd00::/8"]
  transfer: [10.0.0.0/8, "@b.key"]
  notify:
    - 192.0.2.9:53@b.key
  strict_names: true
  others:
    - name: lab.example.net
      nameservers: [{name: ns1, addresses: [192.0.2.2]}, {name: ns.example.org.}]
      mailbox: "50%&more@example.org"
      reverse: [192.0.2.0/24, 10.1.0.0/16]
      transfer: [10.1.0.0/16@c]
      notify: ["[2001:db8::9]:53"]
      strict_names: true
    - plain.example.net
store:
  url: rediss://redis.example.net:6380/1
  max_instances: 7
  snapshot_file: ""
  prefix: reg
  notify: check
  max_stale: 1m
  tls_ca: /etc/ca.pem
  tls_cert: /etc/cert.pem
  tls_key: /etc/key.pem
http:
  listen: [":8054"]
  trusted_proxies: [10.0.0.0/8, "::1"]
auth:
  mode: token
  tokens: /etc/tokens
log:
  level: debug
  format: json
`

func everyKeyConfig() configs.Config {
	return configs.Config{
		DNS: configs.DNS{
			Listen: []string{"127.0.0.2:5300", "[::1]:5300"}, TTL: 90 * time.Second, NegativeTTL: time.Second,
			NSID: "ns-a", Chaos: true, CookieSecrets: "/etc/secrets", RateSlip: 7,
			RateExempt:     []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::1/128")},
			TCPConnections: 50, Keys: "/etc/keys", Journal: 3,
		},
		Zone: configs.Zone{
			Name: "Example.NET.",
			NameServers: []configs.NameServer{
				{Name: "ns1", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}},
				{Name: "ns.example.org."},
			},
			Mailbox:     "dns.admin@example.org",
			Reverse:     []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
			Transfer:    []configs.TransferRule{{Prefix: netip.MustParsePrefix("10.0.0.0/8")}, {Key: "b.key"}},
			Notify:      []configs.NotifyTarget{{Addr: netip.MustParseAddrPort("192.0.2.9:53"), Key: "b.key"}},
			StrictNames: true,
			Others: []configs.Zone{{
				Name: "lab.example.net",
				NameServers: []configs.NameServer{
					{Name: "ns1", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.2")}}, {Name: "ns.example.org."},
				},
				Mailbox:     "50%&more@example.org",
				Reverse:     []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("10.1.0.0/16")},
				Transfer:    []configs.TransferRule{{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Key: "c"}},
				Notify:      []configs.NotifyTarget{{Addr: netip.MustParseAddrPort("[2001:db8::9]:53")}},
				StrictNames: true,
			}, {Name: "plain.example.net"}},
		},
		Store: configs.Store{
			URL: "rediss://redis.example.net:6380/1", MaxInstances: 7, Prefix: "reg", Notify: configs.NotifyCheck,
			MaxStale: time.Minute, TLSCA: "/etc/ca.pem", TLSCert: "/etc/cert.pem", TLSKey: "/etc/key.pem",
		},
		HTTP: configs.HTTP{
			Listen:         []string{":8054"},
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		},
		Auth: configs.Auth{Mode: configs.AuthToken, Tokens: "/etc/tokens"},
		Log:  configs.Log{Level: slog.LevelDebug, Format: configs.LogJSON},
	}
}

// everyKeyText is everyKey in the form of flags and variables.
func everyKeyText() map[string]string {
	return map[string]string{
		"dns.listen": "127.0.0.2:5300, [::1]:5300", "dns.ttl": "90s", "dns.negative_ttl": "1s",
		"dns.nsid": "ns-a", "dns.chaos": "true", "dns.cookies": "false", "dns.cookie_secrets": "/etc/secrets",
		"dns.rate_limit": "0", "dns.rate_slip": "7", "dns.rate_exempt": "192.0.2.0/24,2001:db8::1", "dns.tcp_connections": "50",
		"dns.keys": "/etc/keys", "dns.journal": "3", "zone.transfer": "10.0.0.0/8, @b.key", "zone.notify": "192.0.2.9:53@b.key",
		"zone.name": "Example.NET.", "zone.nameservers": "ns1=192.0.2.1,2001:db8::1; ns.example.org.",
		"zone.mailbox": "dns.admin@example.org", "zone.strict_names": "true", "zone.reverse": "10.0.0.0/8, fd00::/8",
		"zone.others": "lab.example.net?nameservers=ns1=192.0.2.2%3Bns.example.org.&mailbox=50%25%26more@example.org" +
			"&reverse=192.0.2.0/24,10.1.0.0/16&transfer=10.1.0.0/16@c&notify=[2001:db8::9]:53&strict_names=true; plain.example.net",
		"store.url": "rediss://redis.example.net:6380/1", "store.max_instances": "7", "store.snapshot_file": "",
		"store.prefix": "reg", "store.notify": "check", "store.max_stale": "1m",
		"store.tls_ca": "/etc/ca.pem", "store.tls_cert": "/etc/cert.pem", "store.tls_key": "/etc/key.pem",
		"http.listen": ":8054", "http.trusted_proxies": "10.0.0.0/8,::1",
		"auth.mode": "token", "auth.tokens": "/etc/tokens", "log.level": "debug", "log.format": "json",
	}
}

func TestEverySourceTakesEveryKey(t *testing.T) {
	texts := everyKeyText()
	if len(texts) != len(configs.Keys()) {
		t.Fatalf("the test sets %d keys of %d", len(texts), len(configs.Keys()))
	}
	var args []string
	for _, key := range configs.Keys() {
		args = append(args, "--"+key.Flag()+"="+texts[key.Name])
	}
	check := func(t *testing.T, e *configs.Effective) {
		t.Helper()
		if diff := cmp.Diff(everyKeyConfig(), e.Config, comparable); diff != "" {
			t.Errorf("configuration differs (-want +got):\n%s", diff)
		}
		for _, key := range configs.Keys() {
			if e.Source(key.Name) == "default" && texts[key.Name] != "" {
				t.Errorf("source of %s is default", key.Name)
			}
		}
	}
	t.Run("file", func(t *testing.T) { check(t, mustLoad(t, "--config", file(t, everyKey))) })
	t.Run("flags", func(t *testing.T) { check(t, mustLoad(t, args...)) })
	t.Run("environment", func(t *testing.T) {
		for _, key := range configs.Keys() {
			t.Setenv(key.Env(), texts[key.Name])
		}
		check(t, mustLoad(t))
	})
}

func TestListForms(t *testing.T) {
	want := []string{"127.0.0.1:1", "127.0.0.1:2"}
	tests := []struct {
		name string
		file string
		args []string
	}{
		{"YAML list", "dns: {listen: [\"127.0.0.1:1\", \"127.0.0.1:2\"]}", nil},
		{"text in the file", "dns: {listen: \"127.0.0.1:1, 127.0.0.1:2\"}", nil},
		{"dotted key", "dns.listen: [\"127.0.0.1:1\", \"127.0.0.1:2\"]", nil},
		{"anchor", "dns: {listen: [&a \"127.0.0.1:1\", \"127.0.0.1:2\"]}\nhttp: {listen: [*a]}", nil},
		{"flag", "", []string{"--dns-listen=127.0.0.1:1,127.0.0.1:2"}},
		{"flag repeated", "", []string{"--dns-listen=127.0.0.1:1", "--dns-listen=127.0.0.1:2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := mustLoad(t, append(tt.args, "--config", file(t, tt.file))...)
			if diff := cmp.Diff(want, e.DNS.Listen); diff != "" {
				t.Errorf("dns.listen differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAliasesAndSwitches(t *testing.T) {
	e := mustLoad(t, "--zone", "a.test", "--store", "memory:", "--zone-strict-names")
	if e.Zone.Name != "a.test" || !e.Zone.StrictNames {
		t.Errorf("zone = %+v, want a.test with strict names", e.Zone)
	}
	if got := e.Source("zone.name"); got != "--zone-name" {
		t.Errorf("source of zone.name = %q", got)
	}
}

func TestFilesThatSayNothing(t *testing.T) {
	for _, text := range []string{"", "\n", "# only a comment\n", "---\n", "dns:\n", "dns:\n  ttl:\n", "{}", "dns: {}"} {
		e, err := loadFile(t, text)
		if err != nil {
			t.Errorf("file %q: %v", text, err)
			continue
		}
		if diff := cmp.Diff(configs.Default(), e.Config, comparable, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("file %q (-want +got):\n%s", text, diff)
		}
	}
}

func TestFileFromEnvironment(t *testing.T) {
	t.Setenv("DNSREG_CONFIG", file(t, "dns: {ttl: 9s}"))
	if got := mustLoad(t).DNS.TTL; got != 9*time.Second {
		t.Errorf("dns.ttl = %v, want the file's 9s", got)
	}
	if got := mustLoad(t, "--config", file(t, "dns: {ttl: 8s}")).DNS.TTL; got != 8*time.Second {
		t.Errorf("dns.ttl = %v, want the flag's 8s", got)
	}
}

func TestUnreadableFiles(t *testing.T) {
	large := file(t, strings.Repeat("#", 1<<20+1))
	tests := []struct {
		name, path, want string
	}{
		{"missing", filepath.Join(t.TempDir(), "none.yaml"), "no such file"},
		{"a folder", t.TempDir(), "is a directory"},
		{"endless", large, "more than 1048576 octets"},
		{"not YAML", file(t, "dns: [1, 2"), "yaml:"},
		{"broken encoding", file(t, "dns: \xff\xfe"), "yaml:"},
		{"two documents", file(t, "dns: {ttl: 5s}\n---\ndns: {ttl: 6s}\n"), "must be one YAML document"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(t, "--config", tt.path)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.path) {
				t.Errorf("error %v, want one with %q and the path", err, tt.want)
			}
			if !errors.As(err, new(*configs.FileError)) {
				t.Errorf("error %v is not a *configs.FileError", err)
			}
		})
	}
	if _, err := load(t, "--config", tests[0].path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v does not wrap fs.ErrNotExist", err)
	}
}

func TestUnreadableByPermission(t *testing.T) {
	path := file(t, "")
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if f, err := os.Open(path); err == nil { // root reads whatever it likes
		_ = f.Close()
		return
	}
	if _, err := load(t, "--config", path); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error %v, want one that wraps fs.ErrPermission", err)
	}
}
