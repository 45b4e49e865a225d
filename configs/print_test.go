package configs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dnsreg/dnsreg/configs"
)

func printed(t testing.TB, e *configs.Effective) string {
	t.Helper()
	var b strings.Builder
	if err := e.Print(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPrint(t *testing.T) {
	t.Setenv("DNSREG_LOG_FORMAT", "json")
	got := printed(t, mustLoad(t, "--zone", "svc.test", "--zone-nameservers", "ns1=192.0.2.1,::1;ns.example.net.", "--zone-others", "lab.test?reverse=10.0.0.0/8"))
	want := `dns:
  listen: # default
    - 127.0.0.1:8053
  ttl: 5s # default
  negative_ttl: 5s # default
  nsid: "" # default
  chaos: false # default
  cookies: true # default
  cookie_secrets: "" # default
  rate_limit: 200 # default
  rate_slip: 2 # default
  rate_exempt: # default
    - 127.0.0.0/8
    - 10.0.0.0/8
    - 172.16.0.0/12
    - 192.168.0.0/16
    - 169.254.0.0/16
    - ::1/128
    - fc00::/7
    - fe80::/10
  tcp_connections: 1024 # default
  keys: "" # default
  journal: 16 # default
zone:
  name: svc.test # --zone-name
  nameservers: # --zone-nameservers
    - name: ns1
      addresses: [192.0.2.1, '::1']
    - name: ns.example.net.
      addresses: []
  mailbox: "" # default
  reverse: [] # default
  transfer: [] # default
  notify: [] # default
  strict_names: false # default
  others: # --zone-others
    - name: lab.test
      nameservers: []
      mailbox: ""
      reverse:
        - 10.0.0.0/8
      transfer: []
      notify: []
      strict_names: false
store:
  url: 'memory:' # default
  max_instances: 1000000 # default
  snapshot_file: "" # default
  prefix: dnsreg # default
  notify: auto # default
  max_stale: 10m0s # default
  tls_ca: "" # default
  tls_cert: "" # default
  tls_key: "" # default
http:
  listen: # default
    - 127.0.0.1:8054
  trusted_proxies: [] # default
auth:
  mode: auto # default
  tokens: "" # default
log:
  level: info # default
  format: json # DNSREG_LOG_FORMAT
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("printed (-want +got):\n%s", diff)
	}
}

func TestPrintedLoadsAsTheSame(t *testing.T) {
	for _, text := range []string{"", everyKey} {
		first, err := loadFile(t, text)
		if err != nil {
			t.Fatal(err)
		}
		again, err := loadFile(t, printed(t, first))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first.Config, again.Config, comparable); diff != "" {
			t.Errorf("loaded again (-want +got):\n%s", diff)
		}
	}
}

func TestExamplesLoad(t *testing.T) {
	examples, err := filepath.Glob("examples/*.yaml")
	if err != nil || len(examples) < 2 {
		t.Fatalf("examples: %v, %v", examples, err)
	}
	for _, example := range examples {
		if _, err := load(t, "--config", example); err != nil {
			t.Errorf("%s: %v", example, err)
		}
	}
}

// TestExamplesShowEveryKey holds that each key is set in an example: those of either store, and both stores'.
func TestExamplesShowEveryKey(t *testing.T) {
	memory := mustLoad(t, "--config", "examples/production.yaml")
	redis := mustLoad(t, "--config", "examples/production-redis.yaml")
	for _, key := range configs.Keys() {
		ofMemory, ofRedis := memory.Source(key.Name) != "default", redis.Source(key.Name) != "default"
		rule, _, _ := strings.Cut(key.Usage, ":")
		if wantMemory, wantRedis := rule != "Redis" && rule != "rediss", rule != "memory"; ofMemory != wantMemory || ofRedis != wantRedis {
			t.Errorf("%s is set for memory: %t, for Redis: %t; want %t and %t", key.Name, ofMemory, ofRedis, wantMemory, wantRedis)
		}
	}
}

// TestReference holds the table of docs/configuration.md against the keys. With -update it writes the table.
func TestReference(t *testing.T) {
	const path, begin, end = "../docs/configuration.md", "<!-- keys -->\n", "<!-- /keys -->\n"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the keys", path)
	}
	want := before + begin + reference() + end + after
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Errorf("%s is not what the keys say; go test ./configs -update writes it (-want +got):\n%s", path, diff)
	}
}

// reference returns the keys as a table in Markdown.
func reference() string {
	var b strings.Builder
	b.WriteString("| key | flag | type | default | meaning |\n| --- | --- | --- | --- | --- |\n")
	for _, k := range configs.Keys() {
		kind, flag, preset := k.Type, "`--"+k.Flag()+"`", ""
		if len(k.Values) > 0 {
			kind = strings.Join(k.Values, ", ")
		}
		if k.Alias != "" {
			flag += ", `--" + k.Alias + "`"
		}
		if k.Default != "" {
			preset = "`" + k.Default + "`"
		}
		b.WriteString("| " + strings.Join([]string{"`" + k.Name + "`", flag, kind, preset, k.Usage}, " | ") + " |\n")
	}
	return b.String()
}
