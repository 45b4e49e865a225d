package resolverclient_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// Of replies that the caller does not get, be they kept for want of a better one or outrun by another, none is left open:
// each call ends, and no connection stays in use.
func TestTransportLeavesNoReplyOpen(t *testing.T) {
	long := strings.Repeat("x", 1<<18)
	busy := func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(rw, long)
	}
	for _, tt := range []struct {
		name     string
		handlers []http.HandlerFunc
		hedge    time.Duration
	}{
		{"one unavailable", []http.HandlerFunc{busy, say(long)}, 0},
		{"two unavailable", []http.HandlerFunc{busy, busy, say(long)}, 0},
		{"all unavailable", []http.HandlerFunc{busy, busy}, 0},
		{"hedged, two unavailable", []http.HandlerFunc{busy, busy, say(long)}, time.Hour},
		{"hedged, both answer at a time", inPairs(say(long)), time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWebs(t)
			var conns counter
			var addrs []string
			for _, handler := range tt.handlers {
				s := httptest.NewUnstartedServer(handler)
				s.Config.ConnState = conns.see
				s.Start()
				t.Cleanup(s.Close)
				addrs = append(addrs, s.Listener.Addr().String())
			}
			w.register(addrs...)
			transport := newClient(t, resolverclient.Config{
				Servers: []string{w.addr}, Strategy: resolverclient.RoundRobin, EjectAfter: -1, EjectShare: -1, HedgeAfter: tt.hedge,
			}).NewTransport(nil)
			for range 40 {
				if _, _, err := fetch(t, &http.Client{Transport: transport}, request(t, http.MethodGet, nil)); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "the calls ended", func() bool { return transport.Outstanding() == 0 })
			transport.CloseIdleConnections()
			eventually(t, "the connections closed", func() bool { return conns.open.Load() == 0 })
		})
	}
}

// inPairs is two handlers of which each waits for the other's request, or a moment.
func inPairs(h http.HandlerFunc) []http.HandlerFunc {
	met := make(chan struct{})
	waits := func(rw http.ResponseWriter, r *http.Request) {
		timer := time.NewTimer(100 * time.Millisecond)
		defer timer.Stop()
		select {
		case met <- struct{}{}:
		case <-met:
		case <-timer.C:
		}
		h(rw, r)
	}
	return []http.HandlerFunc{waits, waits}
}

// An instance that fails as HTTP goes is kept out as any other.
func TestTransportEjects(t *testing.T) {
	for _, tt := range []struct {
		name   string
		bad    http.HandlerFunc
		method string
	}{
		{"503, repeated", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusServiceUnavailable) }, http.MethodGet},
		{"503, not repeated", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusServiceUnavailable) }, http.MethodPost},
		{"cut off, repeated", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, http.MethodGet},
		{"cut off, not repeated", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, http.MethodPost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWebs(t)
			good, _ := w.server(say("good"))
			other, _ := w.server(say("good"))
			var met atomic.Int32
			bad, _ := w.server(func(rw http.ResponseWriter, r *http.Request) {
				met.Add(1)
				tt.bad(rw, r)
			})
			w.register(good, bad, other)
			c := w.clientWith(resolverclient.Config{EjectFor: time.Hour})
			for range 60 {
				status, body, err := fetch(t, c, request(t, tt.method, nil))
				if tt.method == http.MethodGet && (status != http.StatusOK || body != "good" || err != nil) {
					t.Errorf("got %d %q, %v: not repeated", status, body, err)
				}
			}
			if n := met.Load(); n != 5 {
				t.Errorf("the failing one got %d of 60 requests, want 5 and then none", n)
			}
		})
	}
}
