package peer_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/bench/internal/peer"
	"github.com/dnsreg/dnsreg/bench/internal/subject"
	"github.com/dnsreg/dnsreg/bench/internal/zone"
)

// TestMain makes this program the child that Echo and Embed start it as.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		if err := subject.Run(context.Background(), os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func place(t *testing.T) peer.Place {
	return peer.Place{Dir: t.TempDir(), Cores: []int{0}}
}

func ask(t *testing.T, s *peer.Server, network, name string, qtype uint16) *dns.Msg {
	t.Helper()
	client := dns.Client{Net: network, Timeout: 10 * time.Second, UDPSize: dns.MaxMsgSize}
	reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, qtype), s.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// servers start each server that answers DNS.
var servers = []struct {
	name  string
	start func(context.Context, peer.Place, zone.Zone) (*peer.Server, error)
}{
	{"Knot", func(ctx context.Context, p peer.Place, z zone.Zone) (*peer.Server, error) {
		return peer.Knot(ctx, p, z, false)
	}},
	{"Knot with cookies", func(ctx context.Context, p peer.Place, z zone.Zone) (*peer.Server, error) {
		return peer.Knot(ctx, p, z, true)
	}},
	{"NSD", peer.NSD},
	{"embedded", func(ctx context.Context, p peer.Place, z zone.Zone) (*peer.Server, error) {
		return peer.Embed(ctx, p, z, 0)
	}},
}

// TestServersAnswerAlike: same answers and, for SRV, addresses of every target.
func TestServersAnswerAlike(t *testing.T) {
	z := zone.Zone{Services: 3, Instances: 5}
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			s, err := server.start(t.Context(), place(t), z)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Stop)
			for _, network := range []string{"udp", "tcp"} {
				checkServer(t, s, network)
			}
		})
	}
}

func checkServer(t *testing.T, s *peer.Server, network string) {
	reply := ask(t, s, network, "_s00001._tcp."+zone.Name, dns.TypeSRV)
	glue := make(map[string]bool)
	for _, rr := range reply.Extra {
		if rr.Header().Rrtype == dns.TypeA {
			glue[rr.Header().Name] = true
		}
	}
	for _, rr := range reply.Answer {
		if srv, ok := rr.(*dns.SRV); !ok || !glue[srv.Target] {
			t.Errorf("%s: the address is missing of %s", network, rr)
		}
	}
	if len(reply.Answer) != 5 || !reply.Authoritative {
		t.Errorf("%s: not five answers with authority: %s", network, reply)
	}
	if reply := ask(t, s, network, "missing."+zone.Name, dns.TypeA); reply.Rcode != dns.RcodeNameError {
		t.Errorf("%s: not NXDOMAIN: %s", network, reply)
	}
}

// TestServe builds dnsreg and fills it over HTTP.
func TestServe(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "dnsreg")
	build := exec.Command("go", "build", "-o", binary, "./cmd/dnsreg")
	build.Dir = filepath.Join("..", "..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s, err := peer.Serve(t.Context(), place(t), zone.Zone{Services: 3, Instances: 5}, binary)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	checkServer(t, s, "udp")
	checkServer(t, s, "tcp")
	if s.Version == "" || s.Version == "unknown" {
		t.Errorf("version %q", s.Version)
	}
	checkFigures(t, s)
}

func checkFigures(t *testing.T, s *peer.Server) {
	t.Helper()
	figures, err := s.Figures(t.Context(), true)
	if err != nil || figures[peer.Mallocs] < 100 || figures[peer.Heap] < 10_000 {
		t.Errorf("figures %v, error %v", figures, err)
	}
}

func TestFiguresOfEmbedded(t *testing.T) {
	s, err := peer.Embed(t.Context(), place(t), zone.Zone{Services: 1, Instances: 1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	checkFigures(t, s)
	s.Stop()
	if figures, err := s.Figures(t.Context(), false); err == nil {
		t.Errorf("of a server that has ended: %v", figures)
	}
}

func FuzzParseFigures(f *testing.F) {
	f.Add("# HELP x y\nx 3\nz{a=\"b\"} 4\ny 1.5e3\n", 3.0)
	f.Add("x many\n", 1e300)
	f.Fuzz(func(t *testing.T, text string, want float64) {
		figures, err := peer.ParseFigures(strings.NewReader(text))
		if err != nil && figures != nil {
			t.Errorf("figures %v with error %v", figures, err)
		}
		if figures, err = peer.ParseFigures(strings.NewReader(fmt.Sprintf("name %g\n", want))); err != nil || figures["name"] != want {
			t.Errorf("%g is read as %v, %v", want, figures, err)
		}
	})
}

func TestParseFigures(t *testing.T) {
	got, err := peer.ParseFigures(strings.NewReader("# HELP x y\n# TYPE x counter\nx 3\nz{a=\"b\"} 4\ny 1.5e3\n"))
	if diff := cmp.Diff(peer.Figures{"x": 3, "y": 1500}, got); err != nil || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	if got, err := peer.ParseFigures(strings.NewReader("x many\n")); err == nil {
		t.Errorf("got %v, want an error", got)
	}
}

func TestVersions(t *testing.T) {
	for _, server := range servers[1:3] {
		s, err := server.start(t.Context(), place(t), zone.Zone{Services: 1, Instances: 1})
		if err != nil {
			t.Fatal(err)
		}
		s.Stop()
		if !strings.Contains(s.Version, ".") {
			t.Errorf("%s: version %q", server.name, s.Version)
		}
	}
	for _, test := range []struct{ in, want string }{
		{"NSD version 4.6.1\nWritten by NLnet Labs.", "4.6.1"},
		{"knotd (Knot DNS), version 3.2.6\n", "3.2.6"},
		{" none ", "none"},
	} {
		if got := peer.VersionIn(test.in); got != test.want {
			t.Errorf("VersionIn(%q) = %q, want %q", test.in, got, test.want)
		}
	}
	for _, test := range []struct{ in, want string }{
		{"dnsreg v1.2 go1.26 linux/amd64\n", "v1.2"},
		{"", "unknown"},
	} {
		if got := peer.VersionOf(test.in); got != test.want {
			t.Errorf("VersionOf(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

func TestEcho(t *testing.T) {
	for _, test := range []struct {
		name    string
		batches bool
	}{{"one by one", false}, {"batches", true}} {
		t.Run(test.name, func(t *testing.T) {
			s, err := peer.Echo(t.Context(), place(t), test.batches)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Stop)
			if s.PID() <= 0 || s.PID() == os.Getpid() {
				t.Errorf("process id %d", s.PID())
			}
		})
	}
}

// TestEndedServerIsAnError: the error has the last words of a binary that is not dnsreg.
func TestEndedServerIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dnsreg")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho no such verb >&2\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := peer.Serve(t.Context(), place(t), zone.Zone{Services: 1, Instances: 1}, path)
	if err == nil || !strings.Contains(err.Error(), "no such verb") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error %v", err)
	}
}

func TestMissing(t *testing.T) {
	if missing := peer.Missing(); len(missing) > 0 {
		t.Errorf("packages are missing: %v", missing)
	}
	t.Setenv("PATH", t.TempDir())
	if got := strings.Join(peer.Missing(), " "); got != "knot nsd dnsperf util-linux" {
		t.Errorf("with nothing installed, missing is %q", got)
	}
}

func TestTail(t *testing.T) {
	var log peer.Tail
	for i := range 1000 {
		fmt.Fprintf(&log, "line %d\n", i)
	}
	if got := log.String(); len(got) > 2048 || !strings.HasSuffix(got, "line 998\nline 999") {
		t.Errorf("%d octets that end in %q", len(got), got[max(0, len(got)-20):])
	}
}
