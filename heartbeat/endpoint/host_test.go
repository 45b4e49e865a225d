package endpoint_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dnsreg/dnsreg/heartbeat/endpoint"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// request registers web-1 as a request for a host, and returns the reply.
func request(a *api, host string) answered {
	r := httptest.NewRequest("PUT", web1, strings.NewReader(body))
	r.Host, r.RemoteAddr = host, a.peer
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return answered{w.Code, w.Header(), w.Body.String()}
}

// TestRebinding holds that a page whose name was made to point to this host changes nothing here.
func TestRebinding(t *testing.T) {
	s := newStore(t, memstore.Config{})
	cfg := config(s)
	cfg.Listen = []string{"127.0.0.1:0"}
	a := newAPI(t, cfg)
	for _, host := range []string{
		"evil.example", "evil.example:8054", "127.0.0.1.evil.example", "localhost.evil.example", "localhost.evil.example:8054", "a:b:c:8054", "0x7f.1",
	} {
		got := request(a, host)
		if p := got.problem(t); got.status != 421 || !strings.Contains(p.Detail, host) || p.Title != "Misdirected Request" {
			t.Errorf("%q: status %d: %s", host, got.status, got.body)
		}
	}
	if got := a.call(t, "GET", "/v1/services", "", "X-Forwarded-For", "192.0.2.7"); got.status != 200 {
		t.Errorf("without a name: status %d", got.status)
	}
	if s.View().Instances() != 0 {
		t.Error("something was registered")
	}
	for _, host := range []string{"127.0.0.1", "127.0.0.1:8054", "[::1]", "[::1]:8054", "192.0.2.1:80", "localhost", "LocalHost:8054", ""} {
		if got := request(a, host); got.status != 200 && got.status != 201 {
			t.Errorf("%q: status %d: %s", host, got.status, got.body)
		}
	}
}

// TestAnyHost holds that a name is nobody's business where something else than loopback keeps others out, or nothing is
// to.
func TestAnyHost(t *testing.T) {
	tests := []struct {
		name   string
		change func(*endpoint.Config)
		want   int
	}{
		{"told to let anybody in", func(c *endpoint.Config) { c.Listen, c.AuthMode = []string{"127.0.0.1:0"}, endpoint.AuthNone }, 201},
		{"tokens", func(c *endpoint.Config) { c.Listen, c.Tokens = []string{"127.0.0.1:0"}, tokens(t, "ci:"+secret) }, 401},
		{"behind somebody else's listener", func(*endpoint.Config) {}, 201},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config(newStore(t, memstore.Config{}))
			tt.change(&cfg)
			if got := request(newAPI(t, cfg), "registry.example"); got.status != tt.want {
				t.Errorf("status %d, want %d: %s", got.status, tt.want, got.body)
			}
		})
	}
}
