package endpoint_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/heartbeat/endpoint"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Paths of one service and one instance of it.
const (
	web  = "/v1/services/web"
	web1 = web + "/instances/web-1"
)

// body registers an instance with everything given.
const body = `{"addresses":["10.0.0.5"],"port":8080}`

func rules() store.Rules { return store.Rules{Zone: "svc.internal.", Hosts: []string{"ns1"}} }

// newStore returns an embedded store that runs until the test ends.
func newStore(t testing.TB, cfg memstore.Config) *memstore.Store {
	t.Helper()
	cfg.Rules = rules()
	s, err := memstore.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	start(t, s.Run)
	return s
}

// start runs run until the test ends, or until stop is called, which returns what run returned.
func start(t testing.TB, run func(context.Context) error) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx); close(done) }()
	stop = func() error { cancel(); return <-done }
	t.Cleanup(func() { _ = stop() })
	return stop
}

// config returns a configuration that New accepts, whose calls a slow machine does not cut off.
func config(s endpoint.Store) endpoint.Config {
	return endpoint.Config{Zones: []endpoint.Zone{{Store: s, Rules: rules()}}, AnswerTTL: 5 * time.Second, Timeout: time.Minute}
}

func newServer(t testing.TB, cfg endpoint.Config) *endpoint.Server {
	t.Helper()
	s, err := endpoint.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// api is the handler of a server, for calls without a socket.
type api struct {
	http.Handler
	peer string // address and port of the caller
}

func newAPI(t testing.TB, cfg endpoint.Config) *api {
	t.Helper()
	return &api{Handler: newServer(t, cfg).Handler(), peer: "192.0.2.1:4711"}
}

// answered is a reply.
type answered struct {
	status int
	header http.Header
	body   string
}

// call makes one call; headers are pairs of name and value.
func (a *api) call(t testing.TB, method, path, body string, headers ...string) answered {
	t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, path, content)
	r.RemoteAddr, r.Host = a.peer, "localhost"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return answered{w.Code, w.Header(), w.Body.String()}
}

// must makes a call that the test takes for granted.
func (a *api) must(t testing.TB, status int, method, path, body string) answered {
	t.Helper()
	got := a.call(t, method, path, body)
	if got.status != status {
		t.Fatalf("%s %s: %d, want %d: %s", method, path, got.status, status, got.body)
	}
	return got
}

// decode reads a reply as JSON that has no fields but those of value.
func (a answered) decode(t testing.TB, value any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(a.body))
	d.DisallowUnknownFields()
	if err := d.Decode(value); err != nil {
		t.Fatalf("reply %q: %v", a.body, err)
	}
}

// problem reads an error reply and checks what all of them have in common.
func (a answered) problem(t testing.TB) heartbeat.Problem {
	t.Helper()
	var p heartbeat.Problem
	a.decode(t, &p)
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("content type %q", got)
	}
	if p.Status != a.status || p.Title == "" || p.Type == "" || p.Detail == "" {
		t.Errorf("status %d, problem %+v", a.status, p)
	}
	if retry := a.header.Get("Retry-After"); (retry != "") != (a.status == http.StatusServiceUnavailable) {
		t.Errorf("status %d with Retry-After %q", a.status, retry)
	}
	return p
}

// faulty is a store whose methods fail, or whose freshness is another.
type faulty struct {
	endpoint.Store
	err       error
	freshness store.Freshness
}

func (f faulty) Register(context.Context, store.Service, store.Instance) (store.Registration, error) {
	return store.Registration{}, f.err
}

func (f faulty) RenewAll(context.Context, []store.Renewal) ([]store.Renewed, error) {
	return nil, f.err
}

func (f faulty) Deregister(context.Context, store.Service, string) (store.Revision, error) {
	return 0, f.err
}

func (f faulty) SetOverlay(context.Context, store.Service, string, store.Overlay) (store.Revision, error) {
	return 0, f.err
}

func (f faulty) Leases(context.Context, store.Service) (map[string]store.Lease, error) {
	return nil, f.err
}

func (f faulty) Freshness() store.Freshness { return f.freshness }
