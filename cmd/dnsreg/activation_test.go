package main_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// bound is sockets for another process, and where they are.
type bound struct {
	files []*os.File
	names []string
}

// add hands a socket on under a name.
func (b *bound) add(t testing.TB, name string, socket interface{ File() (*os.File, error) }, close func() error) {
	t.Helper()
	f, err := socket.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if err := close(); err != nil {
		t.Fatal(err)
	}
	b.files, b.names = append(b.files, f), append(b.names, name)
}

// tcp binds a TCP address and returns it.
func (b *bound) tcp(t testing.TB, name, address string) string {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	b.add(t, name, l.(*net.TCPListener), l.Close)
	return l.Addr().String()
}

// udp binds a UDP address and returns it.
func (b *bound) udp(t testing.TB, name, address string) string {
	t.Helper()
	c, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	b.add(t, name, c.(*net.UDPConn), c.Close)
	return c.LocalAddr().String()
}

// both binds UDP and TCP of one address of a host, on a port that is free for both, and returns it.
func (b *bound) both(t testing.TB, name, host string) string {
	t.Helper()
	for range 16 {
		c, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		address := c.LocalAddr().String()
		l, err := net.Listen("tcp", address)
		if err != nil { // taken for TCP
			_ = c.Close()
			continue
		}
		b.add(t, name, c.(*net.UDPConn), c.Close)
		b.add(t, name, l.(*net.TCPListener), l.Close)
		return address
	}
	t.Fatal("no port is free for UDP and TCP")
	return ""
}

// command returns `dnsreg serve` as systemd starts it, with the sockets from file 3 on and their number in LISTEN_FDS. The
// shell's process becomes the server's.
func (b *bound) command(pid string, flags ...string) *exec.Cmd {
	script := `LISTEN_PID=` + pid + ` exec "$0" serve --log-format=json "$@"`
	cmd := exec.Command("sh", append([]string{"-c", script, "dnsreg"}, flags...)...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "LISTEN_FDS=" + strconv.Itoa(len(b.files)), "LISTEN_FDNAMES=" + strings.Join(b.names, ":"),
	}
	cmd.ExtraFiles = b.files
	return cmd
}

// startOn starts a server on sockets that are bound already.
func startOn(t testing.TB, b *bound, pid string, flags ...string) *server {
	t.Helper()
	s := &server{ended: make(chan struct{}), cmd: b.command(pid, flags...)}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	ready := make(chan error, 1)
	go s.read(stderr, ready)
	if err := <-ready; err != nil {
		t.Fatalf("%v: %s", err, s.log.String())
	}
	return s
}

// TestSocketActivation starts a server on sockets that somebody else has bound: DNS on two addresses, one of them every
// address of a family, and HTTP. Nothing else is listened on.
func TestSocketActivation(t *testing.T) {
	var b bound
	one := b.both(t, "dnsreg.socket", "127.0.0.1")
	web := b.tcp(t, "http", "127.0.0.1:0")
	every := b.both(t, "dns", "::")
	s := startOn(t, &b, "$$")
	if s.HTTP != "http://"+web || len(s.DNS) != 2 || s.DNS[0] != one || s.DNS[1] != every {
		t.Errorf("listens on %v and %s, want %s, %s and %s", s.DNS, s.HTTP, one, every, web)
	}
	_, port, err := net.SplitHostPort(every)
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{one, "127.0.0.2:" + port, "[::1]:" + port} {
		for _, network := range []string{"udp", "tcp"} {
			client := dns.Client{Net: network, Timeout: patience}
			r, _, err := client.Exchange(new(dns.Msg).SetQuestion("svc.internal.", dns.TypeSOA), address)
			if err != nil || len(r.Answer) != 1 {
				t.Errorf("%s over %s: %v, %v", address, network, r, err)
			}
		}
	}
	resp, err := http.Get(s.HTTP + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("readyz: %s", resp.Status)
	}
}

// TestSocketsOfAnother holds that sockets which are announced to another process are left alone.
func TestSocketsOfAnother(t *testing.T) {
	var b bound
	one := b.both(t, "dns", "127.0.0.1")
	s := startOn(t, &b, "1", "--dns-listen=127.0.0.1:0", "--http-listen=127.0.0.1:0")
	if s.DNS[0] == one {
		t.Errorf("listens on %v, which is not for it", s.DNS)
	}
}

// TestSocketsThatDoNotDo starts on sockets that do not make a server.
func TestSocketsThatDoNotDo(t *testing.T) {
	for _, tt := range []struct {
		name string
		bind func(b *bound)
		want string
	}{
		{"UDP alone", func(b *bound) { b.udp(t, "dns", "127.0.0.1:0") }, "must go with one of TCP"},
		{"TCP alone", func(b *bound) { b.tcp(t, "dns", "127.0.0.1:0") }, "must go with one of UDP"},
		{"beyond loopback", func(b *bound) { b.tcp(t, "http", "0.0.0.0:0") }, "must be a loopback address unless auth.tokens is set"},
		{"no socket", func(b *bound) {
			f, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = f.Close() })
			b.files, b.names = []*os.File{f}, []string{"dns"}
		}, `inherited socket 3, "dns": `},
		{"of another kind", func(b *bound) {
			l, err := net.Listen("unix", t.TempDir()+"/socket")
			if err != nil {
				t.Fatal(err)
			}
			b.add(t, "http", l.(*net.UnixListener), l.Close)
		}, "must be of TCP or UDP, not unix"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bound
			tt.bind(&b)
			out, err := b.command("$$", "--dns-listen=127.0.0.1:0", "--http-listen=127.0.0.1:0").CombinedOutput()
			if err == nil || !strings.Contains(string(out), tt.want) {
				t.Errorf("%v: %s, want %q", err, out, tt.want)
			}
		})
	}
}
