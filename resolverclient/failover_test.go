package resolverclient_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// dialSpy returns a Dial function that shows each connection to a function.
func dialSpy(see func(net.Conn)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			see(conn)
		}
		return conn, err
	}
}

// byAddress dials a handler for each server's address.
func byAddress(servers map[string]handler) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return piped(servers[address])(ctx, network, address)
	}
}

func TestFailoverToTheNextServer(t *testing.T) {
	z := newZone(t, threeWebs()...)
	for _, tt := range []struct {
		name  string
		first string
	}{
		{"refused", nowhere},
		{"SERVFAIL", listen(t, rcode(dns.RcodeServerFailure))},
		{"REFUSED", listen(t, rcode(dns.RcodeRefused))},
		{"lame", listen(t, func(x exchange) { x.reply(new(dns.Msg).SetReply(x.query)) })},
		{"malformed", listen(t, func(x exchange) {
			wire, _ := z.answer(x.query).Pack()
			x.send(wire[:len(wire)-3])
		})},
		{"silent", listen(t, silent)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, resolverclient.Config{Servers: []string{tt.first, listen(t, z.serve)}})
			got, err := c.Lookup(t.Context(), "web")
			if err != nil || len(got.Endpoints) != 3 {
				t.Errorf("got %v, %v", got.Endpoints, err)
			}
		})
	}
}

// Addresses at which nothing listens. Nobody who asks for any port is given one of these meanwhile.
const (
	nowhere     = "127.0.0.1:1"
	nowhereElse = "127.0.0.1:2"
)

// NXDOMAIN is an answer: asking on would let one server that knows nothing outvote the one that knows.
func TestNotFoundIsNotAskedAgain(t *testing.T) {
	second := &counted{next: newZone(t, threeWebs()...).serve}
	servers := []string{listen(t, newZone(t).serve), listen(t, second.serve)}
	c := newClient(t, resolverclient.Config{Servers: servers, Timeout: time.Minute, LookupTimeout: time.Minute})
	if _, err := c.Lookup(t.Context(), "web"); !errors.Is(err, resolverclient.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if n := second.of(dns.TypeSRV); n != 0 {
		t.Errorf("the second server was asked %d times", n)
	}
}

func TestNoAnswerNamesEveryReason(t *testing.T) {
	servers := []string{listen(t, rcode(dns.RcodeServerFailure)), listen(t, rcode(dns.RcodeRefused)), nowhere}
	c := newClient(t, resolverclient.Config{Servers: servers})
	_, err := c.Lookup(t.Context(), "web")
	if !errors.Is(err, resolverclient.ErrNoAnswer) {
		t.Fatalf("got %v, want ErrNoAnswer", err)
	}
	for _, text := range append(servers, "SERVFAIL", "REFUSED", "connection refused") {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q does not say %q", err, text)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q is longer than a line", err)
	}
}

func TestFailedServerIsAskedLastForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bad atomic.Int64
		good := newZone(t, threeWebs()...).serve
		first := newSwap(func(x exchange) { bad.Add(1) })
		c := newClient(t, resolverclient.Config{
			Servers: []string{"bad:53", "good:53"},
			Dial:    byAddress(map[string]handler{"bad:53": first.serve, "good:53": good}),
		})
		defer c.Close()
		lookup := func(name string) time.Duration {
			start := time.Now()
			if _, err := c.Lookup(t.Context(), name); err != nil && !errors.Is(err, resolverclient.ErrNotFound) {
				t.Error(err)
			}
			return time.Since(start)
		}
		var waits []time.Duration
		for _, name := range []string{"web", "a", "b", "c"} {
			waits = append(waits, lookup(name))
		}
		if want := []time.Duration{time.Second, 0, 0, 0}; !slices.Equal(waits, want) {
			t.Errorf("lookups took %v, want %v", waits, want)
		}
		time.Sleep(11 * time.Second)
		asked := bad.Load()
		first.set(func(x exchange) { bad.Add(1); good(x) })
		lookup("d")
		if bad.Load() == asked {
			t.Error("the first server was never asked again")
		}
	})
}
