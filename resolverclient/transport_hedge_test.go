package resolverclient_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// clientWith is client with settings of its own.
func (w *webs) clientWith(cfg resolverclient.Config) *http.Client {
	w.Helper()
	cfg.Servers, cfg.Strategy = []string{w.addr}, resolverclient.RoundRobin
	t := newClient(w, cfg).NewTransport(nil)
	w.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t, Timeout: 10 * time.Second}
}

// A status counts as a failure where the configuration says so, and nowhere else.
func TestTransportRetriesTheStatusesItIsToldTo(t *testing.T) {
	for _, tt := range []struct {
		name     string
		statuses []int
		status   int
		repeated bool
	}{
		{"default, 502", nil, http.StatusBadGateway, true},
		{"default, 504", nil, http.StatusGatewayTimeout, true},
		{"default, 500", nil, http.StatusInternalServerError, false},
		{"default, 429", nil, http.StatusTooManyRequests, false},
		{"429 too", []int{429, 503}, http.StatusTooManyRequests, true},
		{"none", []int{}, http.StatusServiceUnavailable, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWebs(t)
			good, _ := w.server(say("good"))
			bad, _ := w.server(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(tt.status) })
			w.register(good, bad)
			c := w.clientWith(resolverclient.Config{RetryStatuses: tt.statuses})
			got := 0
			for range 4 {
				status, _, err := fetch(t, c, request(t, http.MethodGet, nil))
				if err != nil {
					t.Fatal(err)
				}
				if status == tt.status {
					got++
				}
			}
			if want := map[bool]int{true: 0, false: 2}[tt.repeated]; got != want {
				t.Errorf("%d of 4 requests were answered %d, want %d", got, tt.status, want)
			}
		})
	}
}

// A hanging instance costs the time to the hedge and no more; the caller reads the other's whole body.
func TestTransportHedges(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	for _, tt := range []struct {
		name, method string
		body         func() io.Reader
		key, hangs   bool
	}{
		{name: "GET", method: http.MethodGet},
		{name: "POST", method: http.MethodPost, body: known, hangs: true},
		{name: "POST with a key", method: http.MethodPost, body: known, key: true},
		{name: "POST with a key and a body that is gone", method: http.MethodPost, body: opaque, key: true, hangs: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWebs(t)
			var hung atomic.Int64
			release := make(chan struct{})
			slow, _ := w.server(func(_ http.ResponseWriter, r *http.Request) {
				hung.Add(1)
				select {
				case <-release:
				case <-r.Context().Done():
				}
			})
			t.Cleanup(func() { close(release) }) // before the server closes
			good, _ := w.server(say(big))
			w.register(slow, good)
			c := w.clientWith(resolverclient.Config{HedgeAfter: 20 * time.Millisecond})
			if tt.hangs {
				c.Timeout = 500 * time.Millisecond
			}
			failed := 0
			for n := 0; n < 4 || hung.Load() == 0 && n < 100; n++ { // a hedge may be faster than the first call's way there
				req := request(t, tt.method, nil)
				if tt.body != nil {
					req = request(t, tt.method, tt.body())
				}
				if tt.key {
					req.Header.Set("Idempotency-Key", "k")
				}
				if _, body, err := fetch(t, c, req); err != nil || body != big {
					failed++
				}
			}
			reached := int(hung.Load())
			if reached == 0 || tt.hangs && failed < reached || !tt.hangs && failed > 0 {
				t.Errorf("%d requests failed, %d reached the one that hangs", failed, reached)
			}
		})
	}
}

// The reply that was kept in case no better one comes is the answer of a hedged request, too.
func TestTransportHedgesOnUnavailable(t *testing.T) {
	w := newWebs(t)
	busy := func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "busy", http.StatusServiceUnavailable) }
	one, _ := w.server(busy)
	two, _ := w.server(busy)
	w.register(one, two)
	c := w.clientWith(resolverclient.Config{HedgeAfter: time.Second})
	for range 3 {
		if status, body, err := fetch(t, c, request(t, http.MethodGet, nil)); status != 503 || body != "busy\n" || err != nil {
			t.Errorf("got %d %q, %v", status, body, err)
		}
	}
	good, _ := w.server(say("good"))
	w.register(one, two, good)
	c = w.clientWith(resolverclient.Config{HedgeAfter: time.Second})
	for range 3 {
		if _, body, err := fetch(t, c, request(t, http.MethodGet, nil)); body != "good" || err != nil {
			t.Errorf("got %q, %v", body, err)
		}
	}
}

// While all instances are slow, hedges are what was saved up and a fifth of the requests, not one for each.
func TestTransportHedgesWithinTheBudget(t *testing.T) {
	w := newWebs(t)
	var served atomic.Int64
	slow := func(rw http.ResponseWriter, r *http.Request) {
		served.Add(1)
		select {
		case <-time.After(50 * time.Millisecond): // for the hedge to come, on a busy machine
		case <-r.Context().Done():
		}
	}
	one, _ := w.server(slow)
	two, _ := w.server(slow)
	w.register(one, two)
	c := w.clientWith(resolverclient.Config{HedgeAfter: time.Millisecond, RetryShare: -1})
	for range 20 {
		if _, _, err := fetch(t, c, request(t, http.MethodGet, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if n := served.Load(); n != 20 {
		t.Errorf("%d requests for 20 without a budget", n)
	}
	served.Store(0)
	c = w.clientWith(resolverclient.Config{HedgeAfter: time.Millisecond, EjectAfter: -1})
	for range 20 {
		if _, _, err := fetch(t, c, request(t, http.MethodGet, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if n := served.Load(); n < 30 {
		t.Errorf("%d requests for 20, want hedges", n)
	}
}

// opaque is a body that can be read once.
func opaque() io.Reader { return io.MultiReader(strings.NewReader("body")) }

// known is a body that net/http can read again.
func known() io.Reader { return bytes.NewReader([]byte("body")) }
