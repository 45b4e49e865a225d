package heartbeat_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/heartbeat/endpoint"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// exchange is one call that went over a wire; status is 0 where there was no reply.
type exchange struct {
	at     time.Time
	what   string // method and path
	status int
}

// wire is a transport to a handler in this process, so that in a synctest bubble its clock rules. With no handler it
// refuses connections; hanging, it answers nothing.
type wire struct {
	mu      sync.Mutex
	handler http.Handler
	hanging bool
	log     []exchange
}

// RoundTrip makes one call of the handler.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	at := time.Now()
	w.mu.Lock()
	handler, hanging := w.handler, w.hanging
	w.mu.Unlock()
	what := r.Method + " " + r.URL.EscapedPath()
	switch {
	case hanging:
		w.note(exchange{at, what, 0})
		<-r.Context().Done()
		return nil, r.Context().Err()
	case handler == nil:
		w.note(exchange{at, what, 0})
		return nil, syscall.ECONNREFUSED
	}
	in := r.Clone(r.Context())
	in.RemoteAddr = "192.0.2.1:4711"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	reply := httptest.NewRecorder()
	handler.ServeHTTP(reply, in)
	w.note(exchange{at, what, reply.Code})
	return reply.Result(), nil
}

func (w *wire) note(e exchange) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, e)
}

func (w *wire) set(handler http.Handler, hanging bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.handler, w.hanging = handler, hanging
}

// seen returns the calls so far.
func (w *wire) seen() []exchange {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.log)
}

// count returns how many calls of a method and path there were.
func (w *wire) count(what string) int {
	n := 0
	for _, e := range w.seen() {
		if e.what == what {
			n++
		}
	}
	return n
}

// registry is a server on an embedded store at the end of a wire.
type registry struct {
	*wire
	store *memstore.Store
}

func newRegistry(t testing.TB) *registry {
	t.Helper()
	r := &registry{wire: &wire{}}
	r.restart(t)
	return r
}

// restart puts a new server with an empty store at the end of the wire.
func (r *registry) restart(t testing.TB) {
	t.Helper()
	rules := store.Rules{Zone: "svc.internal."}
	s, err := memstore.New(memstore.Config{Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	server, err := endpoint.New(endpoint.Config{Zones: []endpoint.Zone{{Store: s, Rules: rules}}, AnswerTTL: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	r.store = s
	r.set(server.Handler(), false)
}

// client returns a client whose calls go over the wire.
func (w *wire) client(t testing.TB) *heartbeat.Client {
	t.Helper()
	c, err := heartbeat.NewClient(heartbeat.Config{Server: "http://registry.test", HTTPClient: &http.Client{Transport: w}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// known returns how many instances the store knows.
func (r *registry) known() int { return r.store.View().Instances() }

// entries returns n entries of the service web.
func entries(n int) []heartbeat.Entry {
	out := make([]heartbeat.Entry, n)
	for i := range out {
		out[i] = heartbeat.Entry{Service: "web", Instance: store.Instance{ID: fmt.Sprintf("web-%d", i), Port: 80, Weight: 1}}
	}
	return out
}

// running is an agent whose Run runs.
type running struct {
	*heartbeat.Agent
	mu     sync.Mutex
	events []heartbeat.Event
	cancel context.CancelFunc
	done   chan error
}

// run runs an agent over the wire until the test ends, if it does not end before.
func run(t testing.TB, w *wire, entries []heartbeat.Entry) *running {
	t.Helper()
	r := &running{done: make(chan error, 1)}
	agent, err := heartbeat.NewAgent(heartbeat.AgentConfig{Client: w.client(t), Entries: entries, Notify: r.note})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.Agent, r.cancel = agent, cancel
	go func() { r.done <- agent.Run(ctx); close(r.done) }()
	t.Cleanup(func() { cancel(); <-r.done })
	return r
}

func (r *running) note(e heartbeat.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// told returns the events so far that pass keep.
func (r *running) told(keep func(heartbeat.Event) bool) []heartbeat.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []heartbeat.Event
	for _, e := range r.events {
		if keep(e) {
			out = append(out, e)
		}
	}
	return out
}

func registered(e heartbeat.Event) bool { return e.Registration != nil }

func ended(e heartbeat.Event) bool { return e.Ended }
