package e2e_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// zoneFile is a zone as somebody keeps it by hand: a service with 150 instances, one with three, letters of both cases,
// an alias, and DNS-SD for one instance.
func zoneFile() string {
	var b strings.Builder
	b.WriteString(`$TTL 2
@ SOA ns1 hostmaster 1 3600 600 86400 2
@ NS ns1
ns1 A 127.0.0.1
_web._tcp SRV 0 1 8080 web-1
_web._tcp SRV 0 2 8080 web-2
_web._tcp SRV 9 7 8080 web-3
web-1 A 10.0.0.1
web-2 A 10.0.0.2
web-3 A 10.0.0.3
web-3 AAAA 2001:db8::3
_MiXed._TCP SRV 0 0 443 HoSt
hOsT A 10.9.9.9
_alias._tcp CNAME _web._tcp
_far._tcp SRV 0 0 1 host.elsewhere.example.
_shut._tcp SRV 0 0 0 .
_tv._tcp PTR Living\032Room._tv._tcp
Living\032Room._tv._tcp SRV 0 0 7000 web-1
Living\032Room._tv._tcp TXT "version=1.2" "flag"
_services._dns-sd._udp PTR _tv._tcp
_services._dns-sd._udp PTR _web._tcp
`)
	for i := range 150 {
		fmt.Fprintf(&b, "_big._tcp SRV 0 %d 80 big-%d.hosts\nbig-%d.hosts A 10.1.0.%d\n", 1+i%10, i, i, i)
	}
	return b.String()
}

// others are authoritative servers that are not ours, each with its configuration for a directory and a port.
func others() map[string]struct {
	command, conf string
	args          []string
} {
	return map[string]struct {
		command, conf string
		args          []string
	}{
		"Knot": {command: "knotd", conf: `server:
    rundir: %[1]q
    listen: 127.0.0.1@%[2]s
log:
  - target: stderr
    any: warning
database:
    storage: %[1]q
template:
  - id: default
    storage: %[1]q
    journal-content: none
zone:
  - domain: svc.internal.
    file: zone
`},
		"NSD": {command: "nsd", args: []string{"-d"}, conf: nsdConf("no")},
		// without additionals: the addresses are to be asked for
		"NSD, minimal": {command: "nsd", args: []string{"-d"}, conf: nsdConf("yes")},
	}
}

func nsdConf(minimal string) string {
	return `server:
    ip-address: 127.0.0.1
    port: %[2]s
    username: ""
    zonesdir: %[1]q
    database: ""
    pidfile: ""
    xfrdfile: "%[1]s/xfrd"
    zonelistfile: "%[1]s/zonelist"
    rrl-ratelimit: 0
    minimal-responses: ` + minimal + `
remote-control:
    control-enable: no
zone:
    name: svc.internal.
    zonefile: zone
`
}

// serveZone runs one of the others with the zone until the test ends, and returns its address.
func serveZone(t testing.TB, name string) string {
	t.Helper()
	dir, other := t.TempDir(), others()[name]
	addr := freePort(t)
	_, port, _ := net.SplitHostPort(addr)
	conf := filepath.Join(dir, "conf")
	for path, text := range map[string]string{
		filepath.Join(dir, "zone"): zoneFile(), conf: fmt.Sprintf(other.conf, dir, port),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log := new(strings.Builder)
	cmd := exec.Command(other.command, append(other.args, "-c", conf)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v: make deps installs it", name, err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", name, log)
		}
	})
	within(t, patience, name+" answers", func() bool {
		reply, err := dns.Exchange(new(dns.Msg).SetQuestion(zone, dns.TypeSOA), addr)
		return err == nil && len(reply.Answer) == 1
	})
	return addr
}

// Ports of programs that cannot choose one themselves are drawn from between those that redistest draws from and those
// that Linux gives to sockets which ask for none: else another socket may have it before the program does.
const (
	leastPort = 22_000
	ports     = 10_000
)

// freePort returns an address of 127.0.0.1 that nobody listens at, over UDP and TCP.
func freePort(t testing.TB) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprint("127.0.0.1:", leastPort+rand.IntN(ports))
		stream, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		packets, err := net.ListenPacket("udp", addr)
		stream.Close()
		if err == nil {
			packets.Close()
			return addr
		}
	}
	t.Fatal("no port is free for both UDP and TCP")
	return ""
}

// finder returns a client that asks one server.
func finder(t testing.TB, addr string) *resolverclient.Client {
	t.Helper()
	c, err := resolverclient.New(resolverclient.Config{Servers: []string{addr}, Zone: zone})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// TestResolverClientOfOtherServers holds that the client reads the answers of real Knot and NSD processes, large ones by
// TCP, with and without addresses beside them.
func TestResolverClientOfOtherServers(t *testing.T) {
	t.Parallel()
	for name := range others() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := finder(t, serveZone(t, name))
			for service, want := range map[string][]string{
				"mixed": {"0 0 host.svc.internal. [10.9.9.9] 443"},
				"MIXED": {"0 0 host.svc.internal. [10.9.9.9] 443"},
			} {
				checkEndpoints(t, c, service, want)
			}
			for _, service := range []string{"web", "alias"} {
				got, err := c.Lookup(t.Context(), service)
				if err != nil || len(got.Endpoints) != 3 || shown(got.Endpoints[2]) != "9 7 web-3.svc.internal. [10.0.0.3 2001:db8::3] 8080" {
					t.Errorf("%s: %v, %v", service, got.Endpoints, err)
				}
			}
			big, err := c.Lookup(t.Context(), "big")
			if err != nil || len(big.Endpoints) != 150 {
				t.Fatalf("big: %d endpoints, %v", len(big.Endpoints), err)
			}
			for _, e := range big.Endpoints {
				if len(e.Addresses) != 1 {
					t.Errorf("%s has the addresses %v", e.Target, e.Addresses)
				}
			}
			checkBrowse(t, c)
			for service, want := range map[string]error{
				"none": resolverclient.ErrNotFound, "shut": resolverclient.ErrNotOffered,
			} {
				if _, err := c.Lookup(t.Context(), service); !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", service, err, want)
				}
			}
		})
	}
}

func checkEndpoints(t *testing.T, c *resolverclient.Client, service string, want []string) {
	t.Helper()
	got, err := c.Lookup(t.Context(), service)
	var texts []string
	for _, e := range got.Endpoints {
		texts = append(texts, shown(e))
	}
	if err != nil || strings.Join(texts, ", ") != strings.Join(want, ", ") {
		t.Errorf("%s: %v, %v, want %v", service, texts, err, want)
	}
}

func shown(e resolverclient.Endpoint) string {
	return fmt.Sprint(e.Priority, e.Weight, " ", e.Target, " ", e.Addresses, " ", e.Port)
}

func checkBrowse(t *testing.T, c *resolverclient.Client) {
	t.Helper()
	types, err := c.Services(t.Context())
	if err != nil || strings.Join(types, " ") != "_tv._tcp _web._tcp" {
		t.Errorf("services %v, %v", types, err)
	}
	got, err := c.Service(t.Context(), "tv")
	if err != nil || len(got.Endpoints) != 1 {
		t.Fatalf("tv: %v, %v", got, err)
	}
	e := got.Endpoints[0] // both servers answer names in small letters, whatever the file has
	if version, _ := e.Text("VERSION"); !strings.EqualFold(e.Instance, "Living Room") || version != "1.2" || e.HostPort() != "10.0.0.1:7000" {
		t.Errorf("tv: %+v", e)
	}
}

// TestClientsOfDifferentServersAgree holds that clients that share nothing but the zone, each with another server, map
// keys alike and choose the same subset for the same name.
func TestClientsOfDifferentServersAgree(t *testing.T) {
	t.Parallel()
	choices := map[string]string{}
	for name := range others() {
		c := finder(t, serveZone(t, name))
		hash, err := c.Balancer("big", resolverclient.ConsistentHash)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for i := range 500 {
			p, err := hash.PickKey(t.Context(), fmt.Sprint("key-", i))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, p.Endpoint.Target)
			p.Done(nil)
		}
		choices[name] = fmt.Sprint(all, subset(t, c))
	}
	for name, got := range choices {
		if got != choices["Knot"] {
			t.Errorf("the clients of Knot and %s disagree:\n%s\n%s", name, choices["Knot"], got)
		}
	}
}

// subset returns the five endpoints of big that one name of a client gets.
func subset(t *testing.T, c *resolverclient.Client) map[string]int {
	t.Helper()
	b, err := c.Balancer("big", resolverclient.RoundRobin, resolverclient.Subset("frontend-7", 5))
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for range 50 {
		p, err := b.Pick(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		counts[p.Endpoint.Target]++
		p.Done(nil)
	}
	if len(counts) != 5 {
		t.Errorf("a subset of five is %v", counts)
	}
	return counts
}
