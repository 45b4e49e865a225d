package e2e_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// A key that primary and secondary share.
const (
	keyName   = "secondary.key"
	keySecret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
)

// secondaries are real servers that take a zone from another, each with its configuration for a folder, a port, the
// primary's port, and what it is to sign with.
func secondaries() map[string]struct {
	command, conf, key, signed, unsigned string
	args                                 []string
} {
	return map[string]struct {
		command, conf, key, signed, unsigned string
		args                                 []string
	}{
		"Knot": {command: "knotd", key: "key:\n  - id: %s\n    algorithm: hmac-sha256\n    secret: %s\n", signed: "\n    key: " + keyName, conf: `%[4]s
server:
    rundir: %[1]q
    listen: 127.0.0.1@%[2]s
log:
  - target: stderr
    any: info
database:
    storage: %[1]q
remote:
  - id: primary
    address: 127.0.0.1@%[3]s%[5]s
acl:
  - id: primary
    address: 127.0.0.1
    action: notify%[5]s
zone:
  - domain: svc.internal.
    storage: %[1]q
    zonefile-sync: -1
    master: primary
    acl: primary
`},
		"NSD": {command: "nsd", args: []string{"-d", "-V", "2"}, key: "key:\n    name: %s\n    algorithm: hmac-sha256\n    secret: %s\n", signed: keyName, unsigned: "NOKEY", conf: `%[4]s
server:
    ip-address: 127.0.0.1
    port: %[2]s
    username: ""
    zonesdir: %[1]q
    database: ""
    pidfile: ""
    xfrdir: %[1]q
    xfrdfile: ""
    zonelistfile: "%[1]s/zonelist"
    rrl-ratelimit: 0
    minimal-responses: yes
remote-control:
    control-enable: no
zone:
    name: svc.internal.
    zonefile: zone
    allow-notify: 127.0.0.1 %[5]s
    request-xfr: 127.0.0.1@%[3]s %[5]s
`},
		"BIND": {command: "named", args: []string{"-g", "-n", "1"}, key: "key %s { algorithm hmac-sha256; secret \"%s\"; };\n", signed: "key " + keyName, conf: `%[4]s
options {
    directory %[1]q;
    listen-on port %[2]s { 127.0.0.1; };
    listen-on-v6 { none; };
    pid-file none;
    session-keyfile none;
    recursion no;
    minimal-responses yes;
    dnssec-validation no;
    max-records-per-type 0; # else 100
};
controls { };
zone "svc.internal" {
    type secondary;
    primaries port %[3]s { 127.0.0.1 %[5]s; };
    file "zone";
    masterfile-format text;
};
`},
	}
}

// follow starts a server with more flags, and one of the secondaries that takes its zone. It returns both when the
// secondary has it.
func follow(t testing.TB, name string, signed bool, flags ...string) (*server, string) {
	t.Helper()
	addr, key := freePort(t), ""
	if signed {
		keys := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(keys, []byte(keyName+" hmac-sha256 "+keySecret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		key, flags = "@"+keyName, append(flags, "--dns-keys", keys)
	}
	s := serve(t, append(flags, "--zone-transfer", "127.0.0.1"+key, "--zone-notify", addr+key)...)
	s.runSecondary(t, name, addr, signed)
	return s, addr
}

func (s *server) runSecondary(t testing.TB, name, addr string, signed bool) {
	t.Helper()
	dir, other := t.TempDir(), secondaries()[name]
	key, with := "", other.unsigned
	if signed {
		key, with = fmt.Sprintf(other.key, keyName, keySecret), other.signed
	}
	_, port, _ := net.SplitHostPort(addr)
	conf := filepath.Join(dir, "conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, other.conf, dir, port, s.port(), key, with), 0o600); err != nil {
		t.Fatal(err)
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
	s.untilSame(t, addr)
}

// serial returns the serial that a server answers with, 0 if it does not.
func serial(addr string) uint32 {
	reply, err := dns.Exchange(new(dns.Msg).SetQuestion(zone, dns.TypeSOA), addr)
	if err != nil || len(reply.Answer) != 1 {
		return 0
	}
	soa, ok := reply.Answer[0].(*dns.SOA)
	if !ok {
		return 0
	}
	return soa.Serial
}

// untilSame waits until a secondary has the server's version of the zone.
func (s *server) untilSame(t testing.TB, addr string) {
	t.Helper()
	within(t, 3*patience, "the secondary has the zone", func() bool {
		ours := serial(s.dns)
		return ours != 0 && ours == serial(addr)
	})
}

// transferred returns how many transfers of a kind the server has counted.
func (s *server) transferred(t testing.TB, result string) (n int) {
	t.Helper()
	_, page := s.call(t, "GET", "/metrics", "")
	_, rest, _ := strings.Cut(page, `dnsreg_dns_transfers_total{result="`+result+`"} `)
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatalf("transfers %q: %v", result, err)
	}
	return n
}

// tookChanges holds that a secondary took the whole zone once, and changes so many times at least. A transfer is counted
// when all of it is sent, when the secondary may have it already.
func (s *server) tookChanges(t testing.TB, least int) {
	t.Helper()
	within(t, patience, fmt.Sprintf("%d transfers of changes", least), func() bool { return s.transferred(t, "incremental") >= least })
	if full := s.transferred(t, "full"); full != 1 {
		t.Errorf("%d full transfers, want 1", full)
	}
}

// hasSRVs waits until a secondary has so many SRV records at a service's name. When it has a new version of the zone, a
// process of NSD's that has the old one may answer yet.
func hasSRVs(t testing.TB, addr, service string, want int) {
	t.Helper()
	within(t, patience, fmt.Sprintf("%d SRV records of %s", want, service), func() bool { return srvs(t, addr, service) == want })
}

// srvs returns how many SRV records a server has at a service's name. It asks again where there is no reply: NSD resets
// connections while it takes in a new version of a zone.
func srvs(t testing.TB, addr, service string) (n int) {
	t.Helper()
	client := dns.Client{Net: "tcp", Timeout: patience}
	within(t, patience, "the secondary replies", func() bool {
		reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(service+"."+zone, dns.TypeSRV), addr)
		if err != nil {
			return false
		}
		n = len(reply.Answer)
		return true
	})
	return n
}

// TestSecondariesFollow has instances come and go in front of real secondaries, with signatures and without. Each takes
// the whole zone once and then nothing but changes, also of a service that BIND takes only by its configuration.
func TestSecondariesFollow(t *testing.T) {
	t.Parallel()
	for name := range secondaries() {
		for _, signed := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, signed %t", name, signed), func(t *testing.T) {
				t.Parallel()
				s, addr := follow(t, name, signed)
				for i := range 150 {
					s.put(t, "_web._tcp", fmt.Sprint("web-", i), fmt.Sprintf(`{"port":8080,"ttl":"1h","addresses":["10.0.0.%d"]}`, i+1))
				}
				s.untilSame(t, addr)
				hasSRVs(t, addr, "_web._tcp", 150)
				for i := range 149 {
					s.remove(t, "_web._tcp", fmt.Sprint("web-", i))
				}
				s.put(t, "_short._tcp", "a", `{"port":1,"ttl":"2s","addresses":["10.0.0.1"]}`)
				s.untilSame(t, addr)
				hasSRVs(t, addr, "_short._tcp", 0) // once its lease has ended
				s.remove(t, "_web._tcp", "web-149")
				s.untilSame(t, addr)
				hasSRVs(t, addr, "_web._tcp", 0)
				s.tookChanges(t, 3)
			})
		}
	}
}

// TestKnotTakesAThousandChanges holds that a Knot secondary takes 1,000 changes without a full transfer.
func TestKnotTakesAThousandChanges(t *testing.T) {
	t.Parallel()
	s, addr := follow(t, "Knot", true)
	for round := range 5 {
		for i := range 100 {
			s.put(t, "_web._tcp", fmt.Sprint("web-", round, "-", i), `{"port":8080,"ttl":"1h","addresses":["10.0.0.1"]}`)
		}
		s.untilSame(t, addr)
		for i := range 100 {
			s.remove(t, "_web._tcp", fmt.Sprint("web-", round, "-", i))
		}
		s.untilSame(t, addr)
	}
	s.tookChanges(t, 10)
}
