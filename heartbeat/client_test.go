package heartbeat_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/store"
)

// serve runs handler behind a socket and returns a client of it.
func serve(t testing.TB, handler http.HandlerFunc) *heartbeat.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return newClient(t, heartbeat.Config{Server: server.URL, HTTPClient: server.Client()})
}

func newClient(t testing.TB, cfg heartbeat.Config) *heartbeat.Client {
	t.Helper()
	c, err := heartbeat.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// calls has every call of the client.
var calls = []struct {
	name string
	do   func(ctx context.Context, c *heartbeat.Client) error
	want string // method, path, If-Match and body
}{
	{"register", func(ctx context.Context, c *heartbeat.Client) error {
		_, err := c.Register(ctx, "web", store.Instance{ID: "a b", Port: 80, TTL: time.Second, Addresses: addrs("::1")})
		return err
	}, `PUT /v1/services/web/instances/a%20b  {"id":"a b","addresses":["::1"],"port":80,"weight":0,"ttl":"1s"}`},
	{"register with the default ttl", func(ctx context.Context, c *heartbeat.Client) error {
		_, err := c.Register(ctx, "web", store.Instance{ID: "a", Port: 80})
		return err
	}, `PUT /v1/services/web/instances/a  {"id":"a","port":80,"weight":0}`},
	{"heartbeat", func(ctx context.Context, c *heartbeat.Client) error {
		_, err := c.Heartbeat(ctx, "_web._tcp", "a/b", "")
		return err
	}, `POST /v1/services/_web._tcp/instances/a%2Fb/heartbeat  `},
	{"heartbeat of a content", func(ctx context.Context, c *heartbeat.Client) error {
		_, err := c.Heartbeat(ctx, "_web._tcp", "büro", "e")
		return err
	}, `POST /v1/services/_web._tcp/instances/b%C3%BCro/heartbeat "e" `},
	{"batch", func(ctx context.Context, c *heartbeat.Client) error {
		_, err := c.HeartbeatAll(ctx, []store.Renewal{{Service: "web", ID: "a", ETag: "e"}, {Service: "web", ID: "b"}})
		return err
	}, `POST /v1/heartbeats  {"instances":[{"service":"web","id":"a","etag":"e"},{"service":"web","id":"b"}]}`},
	{"deregister", func(ctx context.Context, c *heartbeat.Client) error {
		_, err := c.Deregister(ctx, "web", "..")
		return err
	}, `DELETE /v1/services/web/instances/%2E%2E  `},
	{"state", func(ctx context.Context, c *heartbeat.Client) error {
		_, err := c.SetState(ctx, "web", "a", store.Draining)
		return err
	}, `PATCH /v1/services/web/instances/a  {"state":"draining"}`},
	{"weight", func(ctx context.Context, c *heartbeat.Client) error {
		_, err := c.SetWeight(ctx, "web", "a%", 0)
		return err
	}, `PATCH /v1/services/web/instances/a%25  {"weight":0}`},
	{"services", func(ctx context.Context, c *heartbeat.Client) error {
		_, err := c.Services(ctx)
		return err
	}, `GET /v1/services  `},
	{"service", func(ctx context.Context, c *heartbeat.Client) error {
		_, err := c.Service(ctx, "_web._udp")
		return err
	}, `GET /v1/services/_web._udp  `},
	{"instance", func(ctx context.Context, c *heartbeat.Client) error {
		_, err := c.Instance(ctx, "web", "a?b#c")
		return err
	}, `GET /v1/services/web/instances/a%3Fb%23c  `},
}

func TestClientCalls(t *testing.T) {
	for _, tt := range calls {
		t.Run(tt.name, func(t *testing.T) {
			got := make(chan string, 1)
			c := serve(t, func(_ http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got <- strings.Join([]string{r.Method, r.RequestURI, r.Header.Get("If-Match"), string(body)}, " ")
				if key := r.Header.Values("Idempotency-Key"); len(key) > 0 {
					t.Errorf("sent a key %q", key)
				}
			})
			if err := tt.do(t.Context(), c); err == nil {
				t.Error("took an empty reply for one of dnsreg")
			}
			if diff := cmp.Diff(tt.want, <-got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

// TestClientOfAZone holds that every call of a client of a zone is made below that zone's path.
func TestClientOfAZone(t *testing.T) {
	for _, tt := range calls {
		t.Run(tt.name, func(t *testing.T) {
			got := make(chan string, 1)
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got <- r.Method + " " + r.RequestURI
			}))
			t.Cleanup(server.Close)
			c, err := heartbeat.NewClient(heartbeat.Config{Server: server.URL, Zone: "Lab.internal."})
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.do(t.Context(), c); err == nil {
				t.Error("took an empty reply for one of dnsreg")
			}
			fields := strings.Fields(strings.Replace(tt.want, " /v1/", " /v1/zones/lab.internal/", 1))
			if diff := cmp.Diff(fields[0]+" "+fields[1], <-got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

// TestClientErrors holds that every call maps every error reply.
func TestClientErrors(t *testing.T) {
	tests := []struct {
		status int
		kind   string
		want   error // nil: none of store's
	}{
		{400, heartbeat.TypeBlank, nil},
		{401, heartbeat.TypeBlank, nil},
		{404, heartbeat.TypeGone, store.ErrGone},
		{404, heartbeat.TypeUnknown, store.ErrUnknown},
		{404, heartbeat.TypeBlank, nil},
		{409, heartbeat.TypeFull, store.ErrFull},
		{410, heartbeat.TypeDeregistered, store.ErrDeregistered},
		{412, heartbeat.TypeConflict, store.ErrConflict},
		{413, heartbeat.TypeBlank, nil},
		{500, heartbeat.TypeBlank, nil},
		{502, "", store.ErrUnavailable},
		{503, heartbeat.TypeUnavailable, store.ErrUnavailable},
		{504, "", store.ErrUnavailable},
	}
	sentinels := []error{store.ErrGone, store.ErrUnknown, store.ErrFull, store.ErrDeregistered, store.ErrConflict, store.ErrUnavailable}
	for _, tt := range tests {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			answer(tt.status, `{"type":"`+tt.kind+`","title":"T","status":1,"detail":"why"}`).ServeHTTP(w, r)
		})
		for _, call := range calls {
			err := call.do(t.Context(), c)
			var p *heartbeat.ProblemError
			if !errors.As(err, &p) || p.Status != tt.status || p.Title != "T" || p.Detail != "why" {
				t.Errorf("%s, %d: error %v", call.name, tt.status, err)
			}
			for _, sentinel := range sentinels {
				if got := errors.Is(err, sentinel); got != (sentinel == tt.want) {
					t.Errorf("%s, %d %s: is %q: %t", call.name, tt.status, tt.kind, sentinel, got)
				}
			}
		}
	}
}

func TestClientInvalid(t *testing.T) {
	c := serve(t, answer(422, `{"type":"`+heartbeat.TypeInvalid+`","errors":[{"field":"port","value":"0","rule":"must be 1 to 65535"}]}`).ServeHTTP)
	_, err := c.Register(t.Context(), "web", store.Instance{ID: "a"})
	wantInvalid(t, err, wrong("port", "0", "must be 1 to 65535"))
}

// TestClientRefusesBeforeSending holds that nothing is sent that JSON would change on the way.
func TestClientRefusesBeforeSending(t *testing.T) {
	w := &wire{}
	_, err := w.client(t).Register(t.Context(), "web", store.Instance{ID: "a\xff"})
	wantInvalid(t, err, wrong("id", "a\xff", "must be valid UTF-8"))
	if len(w.seen()) > 0 {
		t.Error("it was sent")
	}
}

func TestClientErrorText(t *testing.T) {
	tests := []struct {
		name         string
		status       int
		header, body string
		want         string
	}{
		{"problem", 410, heartbeat.ProblemMedia, `{"title":"Deregistered","detail":"web-1"}`, "410 Deregistered: web-1"},
		{"with a charset", 410, heartbeat.ProblemMedia + "; charset=utf-8", `{"title":"Deregistered"}`, "410 Deregistered"},
		{"page of a proxy", 502, "text/html", "<h1>Bad", "502 Bad Gateway"},
		{"broken problem", 404, heartbeat.ProblemMedia, `{"title`, "404 Not Found"},
		{"endless problem", 500, heartbeat.ProblemMedia, `{"title":"` + strings.Repeat("x", 1<<20) + `"}`, "500 Internal Server Error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var url string
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				url = "http://" + r.Host
				w.Header().Set("Content-Type", tt.header)
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			})
			_, err := c.Services(t.Context())
			if want := "GET " + url + "/v1/services: " + tt.want; err == nil || err.Error() != want {
				t.Errorf("error %.200q, want %q", err, want)
			}
		})
	}
}

func TestClientDenied(t *testing.T) {
	for status, want := range map[int]bool{400: false, 401: true, 403: true, 404: false, 503: false} {
		_, err := serve(t, answer(status, `{}`).ServeHTTP).Services(t.Context())
		if got := heartbeat.Denied(err); got != want {
			t.Errorf("%d: denied %t, want %t", status, got, want)
		}
	}
	if heartbeat.Denied(nil) || heartbeat.Denied(io.EOF) {
		t.Error("denied without a reply")
	}
}

func TestClientSendsToken(t *testing.T) {
	w := &wire{}
	var got string
	w.set(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("Authorization") }), false)
	cfg := heartbeat.Config{Server: "https://registry.test/prefix/", HTTPClient: &http.Client{Transport: w}}
	for token, want := range map[string]string{"": "", "secret": "Bearer secret"} {
		cfg.Token = token
		_, _ = newClient(t, cfg).Services(t.Context()) // an empty reply: seen in TestClientCalls
		if got != want {
			t.Errorf("token %q: sent %q", token, got)
		}
	}
	if what := w.seen()[0].what; what != "GET /prefix/v1/services" {
		t.Errorf("called %q", what)
	}
}

func TestClientDoesNotFollow(t *testing.T) {
	w := &wire{}
	w.set(http.RedirectHandler("http://elsewhere.test/", http.StatusMovedPermanently), false)
	_, err := w.client(t).Register(t.Context(), "web", store.Instance{ID: "a"})
	var p *heartbeat.ProblemError
	if !errors.As(err, &p) || p.Status != http.StatusMovedPermanently || len(w.seen()) != 1 {
		t.Errorf("error %v, calls %v", err, w.seen())
	}
}

func TestClientUnreachable(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	_, err := newClient(t, heartbeat.Config{Server: server.URL}).Services(t.Context())
	if !errors.Is(err, store.ErrUnavailable) || heartbeat.Denied(err) {
		t.Errorf("error %v", err)
	}
	wantText(t, err, "GET "+server.URL+"/v1/services: no reply from the server: dial tcp", "refused")
	if strings.Count(err.Error(), server.URL) != 1 {
		t.Errorf("error %q repeats itself", err)
	}
}

// TestClientConnectionClosed holds that a call which meets the end of a kept connection is made again on a new one,
// POST and PATCH included: every call may be repeated.
func TestClientConnectionClosed(t *testing.T) {
	for _, call := range calls {
		t.Run(call.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			answered := make(chan int, 1)
			go func() { answered <- closing(l) }()
			transport := &http.Transport{}
			c := newClient(t, heartbeat.Config{Server: "http://" + l.Addr().String(), HTTPClient: &http.Client{Transport: transport}})
			for range 2 {
				if err := call.do(t.Context(), c); err != nil && !strings.Contains(err.Error(), "batch of heartbeats") {
					t.Errorf("call: %v", err)
				}
			}
			_ = l.Close()
			transport.CloseIdleConnections()
			if n := <-answered; n != 2 {
				t.Errorf("%d connections, want two", n)
			}
		})
	}
}

// closing answers the first request of each connection and closes it at the second. It returns how many there were.
func closing(l net.Listener) (connections int) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return connections
		}
		connections++
		requests := bufio.NewReader(conn)
		for first := true; ; first = false {
			r, err := http.ReadRequest(requests)
			if err != nil || !first {
				break
			}
			_, _ = io.Copy(io.Discard, r.Body)
			const reply = `{"lease":{"ttl":"30s"}}`
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(reply), reply)
		}
		_ = conn.Close()
	}
}

// TestReadAtMost holds the bound of a reply at its edge.
func TestReadAtMost(t *testing.T) {
	for size, want := range map[int]bool{0: true, 9: true, 10: true, 11: false, 1000: false} {
		data, err := heartbeat.ReadAtMost(strings.NewReader(strings.Repeat("x", size)), 10)
		if (err == nil) != want || want && len(data) != size {
			t.Errorf("%d octets: %d read, %v", size, len(data), err)
		}
	}
}

func TestClientCutOff(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"services":[`)
	})
	if _, err := c.Services(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
}

func TestClientContext(t *testing.T) {
	w := &wire{hanging: true}
	cause := errors.New("told to stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	for _, call := range calls {
		if err := call.do(ctx, w.client(t)); !errors.Is(err, cause) || errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: error %v, want the context's cause", call.name, err)
		}
	}
}

func TestClientForeignReply(t *testing.T) {
	for _, body := range []string{"", "<html>", `[1]`, `{"lease":{"ttl":"x"}}`, `{}`, `{"ok":true}`, `{"lease":{"ttl":"0s"}}`, `{"lease":{"ttl":"-1s"}}`} {
		c := serve(t, answer(200, body).ServeHTTP)
		_, beat := c.Heartbeat(t.Context(), "web", "a", "")
		_, put := c.Register(t.Context(), "web", store.Instance{ID: "a"})
		for _, err := range []error{beat, put} {
			wantText(t, err, "the reply is not dnsreg's")
			if errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%q: %v", body, err)
			}
		}
	}
}

// TestChangeSettles holds that the wait for a drained instance does not depend on whether two machines' clocks agree.
func TestChangeSettles(t *testing.T) {
	const reply = `{"revision":7,"state":"draining","weight":1,"safe_at":"2001-02-03T04:05:12.5Z"}`
	for date, want := range map[string]time.Duration{
		"Sat, 03 Feb 2001 04:05:06 GMT": 6500 * time.Millisecond,
		"Sat, 03 Feb 2001 04:05:13 GMT": -500 * time.Millisecond,
	} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", date)
			answer(200, reply).ServeHTTP(w, r)
		})
		change, err := c.SetState(t.Context(), "web", "a", store.Draining)
		if got := change.Settles(); err != nil || got != want {
			t.Errorf("at %s: %v, %v; want %v", date, got, err, want)
		}
	}
	soon := time.Now().Add(time.Hour)
	if got := (heartbeat.Change{SafeAt: &soon}).Settles(); got > time.Hour || got < 59*time.Minute {
		t.Errorf("without a date: %v", got)
	}
	if got := (heartbeat.Change{}).Settles(); got != 0 {
		t.Errorf("of what is up: %v", got)
	}
}

func TestClientLenientReply(t *testing.T) {
	const body = `{"etag":"e","lease":{"ttl":"30s","expires_at":"2026-01-02T03:04:05Z","heartbeat_after":"10s"},"revision":7,"warnings":["w"],"later":{}}`
	for status, created := range map[int]bool{200: false, 201: true} {
		got, err := serve(t, answer(status, body).ServeHTTP).Register(t.Context(), "web", store.Instance{ID: "a"})
		want := heartbeat.Registration{
			ETag: "e", Revision: 7, Warnings: []string{"w"}, Created: created,
			Lease: heartbeat.Lease{
				TTL: heartbeat.Duration(30 * time.Second), HeartbeatAfter: heartbeat.Duration(10 * time.Second),
				ExpiresAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
			},
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%d: %v (-want +got):\n%s", status, err, diff)
		}
	}
}

func TestClientBatchResults(t *testing.T) {
	lease := &heartbeat.Lease{TTL: heartbeat.Duration(time.Second)}
	reply := heartbeat.Batch{Instances: []heartbeat.BatchResult{
		{Result: heartbeat.ResultRenewed, Lease: lease},
		{Result: heartbeat.ResultGone},
		{Result: heartbeat.ResultChanged},
		{Result: heartbeat.ResultDeregistered},
		{Result: heartbeat.ResultRenewed},
		{Result: heartbeat.ResultRenewed, Lease: &heartbeat.Lease{}},
		{Result: "held", ID: "x"},
	}}
	body, err := json.Marshal(reply)
	if err != nil {
		t.Fatal(err)
	}
	c := serve(t, answer(200, string(body)).ServeHTTP)
	beats, err := c.HeartbeatAll(t.Context(), make([]store.Renewal, 7))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{nil, store.ErrGone, store.ErrConflict, store.ErrDeregistered} {
		if !errors.Is(beats[i].Err, want) {
			t.Errorf("item %d: %v, want %v", i, beats[i].Err, want)
		}
	}
	if beats[0].Lease != *lease {
		t.Errorf("lease %+v", beats[0].Lease)
	}
	for _, beat := range beats[4:] {
		wantText(t, beat.Err, "unknown result")
	}
	_, err = c.HeartbeatAll(t.Context(), make([]store.Renewal, 5))
	wantText(t, err, "7 results to 5 renewals")
}

func TestNewClientNamesEveryField(t *testing.T) {
	for _, server := range []string{"", "127.0.0.1:8054", "localhost", "ftp://a", "http://", "http://a/?q", "http://a/#f", "://"} {
		_, err := heartbeat.NewClient(heartbeat.Config{Server: server, Token: "two words", Zone: "a..b"})
		wantText(t, err, `zone "a..b": must be`, "server \""+server+"\": must be a URL", "token: must be")
		if strings.Contains(err.Error(), "two words") {
			t.Errorf("error %q shows the token", err)
		}
	}
	_, err := heartbeat.NewClient(heartbeat.Config{Server: "http://me:pass@a"})
	wantText(t, err, "server: must not hold a user or password")
	if strings.Contains(err.Error(), "pass@") {
		t.Errorf("error %q shows the password", err)
	}
}
