package resolverclient_test

import (
	"errors"
	"testing"

	"github.com/dnsreg/dnsreg/resolverclient"
)

func TestDialContext(t *testing.T) {
	w := newWebs(t)
	good, _ := w.server(say("ok"))
	w.register(nowhere, good)
	c := newClient(t, resolverclient.Config{Servers: []string{w.addr}, EjectAfter: -1})
	for _, address := range []string{"web", "web:80", "_web._tcp:http", "_web._tcp.svc.internal.:1", good} {
		for range 5 {
			conn, err := c.DialContext(t.Context(), "tcp", address)
			if err != nil {
				t.Fatalf("%s: %v", address, err)
			}
			if got := conn.RemoteAddr().String(); got != good {
				t.Errorf("%s: connected to %s, want %s", address, got, good)
			}
			conn.Close()
		}
	}
	if _, err := c.DialContext(t.Context(), "tcp", "other:80"); !errors.Is(err, resolverclient.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	w.register(nowhere)
	alone := newClient(t, resolverclient.Config{Servers: []string{w.addr}})
	if _, err := alone.DialContext(t.Context(), "tcp", "web"); !resolverclient.IsConnectError(err) {
		t.Errorf("got %v, want a connect error", err)
	}
}
