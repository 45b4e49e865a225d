package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// haproxy is a running HAProxy that fills its backends from SRV records.
type haproxy struct {
	stats  string // path of the socket that tells the servers' state
	client *http.Client
}

// startHAProxy runs HAProxy with a backend for each of three services: web and fits, asked for over UDP, and big, over
// TCP. What comes in goes to web.
func startHAProxy(t testing.TB, s *server) haproxy {
	t.Helper()
	dir := t.TempDir()
	stats, front := filepath.Join(dir, "stats"), filepath.Join(dir, "front")
	conf := fmt.Sprintf(`global
  stats socket %s mode 600
defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
resolvers udp
  nameserver dnsreg %s
  accepted_payload_size 1232
%s
resolvers tcp
  nameserver dnsreg tcp@%[2]s
  accepted_payload_size 65535
%[3]s
frontend front
  bind unix@%s
  default_backend web
backend web
  server-template web 5 _web._tcp.%s resolvers udp resolve-prefer ipv4 init-addr none
backend fits
  server-template fits 40 _fits._tcp.%[5]s resolvers udp resolve-prefer ipv4 init-addr none
backend big
  server-template big 150 _big._tcp.%[5]s resolvers tcp resolve-prefer ipv4 init-addr none
`, stats, s.dns, `  timeout resolve 200ms
  timeout retry 1s
  hold valid 200ms
  hold obsolete 0s
  hold nx 0s`, front, zone)
	path := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	program(t, "haproxy", "-db", "-f", path)
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", front)
	}}
	return haproxy{stats: stats, client: &http.Client{Transport: transport, Timeout: patience}}
}

// unresolved is the bit of a server's administrative state that keeps it out of use for want of records.
const unresolved = 0x20

// servers returns the addresses and ports of a backend's servers that are filled and in use, in order.
func (h haproxy) servers(t testing.TB, backend string) []string {
	t.Helper()
	conn, err := net.Dial("unix", h.stats)
	if err != nil {
		return nil // it is about to listen
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "show servers state %s\n", backend); err != nil {
		t.Fatal(err)
	}
	var columns, filled []string
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		if fields[0] == "#" {
			columns = fields[1:]
			continue
		}
		value := func(column string) string { return fields[slices.Index(columns, column)] }
		state, err := strconv.Atoi(value("srv_admin_state"))
		if err != nil {
			t.Fatal(err)
		}
		if state&unresolved == 0 {
			filled = append(filled, net.JoinHostPort(value("srv_addr"), value("srv_port")))
		}
	}
	slices.Sort(filled)
	return filled
}

// has waits until a backend's servers are these.
func (h haproxy) has(t testing.TB, backend string, want []string) {
	t.Helper()
	want = slices.Sorted(slices.Values(want))
	var got []string
	defer func() {
		if t.Failed() {
			t.Logf("%s: %d servers, want %d: %q", backend, len(got), len(want), got)
		}
	}()
	within(t, 2*patience, fmt.Sprintf("%s has %d servers", backend, len(want)), func() bool {
		got = h.servers(t, backend)
		return slices.Equal(got, want)
	})
}

// get sends a request through the backend web and returns who answered it.
func (h haproxy) get(t testing.TB) string {
	t.Helper()
	resp, err := h.client.Get("http://web/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	return string(body)
}

// putMany registers n instances of a service, and returns their addresses with ports.
func putMany(t testing.TB, s *server, service string, n int) []string {
	t.Helper()
	var all []string
	for i := range n {
		s.put(t, service, fmt.Sprintf("node-%03d", i), fmt.Sprintf(`{"addresses":["10.0.1.%d"],"port":%d,"ttl":"10m"}`, i, 9000+i))
		all = append(all, fmt.Sprintf("10.0.1.%d:%d", i, 9000+i))
	}
	return all
}

// remove deregisters an instance.
func (s *server) remove(t testing.TB, service, id string) {
	t.Helper()
	if status, reply := s.call(t, http.MethodDelete, "/v1/services/"+service+"/instances/"+id, ""); status != http.StatusOK {
		t.Fatalf("DELETE %s %s: status %d: %s", service, id, status, reply)
	}
}

// putFitting registers as many instances of a service as fit into an answer over UDP, and returns their addresses.
func putFitting(t testing.TB, s *server, service string) []string {
	t.Helper()
	var all []string
	for i := 0; ; i++ {
		id := fmt.Sprintf("node-%03d", i)
		s.put(t, service, id, fmt.Sprintf(`{"addresses":["10.0.1.%d"],"port":80,"ttl":"10m"}`, i))
		switch reply := s.ask(t, "_"+service+"._tcp."+zone, dns.TypeSRV); {
		case reply.Truncated:
			s.remove(t, service, id)
			return all
		case len(reply.Answer) != i+1:
			t.Fatalf("%d answers of %d", len(reply.Answer), i+1)
		}
		all = append(all, fmt.Sprintf("10.0.1.%d:80", i))
	}
}

// TestHAProxy has HAProxy fill its backends: 150 servers over TCP, over UDP as many as there is room for. It follows what
// comes and goes.
func TestHAProxy(t *testing.T) {
	t.Parallel()
	s := serve(t)
	big, fits := putMany(t, s, "big", 150), putFitting(t, s, "fits")
	if len(fits) < 20 {
		t.Errorf("%d instances fit over UDP", len(fits))
	}
	h := startHAProxy(t, s)
	h.has(t, "fits", fits)
	h.has(t, "big", big)
	for i := range 50 {
		s.remove(t, "big", fmt.Sprintf("node-%03d", i))
	}
	s.remove(t, "fits", "node-000")
	h.has(t, "big", big[50:])
	h.has(t, "fits", fits[1:])
	putMany(t, s, "big", 50)
	h.has(t, "big", big)
	for i := range 150 {
		s.remove(t, "big", fmt.Sprintf("node-%03d", i))
	}
	h.has(t, "big", nil)
}

// TestHAProxyBackendsComeAndGo sends requests through HAProxy while the servers behind it change.
func TestHAProxyBackendsComeAndGo(t *testing.T) {
	t.Parallel()
	s := serve(t)
	h := startHAProxy(t, s)
	d := deployment{t, s}
	at := func(apps ...*app) []string {
		var all []string
		for _, a := range apps {
			all = append(all, a.server.Listener.Addr().String())
		}
		return all
	}
	one, two := d.start("one"), d.start("two")
	h.has(t, "web", at(one, two))
	for range 20 {
		h.get(t)
	}
	if one.hits.Load() == 0 || two.hits.Load() == 0 {
		t.Errorf("%d and %d of 20 requests", one.hits.Load(), two.hits.Load())
	}
	s.remove(t, "web", "one")
	three := d.start("three")
	h.has(t, "web", at(two, three))
	before := one.hits.Load()
	one.server.Close()
	for range 20 {
		if who := h.get(t); who == "one" {
			t.Errorf("it is gone and still asked")
		}
	}
	if one.hits.Load() != before || three.hits.Load() == 0 {
		t.Errorf("%d requests to one that is gone, %d to a new one", one.hits.Load()-before, three.hits.Load())
	}
}
