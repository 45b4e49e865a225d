package resolverclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// webs are HTTP servers and the DNS zone that names them as web.
type webs struct {
	testing.TB
	script *swap
	addr   string // of the DNS server
}

func newWebs(tb testing.TB) *webs {
	w := &webs{TB: tb, script: newSwap(newZone(tb).serve)}
	w.addr = listen(tb, w.script.serve)
	return w
}

// register puts the servers at these addresses, and no others, into the zone.
func (w *webs) register(addrs ...string) {
	w.Helper()
	records := []string{"lo.svc.internal. 5 A 127.0.0.1"}
	for _, addr := range addrs {
		port := netip.MustParseAddrPort(addr).Port()
		records = append(records, fmt.Sprintf("_web._tcp.svc.internal. 5 SRV 0 1 %d lo.svc.internal.", port))
	}
	w.script.set(newZone(w, records...).serve)
}

// server runs an HTTP server, not registered yet, and returns its address.
func (w *webs) server(h http.HandlerFunc) (addr string, s *httptest.Server) {
	w.Helper()
	s = httptest.NewServer(h)
	w.Cleanup(s.Close)
	return s.Listener.Addr().String(), s
}

// client returns an HTTP client whose transport resolves web, and refreshes in a few hundredths of a second.
func (w *webs) client() (*http.Client, *resolverclient.Transport) {
	w.Helper()
	c := newClient(w, resolverclient.Config{
		Servers: []string{w.addr}, Strategy: resolverclient.RoundRobin,
		MinTTL: 20 * time.Millisecond, MaxTTL: 20 * time.Millisecond,
	})
	t := c.NewTransport(nil)
	w.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t}, t
}

// say is a handler that answers with a text.
func say(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
}

// fetch sends a request and returns the status and the body.
func fetch(tb testing.TB, c *http.Client, req *http.Request) (int, string, error) {
	tb.Helper()
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

func request(tb testing.TB, method string, body io.Reader) *http.Request {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), method, "http://web/x?y=z", body)
	if err != nil {
		tb.Fatal(err)
	}
	return req
}

func TestTransportSpreadsRequests(t *testing.T) {
	w := newWebs(t)
	var addrs []string
	for i := range 3 {
		addr, _ := w.server(func(rw http.ResponseWriter, r *http.Request) {
			fmt.Fprint(rw, i, " ", r.Host, " ", r.URL)
		})
		addrs = append(addrs, addr)
	}
	w.register(addrs...)
	c, _ := w.client()
	counts := map[string]int{}
	for range 30 {
		_, body, err := fetch(t, c, request(t, http.MethodGet, nil))
		if err != nil {
			t.Fatal(err)
		}
		counts[body]++
	}
	for i := range 3 {
		if n := counts[fmt.Sprint(i, " web /x?y=z")]; n != 10 {
			t.Errorf("got %v, want 10 of each", counts)
		}
	}
}

func TestTransportGoesOnToTheNextInstance(t *testing.T) {
	busy := func(rw http.ResponseWriter, _ *http.Request) {
		http.Error(rw, "busy", http.StatusServiceUnavailable)
	}
	cut := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	echo := func(rw http.ResponseWriter, r *http.Request) { _, _ = io.Copy(rw, r.Body) }
	for _, tt := range []struct {
		name   string
		bad    http.HandlerFunc // nil for one that refuses connections
		method string
		body   func() io.Reader
		key    bool // Idempotency-Key
		fails  bool // some requests meet the bad instance
	}{
		{name: "refused, GET", method: http.MethodGet},
		{name: "refused, POST with a known body", method: http.MethodPost, body: known},
		{name: "refused, POST with a body to be read once", method: http.MethodPost, body: opaque},
		{name: "503, GET", bad: busy, method: http.MethodGet},
		{name: "503, POST", bad: busy, method: http.MethodPost, body: known, fails: true},
		{name: "503, POST with a key", bad: busy, method: http.MethodPost, body: known, key: true},
		{name: "503, POST with a key and a body that is gone", bad: busy, method: http.MethodPost, body: opaque, key: true, fails: true},
		{name: "cut off, GET", bad: cut, method: http.MethodGet},
		{name: "cut off, POST", bad: cut, method: http.MethodPost, body: known, fails: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWebs(t)
			good, _ := w.server(echo)
			other, _ := w.server(echo)
			bad := nowhere
			if tt.bad != nil {
				bad, _ = w.server(tt.bad)
			}
			w.register(good, bad, other)
			c, _ := w.client()
			failed := 0
			for range 12 {
				want := ""
				var body io.Reader
				if tt.body != nil {
					want, body = "body", tt.body()
				}
				req := request(t, tt.method, body)
				if tt.key {
					req.Header.Set("Idempotency-Key", "k")
				}
				if status, got, err := fetch(t, c, req); err != nil || status != http.StatusOK || got != want {
					failed++
				}
			}
			if (failed > 0) != tt.fails || failed > 5 {
				t.Errorf("%d of 12 requests failed, want some: %v, until the instance is ejected", failed, tt.fails)
			}
		})
	}
}

// Where every instance is busy the caller gets the reply of the last one, to read as any other.
func TestTransportReturnsTheLastReply(t *testing.T) {
	w := newWebs(t)
	busy := func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "busy", http.StatusServiceUnavailable) }
	one, _ := w.server(busy)
	two, _ := w.server(busy)
	w.register(one, two)
	c, _ := w.client()
	status, body, err := fetch(t, c, request(t, http.MethodGet, nil))
	if status != http.StatusServiceUnavailable || body != "busy\n" || err != nil {
		t.Errorf("got %d %q, %v", status, body, err)
	}
	w.register(one, nowhere)
	for range 5 {
		if status, body, err := fetch(t, c, request(t, http.MethodGet, nil)); err != nil || body != "busy\n" {
			t.Errorf("got %d %q, %v", status, body, err)
		}
	}
}

func TestTransportFails(t *testing.T) {
	w := newWebs(t)
	c, _ := w.client()
	if _, _, err := fetch(t, c, request(t, http.MethodGet, nil)); !errors.Is(err, resolverclient.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	w.register(nowhere)
	other, _ := w.client()
	if _, _, err := fetch(t, other, request(t, http.MethodGet, nil)); !resolverclient.IsConnectError(err) {
		t.Errorf("got %v, want a connect error", err)
	}
	req := request(t, http.MethodPost, strings.NewReader("body"))
	req.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("body is gone") }
	if _, _, err := fetch(t, other, req); err == nil || !strings.Contains(err.Error(), "body is gone") {
		t.Errorf("got %v", err)
	}
}

// What names no service is none of the transport's business: it goes to the base transport.
func TestTransportPassesOthersOn(t *testing.T) {
	w := newWebs(t)
	addr, _ := w.server(say("direct"))
	w.register(addr)
	passed := errors.New("passed on")
	c := newClient(t, resolverclient.Config{Servers: []string{w.addr}}).NewTransport(&http.Transport{
		Proxy: func(*http.Request) (*url.URL, error) { return nil, passed }, // asked for by the base transport alone
	})
	for _, tt := range []struct {
		url    string
		passed bool
	}{
		{"http://web/", false},
		{"http://_WEB._tcp/", false},
		{"http://_web._tcp.svc.internal./", false},
		{"http://web:80/", true},
		{"http://www.example.com/", true},
		{"http://localhost/", true},
		{"http://LocalHost./", true},
		{"http://127.0.0.1/", true},
		{"http://[::1]/", true},
		{"http://[fe80::1%25lo]/", true},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tt.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.RoundTrip(req)
		if got := errors.Is(err, passed); got != tt.passed || !tt.passed && err != nil {
			t.Errorf("%s: passed on %t, %v", tt.url, got, err)
		}
		if err == nil {
			resp.Body.Close()
		}
	}
	c.CloseIdleConnections()
}

// No dial function of the base transport leads past the service's instances.
func TestTransportDialsForItself(t *testing.T) {
	w := newWebs(t)
	s := httptest.NewTLSServer(say("instance"))
	t.Cleanup(s.Close)
	w.register(s.Listener.Addr().String())
	base, ok := s.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("the client of httptest has another transport")
	}
	astray := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("astray") }
	base.DialContext, base.DialTLSContext = astray, astray
	//lint:ignore SA1019 deprecated, and yet called where it is set
	base.DialTLS = func(string, string) (net.Conn, error) { return nil, errors.New("astray") }
	base.TLSClientConfig.ServerName = "example.com"
	transport := newClient(t, resolverclient.Config{Servers: []string{w.addr}}).NewTransport(base)
	t.Cleanup(transport.CloseIdleConnections)
	req := request(t, http.MethodGet, nil)
	req.URL.Scheme = "https"
	if _, body, err := fetch(t, &http.Client{Transport: transport}, req); err != nil || body != "instance" {
		t.Errorf("got %q, %v", body, err)
	}
}

// Without a zone a service has no name. That is an error, and nothing to ask the system's resolver for.
func TestTransportWithoutZone(t *testing.T) {
	c, err := resolverclient.New(resolverclient.Config{Servers: []string{"127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	body := new(closeSpy)
	_, err = c.NewTransport(nil).RoundTrip(request(t, http.MethodPost, body))
	if err == nil || !strings.Contains(err.Error(), "needs a zone") || body.closed.Load() != 1 {
		t.Errorf("got %v, body closed %d times", err, body.closed.Load())
	}
}

// Whatever becomes of a request, its body is closed, once, in the end.
func TestTransportClosesTheBody(t *testing.T) {
	w := newWebs(t)
	reads, _ := w.server(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	ignores, _ := w.server(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusTeapot) })
	for _, tt := range []struct {
		name  string
		addrs []string
		fails bool
	}{
		{"none there", nil, true},
		{"all refuse", []string{nowhere, nowhereElse}, true},
		{"read", []string{reads}, false},
		{"not read", []string{ignores}, false},
		{"read by the next", []string{nowhere, reads}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.register(tt.addrs...)
			_, transport := w.client()
			var bodies []*closeSpy
			for range 4 {
				body := new(closeSpy)
				bodies = append(bodies, body)
				resp, err := transport.RoundTrip(request(t, http.MethodPost, body))
				if (err != nil) != tt.fails {
					t.Fatalf("got %v, want an error: %t", err, tt.fails)
				}
				if err == nil {
					resp.Body.Close()
				}
				eventually(t, "the body closed", func() bool { return body.closed.Load() > 0 })
			}
			transport.CloseIdleConnections()
			for _, body := range bodies { // once more, for who closes late
				if n := body.closed.Load(); n != 1 {
					t.Errorf("closed %d times", n)
				}
			}
		})
	}
}

// An upload that breaks off at the caller's end, as those of a proxy's clients do, speaks against no instance.
func TestTransportBlamesNobodyForABrokenBody(t *testing.T) {
	w := newWebs(t)
	counts := make([]atomic.Int32, 3)
	var addrs []string
	for i := range counts {
		addr, _ := w.server(func(_ http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err == nil {
				counts[i].Add(1)
			}
		})
		addrs = append(addrs, addr)
	}
	w.register(addrs...)
	c, _ := w.client()
	for range 30 {
		body := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF))
		if _, _, err := fetch(t, c, request(t, http.MethodPost, body)); err == nil {
			t.Fatal("half a body was sent as a whole")
		}
	}
	for range 30 {
		if _, _, err := fetch(t, c, request(t, http.MethodGet, nil)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range counts {
		if n := counts[i].Load(); n != 10 {
			t.Errorf("instance %d got %d of 30 requests after uploads that broke off, want 10", i, n)
		}
	}
}

// closeSpy is an empty body that notes that it was closed.
type closeSpy struct{ closed atomic.Int32 }

func (*closeSpy) Read([]byte) (int, error) { return 0, io.EOF }

func (s *closeSpy) Close() error {
	s.closed.Add(1)
	return nil
}
