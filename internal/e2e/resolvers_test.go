package e2e_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// program runs a program until the test ends.
func program(t testing.TB, name string, args ...string) {
	t.Helper()
	var log strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v: make deps installs it", name, err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", name, log.String())
		}
	})
}

// resolver runs a program that resolves at an address, until the test ends.
func resolver(t testing.TB, addr, name string, args ...string) *server {
	t.Helper()
	r := &server{dns: addr}
	program(t, name, args...)
	within(t, patience, name+" answers", func() bool {
		reply, err := dns.Exchange(new(dns.Msg).SetQuestion(zone, dns.TypeSOA), r.dns)
		return err == nil && reply.Rcode == dns.RcodeSuccess
	})
	return r
}

// unbound resolves as strictly as it can: a name at a time, with letters of random case, believing every NXDOMAIN.
//
// What it was told is what it does: TestUnboundIsStrict.
func unbound(t testing.TB, s *server) *server {
	t.Helper()
	addr, dir := freePort(t), t.TempDir()
	conf := fmt.Sprintf(`server:
  interface: %s
  directory: %q
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  num-threads: 1
  module-config: "iterator"
  do-not-query-localhost: no
  qname-minimisation: yes
  qname-minimisation-strict: yes
  use-caps-for-id: yes
  harden-below-nxdomain: yes
  harden-referral-path: yes
  local-zone: "internal." nodefault
stub-zone:
  name: %q
  stub-addr: 127.0.0.1@%s
remote-control:
  control-enable: no
`, strings.Replace(addr, ":", "@", 1), dir, zone, s.port())
	path := filepath.Join(dir, "unbound.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	return resolver(t, addr, "unbound", "-d", "-c", path)
}

func dnsmasq(t testing.TB, s *server) *server {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	addr := freePort(t)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return resolver(t, addr, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user="+me.Username,
		"--no-resolv", "--no-hosts", "--port="+port, "--listen-address=127.0.0.1", "--bind-interfaces", "--log-facility=-",
		"--server=/"+strings.TrimSuffix(zone, ".")+"/127.0.0.1#"+s.port())
}

// resolvers are the programs that stand between clients and servers in real networks.
func resolvers() map[string]func(testing.TB, *server) *server {
	return map[string]func(testing.TB, *server) *server{"unbound": unbound, "dnsmasq": dnsmasq}
}

// TestThroughResolvers asks for everything through a resolver, missing names first, so that what it remembers of them
// would hide others.
func TestThroughResolvers(t *testing.T) {
	t.Parallel()
	s := serve(t)
	register(t, s)
	for name, start := range resolvers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, s)
			for _, q := range []struct {
				name, qtype string
				rcode       int
			}{
				{"_tcp." + zone, "A", dns.RcodeSuccess},
				{"_udp." + zone, "TXT", dns.RcodeSuccess},
				{"_dns-sd._udp." + zone, "PTR", dns.RcodeSuccess},
				{"_sub._web._tcp." + zone, "A", dns.RcodeSuccess},
				{"missing." + zone, "A", dns.RcodeNameError},
				{"missing._web._tcp." + zone, "SRV", dns.RcodeNameError},
				{"_missing._tcp." + zone, "SRV", dns.RcodeNameError},
				{"web." + zone, "MX", dns.RcodeSuccess},
			} {
				if reply := r.ask(t, q.name, dns.StringToType[q.qtype]); reply.Rcode != q.rcode || len(reply.Answer) > 0 {
					t.Errorf("%s %s: %v", q.name, q.qtype, reply)
				}
			}
			for _, q := range questions() {
				got := kdig(t, r, q.name, q.qtype)
				slices.Sort(got)
				slices.Sort(q.want)
				if !slices.Equal(got, q.want) {
					t.Errorf("%s %s:\n got %q\nwant %q", q.name, q.qtype, got, q.want)
				}
			}
		})
	}
}

// TestManyInstances has every client read a service that is too large for UDP, from the server and through resolvers.
func TestManyInstances(t *testing.T) {
	t.Parallel()
	const n = 150
	s := serve(t)
	var want []string
	for i := range n {
		id := fmt.Sprintf("node-%03d", i)
		s.put(t, "big", id, fmt.Sprintf(`{"addresses":["10.0.1.%d"],"port":%d,"ttl":"10m"}`, i, 9000+i))
		want = append(want, fmt.Sprintf("0 1 %d %s.big.%s", 9000+i, id, zone))
	}
	slices.Sort(want)
	ways := map[string]*server{"": s}
	for name, start := range resolvers() {
		ways[" through "+name] = start(t, s)
	}
	for _, c := range clients() {
		if c.name == "drill" {
			c = client{"drill over TCP", drillTCP, nil}
		}
		for through, server := range ways {
			t.Run(c.name+through, func(t *testing.T) {
				got := c.lookup(t, server, "_big._tcp."+zone, "SRV")
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Errorf("%d records, want %d: %q", len(got), n, got)
				}
			})
		}
	}
}

// TestDigIsContent reads what dig makes of cookies and NSID, and what it warns of.
func TestDigIsContent(t *testing.T) {
	t.Parallel()
	s := serve(t, "--dns-nsid", "ns-a", "--dns-chaos")
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"cookie", []string{"+cookie", "SOA", zone}, "(good)"},
		{"NSID", []string{"+nsid", "SOA", zone}, `("ns-a")`},
		{"keepalive", []string{"+tcp", "+keepalive", "SOA", zone}, "TCP KEEPALIVE: 10.0 secs"},
		{"version", []string{"CH", "TXT", "version.bind"}, `"dnsreg `},
		{"identity", []string{"CH", "TXT", "id.server"}, `"ns-a"`},
		{"other opcode", []string{"+opcode=15", "SOA", zone}, "status: NOTIMP"},
		{"other version", []string{"+edns=1", "+noednsneg", "SOA", zone}, "status: BADVERS"},
	} {
		out := output(t, "dig", append([]string{"@127.0.0.1", "-p", s.port(), "+norec"}, tt.args...)...)
		if !strings.Contains(out, tt.want) || strings.Contains(strings.ToLower(out), "warning") || strings.Contains(out, "MBZ") {
			t.Errorf("%s: want %s in\n%s", tt.name, tt.want, out)
		}
	}
}
