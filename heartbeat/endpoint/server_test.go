package endpoint_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/heartbeat/endpoint"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// patience bounds every wait that should be short.
const patience = 30 * time.Second

// within polls ok until it holds.
func within(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			if !ok() {
				t.Fatalf("not within %s: %s", limit, what)
			}
			return
		case <-poll.C:
		}
	}
}

// listen starts a server on a port of its own.
func listen(t testing.TB, cfg endpoint.Config) (server *endpoint.Server, stop func() error) {
	t.Helper()
	if cfg.Listen == nil {
		cfg.Listen = []string{"127.0.0.1:0"}
	}
	server = newServer(t, cfg)
	if err := server.Listen(); err != nil {
		t.Fatal(err)
	}
	return server, start(t, server.Run)
}

// gate is a store whose registrations wait until it is opened.
type gate struct {
	endpoint.Store
	entered chan struct{}
	open    chan struct{}
}

func newGate(s endpoint.Store) gate { return gate{s, make(chan struct{}, 1), make(chan struct{})} }

func (g gate) Register(ctx context.Context, service store.Service, in store.Instance) (store.Registration, error) {
	g.entered <- struct{}{}
	select {
	case <-g.open:
		return g.Store.Register(ctx, service, in)
	case <-ctx.Done():
		return store.Registration{}, ctx.Err()
	}
}

// put registers web-1 over a socket and returns the status, or why there was none.
func put(url string) string {
	r, err := http.NewRequest(http.MethodPut, url+web1, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		return err.Error()
	}
	_ = resp.Body.Close()
	return fmt.Sprint(resp.StatusCode)
}

func TestRunServesEveryAddress(t *testing.T) {
	cfg := config(newStore(t, memstore.Config{}))
	cfg.Listen = []string{"127.0.0.1:0", "127.0.0.2:0"}
	server, stop := listen(t, cfg)
	if got := put(server.URL()); got != "201" {
		t.Errorf("status %s", got)
	}
	if err := stop(); err != nil {
		t.Errorf("run: %v", err)
	}
	if got := put(server.URL()); !strings.Contains(got, "refused") {
		t.Errorf("after the stop: %s", got)
	}
}

// TestListenFamily holds that an address is listened on in its own family, as DNS does it.
func TestListenFamily(t *testing.T) {
	for _, tt := range []struct {
		name, listen string
		four, six    bool // who is served
	}{
		{"any IPv4", "0.0.0.0:0", true, false},
		{"any IPv6", "[::]:0", false, true},
		{"any", ":0", true, true},
		{"IPv4", "127.0.0.1:0", true, false},
		{"IPv6", "[::1]:0", false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t, memstore.Config{})
			cfg := config(s)
			cfg.Listen, cfg.AuthMode = []string{tt.listen}, endpoint.AuthNone
			server, _ := listen(t, cfg)
			_, port, err := net.SplitHostPort(strings.TrimPrefix(server.URL(), "http://"))
			if err != nil {
				t.Fatal(err)
			}
			for host, want := range map[string]bool{"127.0.0.1": tt.four, "[::1]": tt.six} {
				got := put("http://" + host + ":" + port)
				// Another process may serve the port in the other family.
				if served := got == "201" && s.View().Instances() == 1; served != want {
					t.Errorf("%s: %s, want served: %t", host, got, want)
				}
				_, _ = s.Deregister(t.Context(), "_web._tcp", "web-1") // for the next one
			}
		})
	}
}

// TestRunDrains holds that a call that runs at the stop is answered, while /readyz already says no and nobody new gets in.
func TestRunDrains(t *testing.T) {
	g := newGate(newStore(t, memstore.Config{}))
	server, stop := listen(t, config(g))
	answered, stopped := make(chan string, 1), make(chan error, 1)
	go func() { answered <- put(server.URL()) }()
	<-g.entered
	go func() { stopped <- stop() }()
	a := &api{Handler: server.Handler(), peer: "192.0.2.1:1"}
	within(t, patience, "not ready while stopping", func() bool { return a.call(t, "GET", "/readyz", "").status == 503 })
	if detail := a.call(t, "GET", "/readyz", "").problem(t).Detail; !strings.Contains(detail, "the server is stopping") {
		t.Errorf("readyz: %q", detail)
	}
	close(g.open)
	if got := <-answered; got != "201" {
		t.Errorf("the running call: %s", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("run: %v", err)
	}
}

// TestRunStopsDraining holds that a call that does not end does not keep Run.
func TestRunStopsDraining(t *testing.T) {
	g := newGate(newStore(t, memstore.Config{}))
	cfg := config(g)
	cfg.Drain = time.Millisecond
	server, stop := listen(t, cfg)
	answered := make(chan string, 1)
	go func() { answered <- put(server.URL()) }()
	<-g.entered
	if err := stop(); err == nil || !strings.Contains(err.Error(), "calls still run after 1ms") || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("run: %v", err)
	}
	if got := <-answered; !strings.Contains(got, "EOF") && !strings.Contains(got, "reset") {
		t.Errorf("the running call: %s", got)
	}
	close(g.open)
}

// TestHugeHeader holds that a header over the limit is refused.
func TestHugeHeader(t *testing.T) {
	server, _ := listen(t, config(newStore(t, memstore.Config{})))
	conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	// The server may cut the connection while this is still being written: its reply is what counts.
	_, _ = fmt.Fprintf(conn, "GET /livez HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("x", 64<<10))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// TestBodyCutOff holds that a body of which a part is missing changes nothing.
func TestBodyCutOff(t *testing.T) {
	s := newStore(t, memstore.Config{})
	server, _ := listen(t, config(s))
	conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", web1, len(body)+1, body); err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	reply, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	_ = conn.Close()
	if resp.StatusCode != 400 || !strings.Contains(string(reply), "body must arrive whole") || s.View().Instances() != 0 {
		t.Errorf("status %d: %s", resp.StatusCode, reply)
	}
}

// TestChunkedBody holds the limit of a body whose length is not announced.
func TestChunkedBody(t *testing.T) {
	server, _ := listen(t, config(newStore(t, memstore.Config{})))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for size, want := range map[int]int{heartbeat.MaxBody: 201, heartbeat.MaxBody + 1: 413} {
		padded := body + strings.Repeat(" ", size-len(body))
		r, err := http.NewRequest(http.MethodPut, server.URL()+id(fmt.Sprint(size)), io.MultiReader(strings.NewReader(padded)))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%d octets: status %d, want %d", size, resp.StatusCode, want)
		}
	}
}

// TestStopDoesNotWaitForSilentConnections holds that connections which never sent anything do not hold up a stop, which
// net/http would let them do until they are five seconds old, or three by the limit on headers.
func TestStopDoesNotWaitForSilentConnections(t *testing.T) {
	cfg := config(newStore(t, memstore.Config{}))
	cfg.Drain = time.Minute
	server, stop := listen(t, cfg)
	for range 3 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL(), "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	if resp, err := http.Get(server.URL() + "/livez"); err != nil || resp.Body.Close() != nil { // the three are accepted by now
		t.Fatal(err)
	}
	before := time.Now()
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if took := time.Since(before); took >= 3*time.Second {
		t.Errorf("stopping took %v", took)
	}
}
