package dnsreggrpc_test

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/resolverclient"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// ttl is that of every record, the least there is. noticed is how long a change may take to reach the calls. patience is
// for what comes about sooner or later.
const (
	ttl      = time.Second
	noticed  = ttl + time.Second
	patience = time.Minute
)

// registry is a store and the DNS server that answers from it, which can be stopped and started.
type registry struct {
	testing.TB
	store  *memstore.Store
	addr   netip.AddrPort
	stop   context.CancelFunc
	server sync.WaitGroup
}

func newRegistry(tb testing.TB) *registry {
	tb.Helper()
	s, err := memstore.New(memstore.Config{Rules: store.Rules{Zone: "svc.internal."}})
	if err != nil {
		tb.Fatal(err)
	}
	r := &registry{TB: tb, store: s, addr: netip.MustParseAddrPort("127.0.0.1:0")}
	r.serve()
	tb.Cleanup(r.halt)
	return r
}

// serve starts the DNS server; after halt at the address that it had.
func (r *registry) serve() {
	r.Helper()
	server, err := dnsserver.New(dnsserver.Config{
		Zones: []dnsserver.Zone{{Name: "svc.internal.", Source: r.store}}, Listen: []string{r.addr.String()}, TTL: ttl, NegativeTTL: ttl,
	})
	if err != nil {
		r.Fatal(err)
	}
	if err := server.Listen(); err != nil {
		r.Fatal(err)
	}
	r.addr = server.Addrs()[0]
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	r.server.Go(func() {
		if err := server.Run(ctx); err != nil {
			r.Error(err)
		}
	})
}

// halt stops the DNS server.
func (r *registry) halt() {
	r.stop()
	r.server.Wait()
}

// instance is an instance of web on loopback.
func instance(id string, addr netip.AddrPort, weight uint16, txt ...string) store.Instance {
	return store.Instance{
		ID: id, Addresses: []netip.Addr{addr.Addr()}, Port: addr.Port(), Weight: weight, TXT: txt, TTL: time.Hour,
	}
}

// up registers an instance.
func (r *registry) up(i store.Instance) {
	r.Helper()
	normal, _, err := store.Rules{Zone: "svc.internal."}.Normalize("_web._tcp", i)
	if err != nil {
		r.Fatal(err)
	}
	if _, err := r.store.Register(context.Background(), "_web._tcp", normal); err != nil {
		r.Fatal(err)
	}
}

// down deregisters an instance.
func (r *registry) down(id string) {
	r.Helper()
	if _, err := r.store.Deregister(context.Background(), "_web._tcp", id); err != nil {
		r.Fatal(err)
	}
}

// drain takes an instance out of the answers, as an operator does.
func (r *registry) drain(id string) {
	r.Helper()
	state := store.Draining
	if _, err := r.store.SetOverlay(context.Background(), "_web._tcp", id, store.Overlay{State: &state}); err != nil {
		r.Fatal(err)
	}
}

// client returns a client of the registry, which asks again soon enough for a lost packet not to cost a whole TTL, and
// not so soon that a machine out of breath is taken for a dead server: two lookups in vain are followed by a pause.
func (r *registry) client() *resolverclient.Client {
	r.Helper()
	c, err := resolverclient.New(resolverclient.Config{
		Servers: []string{r.addr.String()}, Zone: "svc.internal", Timeout: ttl / 2,
		Logger: slog.New(slog.NewTextHandler(r.Output(), nil)),
	})
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { c.Close() })
	return c
}

// eventually waits until a condition holds and returns how long that took.
func eventually(tb testing.TB, what string, holds func() bool) time.Duration {
	tb.Helper()
	start := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		if time.Since(start) > patience {
			tb.Fatalf("not within %v: %s", patience, what)
		}
		<-tick.C
	}
	return time.Since(start)
}

// lateness is by how much a goroutine that asks to be woken every 10 ms is woken too late, in sum: the time that other
// work on the machine takes from a test. What is promised by the clock is promised to a process that runs.
type lateness struct {
	sum  atomic.Int64
	naps atomic.Int64 // that have ended
}

func newLateness(tb testing.TB) *lateness {
	l := new(lateness)
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		const nap = 10 * time.Millisecond
		for {
			asleep := time.Now()
			select {
			case <-time.After(nap):
				l.sum.Add(int64(time.Since(asleep) - nap))
				l.naps.Add(1)
			case <-stop:
				return
			}
		}
	})
	tb.Cleanup(func() {
		close(stop)
		running.Wait()
	})
	return l
}

// since is the lateness since it had a value, with that of the nap that is under way.
func (l *lateness) since(tb testing.TB, value int64) time.Duration {
	tb.Helper()
	naps := l.naps.Load()
	eventually(tb, "the end of a nap", func() bool { return l.naps.Load() > naps })
	return time.Duration(l.sum.Load() - value)
}
