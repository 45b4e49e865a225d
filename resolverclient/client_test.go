package resolverclient_test

import (
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// newClient returns a client that is closed when the test ends.
func newClient(tb testing.TB, cfg resolverclient.Config) *resolverclient.Client {
	tb.Helper()
	if cfg.Zone == "" {
		cfg.Zone = "svc.internal"
	}
	c, err := resolverclient.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return c
}

// clientOf returns a client of one scripted server on a real socket, which it gives all the time that a busy machine takes.
func clientOf(tb testing.TB, h handler) *resolverclient.Client {
	tb.Helper()
	return newClient(tb, resolverclient.Config{Servers: []string{listen(tb, h)}, Timeout: 20 * time.Second, LookupTimeout: time.Minute})
}

// threeWebs are three instances of _web._tcp.svc.internal. with the weights 1, 2 and 7.
func threeWebs() []string {
	return []string{
		"_web._tcp.svc.internal. 5 SRV 0 1 8080 web-1.web.svc.internal.",
		"_web._tcp.svc.internal. 5 SRV 0 2 8080 web-2.web.svc.internal.",
		"_web._tcp.svc.internal. 5 SRV 0 7 8080 web-3.web.svc.internal.",
		"web-1.web.svc.internal. 5 A 10.0.0.1",
		"web-2.web.svc.internal. 5 A 10.0.0.2",
		"web-3.web.svc.internal. 5 A 10.0.0.3",
	}
}
