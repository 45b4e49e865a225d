package subject

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/dnsreg/dnsreg/bench/internal/zone"
	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// Embedded is a registry and its DNS server in this process.
type Embedded struct {
	zone    zone.Zone
	store   *memstore.Store
	server  *dnsserver.Server
	changes atomic.Uint64 // of content, since the zone was filled
}

// NewEmbedded returns a registry that holds the whole zone and a server that will listen on an address.
func NewEmbedded(listen string, z zone.Zone) (*Embedded, error) {
	s, err := memstore.New(memstore.Config{Rules: store.Rules{Zone: zone.Name}})
	if err != nil {
		return nil, err
	}
	server, err := dnsserver.New(dnsserver.Config{Zones: []dnsserver.Zone{{Name: zone.Name, Source: s}}, Listen: []string{listen}})
	if err != nil {
		return nil, err
	}
	e := &Embedded{zone: z, store: s, server: server}
	for i := range z.Services {
		for j := range z.Instances {
			if err := e.register(context.Background(), i, z.Instance(i, j)); err != nil {
				return nil, err
			}
		}
	}
	return e, nil
}

func (e *Embedded) register(ctx context.Context, i int, instance store.Instance) error {
	if _, err := e.store.Register(ctx, e.zone.Service(i), instance); err != nil {
		return fmt.Errorf("register %s %s: %w", e.zone.Service(i), instance.ID, err)
	}
	return nil
}

// Run serves DNS, changes so many instances a second, and shows profiles and figures at a control address, until ctx ends.
func (e *Embedded) Run(ctx context.Context, control string, changes int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return e.store.Run(ctx) })
	group.Go(func() error { return e.server.Run(ctx) })
	group.Go(func() error { return e.serveControl(ctx, control) })
	if changes > 0 {
		group.Go(func() error { return e.churn(ctx, changes) })
	}
	return group.Wait()
}

// churn changes the content of one instance after another, of all services in turn. What falls due while the processor
// is busy is made up for.
func (e *Embedded) churn(ctx context.Context, changes int) error {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	start, n := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		for due := int(time.Since(start).Seconds() * float64(changes)); n < due; n++ {
			if err := e.change(ctx, n%e.zone.Services); ctx.Err() != nil {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
}

// change gives the first instance of a service another TXT record than ever before.
func (e *Embedded) change(ctx context.Context, service int) error {
	instance := e.zone.Instance(service, 0)
	instance.TXT = []string{fmt.Sprintf("node=%d", e.changes.Add(1))}
	return e.register(ctx, service, instance)
}

// serveControl serves the profiles of net/http/pprof and the figures of this process.
func (e *Embedded) serveControl(ctx context.Context, address string) error {
	listener, err := net.Listen("tcp4", address)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/metrics", e.figures)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); ctx.Err() == nil {
		return err
	}
	return nil
}

// figures tells what the process has allocated and how often the content was changed, with gc=1 once the garbage is
// collected: twice, since what has a finalizer goes at the second time.
func (e *Embedded) figures(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("gc") == "1" {
		runtime.GC()
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Fprintf(w, "go_memstats_mallocs_total %d\ngo_memstats_heap_alloc_bytes %d\nbench_changes_total %d\n",
		m.Mallocs, m.HeapAlloc, e.changes.Load())
}

// Cost is what one change of content takes of the processor.
type Cost struct {
	Change time.Duration // to register it
	Answer time.Duration // the first SRV answer after it
	Again  time.Duration // the same answer once more
}

// ChangeCost measures changes of one service over TCP, which has the answers of the largest services whole. The values
// are means over rounds, of the calling thread's processor time.
func (e *Embedded) ChangeCost(ctx context.Context, rounds int) (Cost, error) {
	mix, err := e.zone.Mix(zone.Query{Kind: zone.SRV})
	if err != nil {
		return Cost{}, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var sum Cost
	buf := make([]byte, 0, 1<<16)
	for range rounds {
		start := threadTime()
		if err := e.change(ctx, 0); err != nil {
			return Cost{}, err
		}
		changed := threadTime()
		e.server.Answer(mix.Queries[0], buf, dnsserver.TCP)
		answered := threadTime()
		e.server.Answer(mix.Queries[0], buf, dnsserver.TCP)
		sum.Again += threadTime() - answered
		sum.Answer += answered - changed
		sum.Change += changed - start
	}
	n := time.Duration(rounds)
	return Cost{Change: sum.Change / n, Answer: sum.Answer / n, Again: sum.Again / n}, nil
}

// threadTime is the processor time of the calling thread. Linux has this clock for every thread.
func threadTime() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		return 0
	}
	return time.Duration(now.Nano())
}
