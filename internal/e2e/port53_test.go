package e2e_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Environment of a test binary that a test runs for itself.
const (
	aloneEnv  = "E2E_ALONE"  // the name of the test
	binaryEnv = "E2E_BINARY" // the path of a dnsreg that is built
)

// alone runs the calling test once more, in a process with network and mounts of its own, where port 53 is free and
// /etc/resolv.conf names the server there. It reports whether this is that process; if not, the test is done.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(aloneEnv) == t.Name() {
		moveIn(t)
		return true
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute) // TestPrometheus may wait for six things
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), aloneEnv+"="+t.Name(), binaryEnv+"="+binary)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	if uid := os.Getuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in a network of its own: %v\n%s", err, out)
	}
	return false
}

// moveIn sets the process's own network and /etc/resolv.conf up.
func moveIn(t testing.TB) {
	t.Helper()
	output(t, "ip", "link", "set", "lo", "up")
	output(t, "ip", "address", "add", "192.0.2.1/32", "dev", "lo") // without one like it some ask for no IPv4 addresses
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	text := "nameserver 127.0.0.1\nsearch " + zone + "\noptions timeout:2 attempts:3\n"
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount(conf, "/etc/resolv.conf", "", syscall.MS_BIND, ""); err != nil {
		t.Fatalf("mount /etc/resolv.conf: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount("/etc/resolv.conf", syscall.MNT_DETACH) })
}

// onPort53 starts a server where /etc/resolv.conf says that it is.
func onPort53(t *testing.T) *server {
	t.Helper()
	return serveOn(t, "127.0.0.1:53", "127.0.0.1:0")
}

// TestResolvConf has clients find a server that they know from /etc/resolv.conf only: C's resolver, and with it what
// most programs use, among them. The answers need TCP.
func TestResolvConf(t *testing.T) {
	t.Parallel()
	if !alone(t) {
		return
	}
	s := onPort53(t)
	var targets, addresses []string
	for _, at := range putMany(t, s, "big", 150) {
		ip, port, _ := net.SplitHostPort(at)
		addresses = append(addresses, ip)
		targets = append(targets, fmt.Sprintf("0 1 %s node-%03d.big.%s", port, len(targets), zone))
	}
	slices.Sort(addresses)
	for _, c := range systemClients() {
		want := addresses
		if c.targets {
			want = targets
		}
		got := c.lookup(t)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d of %d: %q", c.name, len(got), len(want), got)
		}
	}
	if got := fields(output(t, "getent", "ahostsv4", "node-007.big"), 0); !slices.Contains(got, "10.0.1.7") {
		t.Errorf("getent, a name to complete: %q", got)
	}
}

// systemClient asks for the 150 targets or addresses of the service big, of the system's resolver.
type systemClient struct {
	name    string
	targets bool
	lookup  func(testing.TB) []string
}

func systemClients() []systemClient {
	const service, host = "_big._tcp." + zone, "big." + zone
	command := func(name, pattern string, args ...string) func(testing.TB) []string {
		return func(t testing.TB) []string {
			out := output(t, name, args...)
			if pattern != "" {
				out = matches(out, pattern)
			}
			return lines(out)
		}
	}
	const (
		python  = `import socket; print("\n".join(a[4][0] for a in socket.getaddrinfo("` + host + `", 1, socket.AF_INET, socket.SOCK_STREAM)))`
		lookup  = `require("dns").lookup("` + host + `", {all: true}, (e, all) => { if (e) throw e; for (const a of all) console.log(a.address); })`
		resolve = `require("dns").resolveSrv("_big._tcp.svc.internal", (e, all) => { if (e) throw e; for (const a of all) console.log(a.priority, a.weight, a.port, a.name + "."); })`
		perl    = `print join("\n", map { inet_ntoa($_) } @{[gethostbyname("` + host + `")]}[4..153]), "\n"`
	)
	return []systemClient{
		{"dig", true, command("dig", "", "+short", service, "SRV")},
		{"kdig", true, command("kdig", `(\d.*)`, "+short", service, "SRV")},
		{"host", true, command("host", `has SRV record (.*)`, "-t", "SRV", service)},
		{"nslookup", true, command("nslookup", `service = (.*)`, "-type=SRV", service)},
		{"getent, getaddrinfo", false, command("getent", `(\S+) +DGRAM`, "ahostsv4", host)},
		{"Python, getaddrinfo", false, command("/usr/bin/python3", "", "-c", python)},
		{"Perl, gethostbyname", false, command("perl", "", "-MSocket", "-e", perl)},
		{"Node, getaddrinfo", false, command("node", "", "-e", lookup)},
		{"Node, c-ares", true, command("node", "", "-e", resolve)},
		{"Go, addresses", false, goSystem},
		{"Go, services", true, goServices},
	}
}

func goSystem(t testing.TB) []string {
	t.Helper()
	all, err := (&net.Resolver{PreferGo: true}).LookupHost(t.Context(), "big."+zone)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func goServices(t testing.TB) []string {
	t.Helper()
	_, all, err := (&net.Resolver{PreferGo: true}).LookupSRV(t.Context(), "big", "tcp", zone)
	if err != nil {
		t.Fatal(err)
	}
	var records []string
	for _, srv := range all {
		records = append(records, fmt.Sprintf("%d %d %d %s", srv.Priority, srv.Weight, srv.Port, srv.Target))
	}
	return records
}

// fields returns the n-th word of every line.
func fields(out string, n int) []string {
	var words []string
	for _, line := range lines(out) {
		words = append(words, strings.Fields(line)[n])
	}
	return words
}
