package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Of somebody who is not root.
const (
	nobody            = 65534
	capNetBindService = 10
)

// serveAs returns the command of a server on port 53 as nobody, with ambient capabilities as systemd gives them.
func serveAs(t testing.TB, capabilities ...uintptr) *exec.Cmd {
	t.Helper()
	dir := t.TempDir() // binary may be where only its owner can go
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "dnsreg")
	data, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "serve", "--dns-listen=127.0.0.1:53,[::1]:53", "--http-listen=127.0.0.1:0", "--log-format=json")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: true},
		AmbientCaps: capabilities,
	}
	return cmd
}

// TestPort53WithoutRoot serves DNS on port 53, over IPv4 and IPv6, by a process that is not root's and may do nothing
// else: CAP_NET_BIND_SERVICE is what it takes. The tests' user must be root.
func TestPort53WithoutRoot(t *testing.T) {
	t.Parallel()
	if !alone(t) {
		return
	}
	s := start(t, serveAs(t, capNetBindService))
	for _, address := range []string{"127.0.0.1", "::1"} {
		for _, transport := range []string{"+notcp", "+tcp"} {
			if got := output(t, "dig", "@"+address, transport, "+short", zone, "NS"); strings.TrimSpace(got) != "ns1."+zone {
				t.Errorf("%s %s: %q", address, transport, got)
			}
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Uid:\t65534\t65534\t65534\t65534\n", "CapEff:\t0000000000000400\n"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("the process has not %q:\n%s", want, status)
		}
	}
	s.kill()
	out, err := serveAs(t).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "dns.listen: listen udp 127.0.0.1:53: bind: permission denied") ||
		!strings.Contains(string(out), "CAP_NET_BIND_SERVICE") {
		t.Errorf("without the capability: %v: %s", err, out)
	}
}
