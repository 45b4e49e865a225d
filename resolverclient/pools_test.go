package resolverclient_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// counter counts a server's open connections.
type counter struct{ open atomic.Int64 }

func (c *counter) see(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		c.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		c.open.Add(-1)
	}
}

// eventually polls for a condition for at most half a minute.
func eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			tb.Fatalf("%s: not within 30 s", what)
		}
	}
}

// Connections of an instance that is gone are closed: the idle ones soon, without another request, those in use when
// their requests end.
func TestTransportLetsGoOfDepartedInstances(t *testing.T) {
	w := newWebs(t)
	held, release := make(chan struct{}), make(chan struct{})
	var conns counter
	leaving := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			close(held)
			<-release
		}
		fmt.Fprint(rw, "leaving")
	}))
	leaving.Config.ConnState = conns.see
	leaving.Start()
	t.Cleanup(leaving.Close)
	w.register(leaving.Listener.Addr().String())
	c, _ := w.client()
	last := make(chan string)
	go func() {
		_, body, err := fetch(t, c, request(t, http.MethodPost, nil))
		last <- fmt.Sprint(body, err)
	}()
	<-held
	if _, _, err := fetch(t, c, request(t, http.MethodGet, nil)); err != nil {
		t.Fatal(err)
	}
	if n := conns.open.Load(); n != 2 {
		t.Errorf("%d connections, want one in use and one idle", n)
	}
	staying, _ := w.server(say("staying"))
	w.register(staying)
	eventually(t, "the idle connection closed", func() bool { return conns.open.Load() == 1 })
	close(release)
	if got := <-last; got != "leaving<nil>" {
		t.Errorf("the request under way got %s", got)
	}
	eventually(t, "the last connection closed", func() bool { return conns.open.Load() == 0 })
}

// Idle connections do not outlive the service, nor the client, and nothing is called after Close.
func TestTransportClosesIdleConnections(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(w *webs, c *resolverclient.Client) error
		want error // of requests after it
	}{
		{"no such service", func(w *webs, _ *resolverclient.Client) error { w.script.set(newZone(w).serve); return nil }, resolverclient.ErrNotFound},
		{"close", func(_ *webs, c *resolverclient.Client) error { return c.Close() }, resolverclient.ErrClosed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWebs(t)
			var conns counter
			server := httptest.NewUnstartedServer(say("ok"))
			server.Config.ConnState = conns.see
			server.Start()
			t.Cleanup(server.Close)
			w.register(server.Listener.Addr().String())
			resolver := newClient(t, resolverclient.Config{
				Servers: []string{w.addr}, MinTTL: 20 * time.Millisecond, MaxTTL: 20 * time.Millisecond,
			})
			c := &http.Client{Transport: resolver.NewTransport(nil)}
			if _, _, err := fetch(t, c, request(t, http.MethodGet, nil)); err != nil || conns.open.Load() != 1 {
				t.Fatalf("%v, %d connections", err, conns.open.Load())
			}
			if err := tt.end(w, resolver); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the idle connection closed", func() bool { return conns.open.Load() == 0 })
			if _, _, err := fetch(t, c, request(t, http.MethodGet, nil)); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// A failing resolver is no reason to part with connections.
func TestTransportKeepsConnectionsThroughAnOutage(t *testing.T) {
	w := newWebs(t)
	var conns counter
	server := httptest.NewUnstartedServer(say("ok"))
	server.Config.ConnState = conns.see
	server.Start()
	t.Cleanup(server.Close)
	w.register(server.Listener.Addr().String())
	c, _ := w.client()
	for range 3 {
		if _, _, err := fetch(t, c, request(t, http.MethodGet, nil)); err != nil || conns.open.Load() != 1 {
			t.Errorf("%v, %d connections, want the first one", err, conns.open.Load())
		}
		asked := make(chan struct{}, 1)
		w.script.set(func(x exchange) {
			rcode(dns.RcodeServerFailure)(x)
			select {
			case asked <- struct{}{}:
			default:
			}
		})
		<-asked
	}
}

// A rolling replacement under load: instances come, are registered, deregistered and, once their answers have run out,
// shut down; no request fails.
func TestTransportThroughARollingRestart(t *testing.T) {
	w := newWebs(t)
	var servers []*httptest.Server
	var addrs []string
	start := func() *atomic.Int64 {
		served := new(atomic.Int64)
		addr, s := w.server(func(rw http.ResponseWriter, _ *http.Request) {
			served.Add(1)
			fmt.Fprint(rw, "ok")
		})
		servers, addrs = append(servers, s), append(addrs, addr)
		return served
	}
	for range 3 {
		start()
	}
	w.register(addrs...)
	c, _ := w.client()
	ctx, stop := context.WithCancel(t.Context())
	var sent, failed atomic.Int64
	var callers sync.WaitGroup
	t.Cleanup(func() { stop(); callers.Wait() })
	for range 4 {
		callers.Go(func() {
			for ctx.Err() == nil {
				sent.Add(1)
				if status, _, err := fetch(t, c, request(t, http.MethodGet, nil)); err != nil || status != http.StatusOK {
					failed.Add(1)
					t.Log(status, err)
				}
			}
		})
	}
	for range 6 {
		before := sent.Load()
		eventually(t, "requests go on", func() bool { return sent.Load() > before+100 })
		served := start()
		w.register(addrs...)
		eventually(t, "the new one is called", func() bool { return served.Load() > 0 })
		w.register(addrs[1:]...)
		servers[0].Config.SetKeepAlivesEnabled(false)
		servers[0].Close() // the client still knows it, but none that was closed before
		servers, addrs = servers[1:], addrs[1:]
	}
	stop()
	callers.Wait()
	if n := failed.Load(); n != 0 {
		t.Errorf("%d of %d requests failed", n, sent.Load())
	}
}

// However a service is spelled, its connections are kept once, and those of a service called long ago make room.
func TestTransportIsBounded(t *testing.T) {
	w := newWebs(t)
	var conns counter
	server := httptest.NewUnstartedServer(say("ok"))
	server.Config.ConnState = conns.see
	server.Start()
	t.Cleanup(server.Close)
	port := server.Listener.Addr().(*net.TCPAddr).Port
	var records []string
	for _, service := range []string{"web", "api", "db"} {
		records = append(records, fmt.Sprintf("_%s._tcp.svc.internal. 60 SRV 0 1 %d lo.svc.internal.", service, port))
	}
	w.script.set(newZone(t, append(records, "lo.svc.internal. 60 A 127.0.0.1")...).serve)
	transport := newClient(t, resolverclient.Config{Servers: []string{w.addr}, MaxEntries: 2}).NewTransport(nil)
	t.Cleanup(transport.CloseIdleConnections)
	get := func(host string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, body, err := fetch(t, &http.Client{Transport: transport}, req); err != nil || body != "ok" {
			t.Errorf("%s: %q, %v", host, body, err)
		}
	}
	for _, spelling := range []string{"web", "WEB", "_web._tcp", "_Web._TCP.svc.internal."} {
		get(spelling)
	}
	if n := transport.Services(); n != 1 {
		t.Errorf("connections are kept for %d spellings of one service", n)
	}
	transport.CloseIdleConnections()
	for _, service := range []string{"web", "api", "web", "db"} { // db drives api out
		get(service)
	}
	if n := transport.Services(); n != 2 {
		t.Errorf("connections are kept for %d services, want 2", n)
	}
	eventually(t, "the connections of api closed", func() bool { return conns.open.Load() == 2 })
}
