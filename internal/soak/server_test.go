package soak_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/redisstore"
)

const zone = "svc.internal."

// registry is what a scenario uses of a store.
type registry interface {
	Register(context.Context, store.Service, store.Instance) (store.Registration, error)
	RenewAll(context.Context, []store.Renewal) ([]store.Renewed, error)
	Deregister(context.Context, store.Service, string) (store.Revision, error)
	SetOverlay(context.Context, store.Service, string, store.Overlay) (store.Revision, error)
	View() *store.View
	Freshness() store.Freshness
}

// server is one dnsreg server: a store and the DNS that is answered from it.
type server struct {
	registry
	name  string
	zone  string
	redis *redisstore.Store // nil for another kind of store
	dns   *dnsserver.Server
	stop  func() // ends it before the test does
}

// newServer puts DNS in front of a store.
func newServer(t testing.TB, name string, r registry) *server {
	t.Helper()
	return newZoneServer(t, name, zone, r)
}

func newZoneServer(t testing.TB, name, zone string, r registry) *server {
	t.Helper()
	dns, err := dnsserver.New(dnsserver.Config{
		Zones: []dnsserver.Zone{{Name: zone, Source: r}}, Listen: []string{"127.0.0.1:0"}, // never listened on: Answer needs no socket
	})
	if err != nil {
		t.Fatal(err)
	}
	return &server{registry: r, name: name, zone: zone, dns: dns, stop: func() {}}
}

// launch starts a server on Redis and returns at once.
func launch(t testing.TB, name, url string, edits ...func(*redisstore.Config)) *server {
	t.Helper()
	config := redisstore.Config{
		Rules: store.Rules{Zone: zone, Hosts: []string{"ns1"}}, URL: url,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)).With("server", name),
	}
	for _, edit := range edits {
		edit(&config)
	}
	r, err := redisstore.New(config)
	if err != nil {
		t.Fatal(err)
	}
	s := newZoneServer(t, name, config.Rules.Zone, r)
	s.redis, s.stop = r, run(t, r.Run)
	return s
}

// run runs something until the test ends, or until the function that it returns is called.
func run(t testing.TB, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := f(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	return stop
}

// serve starts a server on Redis and returns when it follows Redis.
func serve(t testing.TB, name, url string, edits ...func(*redisstore.Config)) *server {
	t.Helper()
	s := launch(t, name, url, edits...)
	s.awaitSync(t, 10*time.Second)
	return s
}

// awaitSync waits until a server follows Redis, and returns how long that took.
func (s *server) awaitSync(t testing.TB, within time.Duration) time.Duration {
	t.Helper()
	return eventually(t, within, "server "+s.name+" follows Redis", s.synced)
}

// insist calls again while the store is out of reach, as it is for a moment on a busy machine: nothing that a test does is
// another thing when done twice. It logs what it was told in vain.
func insist(t testing.TB, call func() error) (err error) {
	t.Helper()
	told := ""
	eventually(t, bound, "the store is in reach", func() bool {
		err = call()
		if isUnavailable(err) && err.Error() != told {
			told = err.Error()
			t.Log(told)
		}
		return !isUnavailable(err)
	})
	return err
}

// insist registers an instance, again where the store is out of reach for a moment.
func (s *server) insist(t testing.TB, m *member) (r store.Registration) {
	t.Helper()
	err := insist(t, func() (err error) {
		r, err = s.Register(t.Context(), m.service, m.in)
		return err
	})
	if err != nil {
		t.Fatalf("register %v: %v", m, err)
	}
	return r
}

func (s *server) synced() bool {
	stats := s.redis.Stats()
	return stats.Freshness == store.Synced && stats.Epoch != "" && stats.Bell != "down" && !stats.Recovering &&
		stats.Age < time.Second
}

// inZone has a server serve another zone.
func inZone(zone string) func(*redisstore.Config) {
	return func(c *redisstore.Config) { c.Rules.Zone = zone }
}
