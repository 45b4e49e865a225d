package endpoint_test

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/heartbeat/endpoint"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// wantText checks that an error has every one of parts in its text.
func wantText(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
}

func TestNewNamesEveryField(t *testing.T) {
	_, err := endpoint.New(endpoint.Config{
		Zones:          []endpoint.Zone{{Rules: store.Rules{Zone: "Svc.Internal"}}},
		Timeout:        -1,
		Drain:          -time.Second,
		TrustedProxies: []netip.Prefix{{}},
		Listen:         []string{"127.0.0.1:0", "localhost", "127.0.0.1:http", "0.0.0.0:80"},
		AuthMode:       "basic",
	})
	wantText(t, err,
		`zones[0].store "": must be set`,
		`zones[0].name "Svc.Internal": must be a zone in canonical form`,
		`dns.ttl "0s": must be more than 0`,
		`timeout "-1ns": must not be negative`,
		`drain "-1s": must not be negative`,
		`http.trusted_proxies[0] "invalid Prefix": must be a prefix`,
		`http.listen[1] "localhost": must be host:port`,
		`http.listen[2] "127.0.0.1:http": must be host:port`,
		`auth.mode "basic": must be "none" or "token"`,
	)
}

// TestNewWantsAuthentication holds that nobody serves the world without saying so.
func TestNewWantsAuthentication(t *testing.T) {
	some := tokens(t, "ci:0123456789abcdef")
	const loopback = `must be a loopback address unless auth.tokens is set or auth.mode is "none"`
	tests := []struct {
		name   string
		listen []string
		mode   string
		tokens []endpoint.Token
		want   string // empty: accepted
	}{
		{"loopback", []string{"127.0.0.1:0", "[::1]:0", "127.9.9.9:1", "localhost:80"}, "", nil, ""},
		{"nowhere", nil, "", nil, ""},
		{"any", []string{":8054"}, "", nil, `http.listen ":8054": ` + loopback},
		{"any IPv4", []string{"127.0.0.1:0", "0.0.0.0:8054"}, "", nil, `http.listen "0.0.0.0:8054": ` + loopback},
		{"any IPv6", []string{"[::]:8054"}, "", nil, `http.listen "[::]:8054": ` + loopback},
		{"address", []string{"192.0.2.1:8054"}, "", nil, `http.listen "192.0.2.1:8054": ` + loopback},
		{"name", []string{"registry.internal:8054"}, "", nil, `http.listen "registry.internal:8054": ` + loopback},
		{"told so", []string{"0.0.0.0:8054"}, endpoint.AuthNone, nil, ""},
		{"with tokens", []string{"0.0.0.0:8054"}, "", some, ""},
		{"with mode and tokens", []string{"0.0.0.0:8054"}, endpoint.AuthToken, some, ""},
		{"mode without tokens", []string{"127.0.0.1:0"}, endpoint.AuthToken, nil, `auth.mode "token": must go with at least one token`},
		{"none with tokens", []string{"127.0.0.1:0"}, endpoint.AuthNone, some, `auth.mode "none": must not go with auth.tokens`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config(newStore(t, memstore.Config{}))
			cfg.Listen, cfg.AuthMode, cfg.Tokens = tt.listen, tt.mode, tt.tokens
			_, err := endpoint.New(cfg)
			if tt.want == "" && err == nil {
				return
			}
			wantText(t, err, tt.want)
		})
	}
}

func TestListenFails(t *testing.T) {
	cfg := config(newStore(t, memstore.Config{}))
	cfg.Listen = []string{"127.0.0.1:0"}
	first := newServer(t, cfg)
	if err := first.Listen(); err != nil {
		t.Fatal(err)
	}
	start(t, first.Run)
	taken := strings.TrimPrefix(first.URL(), "http://")
	cfg.Listen = []string{"127.0.0.1:0", taken}
	second := newServer(t, cfg)
	err := second.Listen()
	wantText(t, err, `http.listen "`+taken+`": listen tcp`, "address already in use")
	if second.URL() != "" {
		t.Error("the other address is still open")
	}
	wantText(t, second.Run(t.Context()), "listen first")
	cfg.Listen = nil
	wantText(t, newServer(t, cfg).Listen(), "there is no address")
}

func TestReady(t *testing.T) {
	live := newStore(t, memstore.Config{})
	starting := errors.New("the DNS listeners are not open")
	tests := []struct {
		name   string
		store  endpoint.Store
		ready  func() error
		detail string // empty: ready
	}{
		{"synced", live, nil, ""},
		{"synced and asked", live, func() error { return nil }, ""},
		{"stale", staleStore{live, store.Stale}, nil, "its content here is stale"},
		{"lost", staleStore{live, store.Lost}, nil, "its content here is lost"},
		{"not ready besides", live, func() error { return starting }, starting.Error()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config(tt.store)
			cfg.Ready = tt.ready
			a := newAPI(t, cfg)
			if got := a.call(t, "GET", "/livez", ""); got.status != 200 {
				t.Errorf("livez: status %d", got.status)
			}
			got := a.call(t, "GET", "/readyz", "")
			switch {
			case tt.detail == "" && got.status == 200:
			case got.status != 503 || !strings.Contains(got.problem(t).Detail, tt.detail):
				t.Errorf("readyz: status %d: %s", got.status, got.body)
			}
		})
	}
}

// TestReadyTellsOfTheStore holds that whoever asks why a server is, or is not, ready sees the state of the store's parts.
func TestReadyTellsOfTheStore(t *testing.T) {
	live := newStore(t, memstore.Config{})
	cfg := config(live)
	cfg.Zones[0].State = func() map[string]string { return map[string]string{"reaper": "off", "bell": "down"} }
	want := `{"status":"ready","store":{"bell":"down","reaper":"off"}}` + "\n"
	if got := newAPI(t, cfg).call(t, "GET", "/readyz", ""); got.status != 200 || got.body != want {
		t.Errorf("ready: status %d: %s, want %s", got.status, got.body, want)
	}
	cfg.Zones[0].Store = staleStore{live, store.Lost}
	got := newAPI(t, cfg).call(t, "GET", "/readyz", "")
	if detail := got.problem(t).Detail; got.status != 503 || !strings.HasSuffix(detail, "lost, bell down, reaper off") {
		t.Errorf("lost: status %d: %s", got.status, got.body)
	}
}

// TestListeners serves on a socket that the test has bound, by the same rules as on addresses.
func TestListeners(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config(newStore(t, memstore.Config{}))
	cfg.Listeners = []net.Listener{l}
	s := newServer(t, cfg)
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	start(t, s.Run)
	if want := "http://" + l.Addr().String(); s.URL() != want {
		t.Errorf("listens on %s, want %s", s.URL(), want)
	}
	every, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer every.Close()
	cfg.Listeners = []net.Listener{every}
	_, err = endpoint.New(cfg)
	wantText(t, err, "must be a loopback address unless auth.tokens is set")
}
