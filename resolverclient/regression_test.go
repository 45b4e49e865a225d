package resolverclient_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// oneWeb is a service of one instance with this TTL.
func oneWeb(ttl string) []string {
	return []string{
		"_web._tcp.svc.internal. " + ttl + " SRV 0 1 80 a.svc.internal.",
		"a.svc.internal. " + ttl + " A 10.0.0.1",
	}
}

// TestRenewalTakesTheNewTTL holds that an answer which differs by its TTL alone is kept for that TTL.
func TestRenewalTakesTheNewTTL(t *testing.T) {
	sw := newSwap(newZone(t, oneWeb("2")...).serve)
	c := clientOf(t, sw.serve)
	if a, err := c.Lookup(t.Context(), "web"); err != nil || a.TTL > 2*time.Second {
		t.Fatalf("TTL %v, %v", a.TTL, err)
	}
	sw.set(newZone(t, oneWeb("300")...).serve)
	deadline := time.Now().Add(20 * time.Second)
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		a, err := c.Lookup(t.Context(), "web")
		if err == nil && a.TTL > 100*time.Second {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server says 300 s, and the answer's TTL is %v, %v", a.TTL, err)
		}
	}
}

// TestLookupLateForItsAnswer holds that a lookup whose answer lapses before it is looked at still has that answer.
func TestLookupLateForItsAnswer(t *testing.T) {
	c := newClient(t, resolverclient.Config{
		Servers: []string{listen(t, newZone(t, oneWeb("0")...).serve)},
		MinTTL:  time.Nanosecond, MaxTTL: time.Nanosecond, MaxStale: -1,
	})
	for range 500 {
		if a, err := c.Lookup(t.Context(), "web"); err != nil || len(a.Endpoints) != 1 {
			t.Fatalf("endpoints %v, %v", a.Endpoints, err)
		}
	}
}

// TestRenewalGoesOn holds that the renewal which is due before the last lookup has quite ended is made all the same, and
// not taken for that lookup, after which nobody would ask again until MaxStale is over.
func TestRenewalGoesOn(t *testing.T) {
	queries := &counted{next: newZone(t, oneWeb("0")...).serve}
	c := newClient(t, resolverclient.Config{
		Servers: []string{listen(t, queries.serve)}, MinTTL: time.Nanosecond, MaxTTL: time.Nanosecond,
	})
	for n := int64(100); n <= 500; n += 100 {
		eventually(t, "the answer is renewed", func() bool {
			_, err := c.Lookup(t.Context(), "web")
			return err == nil && queries.of(dns.TypeSRV) > n
		})
	}
}

// TestIsConnectErrorOfDialling holds that an error on a connection that came about is none, whatever its errno is:
// something may have been sent.
func TestIsConnectErrorOfDialling(t *testing.T) {
	for _, op := range []string{"dial", "read", "write"} {
		call := map[string]string{"dial": "connect"}[op]
		for _, errno := range []error{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH} {
			err := &net.OpError{Op: op, Net: "tcp", Err: os.NewSyscallError(call, errno)}
			if got := resolverclient.IsConnectError(err); got != (op == "dial") {
				t.Errorf("%v: %t", err, got)
			}
		}
	}
}

// TestHedgedRefusalIsWhole holds that the reply which says that no instance is available can be read to its end.
func TestHedgedRefusalIsWhole(t *testing.T) {
	w := newWebs(t)
	big := strings.Repeat("x", 1<<20)
	bad := func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(rw, big)
	}
	a, _ := w.server(bad)
	b, _ := w.server(bad)
	w.register(a, b)
	resp, err := w.clientWith(resolverclient.Config{HedgeAfter: time.Second}).Do(request(t, http.MethodGet, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusServiceUnavailable || len(body) != len(big) || err != nil {
		t.Errorf("%s with %d octets, %v", resp.Status, len(body), err)
	}
}

// TestTXTThatCannotBeHad holds that a TXT lookup that fails is made again soon, and not taken for "no TXT" for the TTL.
func TestTXTThatCannotBeHad(t *testing.T) {
	z := newZone(t, "_web._tcp.svc.internal. 300 PTR i1._web._tcp.svc.internal.",
		"i1._web._tcp.svc.internal. 300 SRV 0 1 80 a.svc.internal.", "i1._web._tcp.svc.internal. 300 TXT version=2",
		"a.svc.internal. 300 A 10.0.0.1")
	z.noAdditional = true
	sw := newSwap(func(x exchange) {
		if x.query.Question[0].Qtype == dns.TypeTXT {
			rcode(dns.RcodeServerFailure)(x)
			return
		}
		z.serve(x)
	})
	c := clientOf(t, sw.serve)
	b, err := c.Balancer("web", resolverclient.Random, resolverclient.FilterTXT("version", "2"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Pick(t.Context()); !errors.Is(err, resolverclient.ErrNoEndpoint) {
		t.Fatalf("pick without TXT: %v", err)
	}
	sw.set(z.serve)
	deadline := time.Now().Add(20 * time.Second)
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		p, err := b.Pick(t.Context())
		if err == nil {
			p.Done(nil)
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the TXT is back, and the pick fails: %v", err)
		}
	}
}

// TestWatchWhileClosing holds that a watch which begins while the client is closed ends with it.
func TestWatchWhileClosing(t *testing.T) {
	for range 300 {
		synctest.Test(t, func(t *testing.T) { // which finds a Next that waits for ever
			c, err := resolverclient.New(resolverclient.Config{Zone: "svc.internal", Servers: []string{"ns:53"}, Dial: piped(silent)})
			if err != nil {
				t.Fatal(err)
			}
			go c.Close()
			w, err := c.Watch(t.Context(), "web")
			if err == nil {
				_, err = w.Next()
				w.Stop()
			}
			if !errors.Is(err, resolverclient.ErrClosed) {
				t.Errorf("got %v, want ErrClosed", err)
			}
		})
	}
}

// TestNoTimerOutlivesClose holds that Close ends the timers of balancers, and waits for those that have begun.
func TestNoTimerOutlivesClose(t *testing.T) {
	bubbleBalancer(t, resolverclient.RoundRobin, weighted(0, 1, 1, 1), func(b *cacheTest, p *resolverclient.Balancer) {
		calls(b, p, 30, failing(errors.New("broken"), 1)) // an ejection, and a window of calls
		if n := b.client.Timers(); n == 0 {
			t.Error("no timer is set")
		}
		begun, ended := make(chan bool), false
		b.client.After(time.Second, func() {
			close(begun)
			time.Sleep(time.Minute)
			ended = true
		})
		<-begun
		b.client.Close()
		b.client.After(time.Second, func() { t.Error("called after Close") })
		if n := b.client.Timers(); n != 0 || !ended {
			t.Errorf("%d timers are set, the one that had begun has ended: %t", n, ended)
		}
		pass(time.Hour)
	})
}
