package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/internal/redistest"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/redisstore"
)

// instance returns a valid instance with a lease of short.
func instance(id string, edits ...func(*store.Instance)) store.Instance {
	in := store.Instance{ID: id, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}, Port: 80, Weight: 1, TTL: short}
	for _, edit := range edits {
		edit(&in)
	}
	return in
}

func ttl(d time.Duration) func(*store.Instance) { return func(in *store.Instance) { in.TTL = d } }

func port(p uint16) func(*store.Instance) { return func(in *store.Instance) { in.Port = p } }

// beat keeps instances of web alive through s until ctx ends, as agents do: it registers what is gone, all at once.
func beat(ctx context.Context, s *redisstore.Store, every time.Duration, ids ...string) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		renewals := make([]store.Renewal, len(ids))
		for i, id := range ids {
			renewals[i] = store.Renewal{Service: web, ID: id}
		}
		results, _ := s.RenewAll(ctx, renewals)
		var wait sync.WaitGroup
		for i, r := range results {
			if errors.Is(r.Err, store.ErrGone) {
				wait.Go(func() { _, _ = s.Register(ctx, web, instance(ids[i])) })
			}
		}
		wait.Wait()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// during runs beat in the background until the function that it returns is called.
func during(t testing.TB, s *redisstore.Store, ids ...string) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() { beat(ctx, s, short/8, ids...) })
	stop = func() {
		cancel()
		wait.Wait()
	}
	t.Cleanup(stop)
	return stop
}

func ids(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return all
}

// witness looks at the views of several stores all the time, and holds them to two promises: what has to live is never
// missing, and two views of one revision have one content.
type witness struct {
	t      testing.TB
	stores []*redisstore.Store
	live   []string // of web

	mu   sync.Mutex
	seen map[store.Revision]string
}

func watch(t testing.TB, live []string, stores ...*redisstore.Store) *witness {
	w := &witness{t: t, stores: stores, live: live, seen: make(map[store.Revision]string)}
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for i, s := range stores {
		wait.Go(func() { w.run(ctx, i, s) })
	}
	t.Cleanup(func() {
		cancel()
		wait.Wait()
	})
	return w
}

func (w *witness) run(ctx context.Context, i int, s *redisstore.Store) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	last := new(store.View)
	for ; ctx.Err() == nil; <-tick.C {
		view := s.View()
		if view == last {
			continue
		}
		if view.Revision() < last.Revision() {
			w.t.Errorf("store %d: revision %d after %d", i, view.Revision(), last.Revision())
		}
		last = view
		w.look(i, view)
	}
}

func (w *witness) look(i int, view *store.View) {
	for _, id := range w.live {
		if view.Service(web).Find(id) == nil {
			w.t.Errorf("store %d: %q is missing at revision %d", i, id, view.Revision())
			return
		}
	}
	content := text(view)
	w.mu.Lock()
	defer w.mu.Unlock()
	if old, ok := w.seen[view.Revision()]; ok && old != content {
		w.t.Errorf("store %d: revision %d is\n%s\nand was\n%s", i, view.Revision(), content, old)
	}
	w.seen[view.Revision()] = content
}

// text returns all that a view holds of its services, for comparison.
func text(view *store.View) string {
	var lines []string
	for s := range view.All() {
		for i := range s.Instances {
			l := &s.Instances[i]
			lines = append(lines, fmt.Sprintf("%s %s %s %d", s.Service, l.Canonical(), l.State(), l.EffectiveWeight()))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// converged waits until stores have no recovery on and show one revision, and holds them to one content at it. It compares
// the views that it found at rest: the next ones may already tell of a lease that ended meanwhile.
func converged(t testing.TB, stores ...*redisstore.Store) {
	t.Helper()
	views := make([]*store.View, len(stores))
	eventually(t, 2*soon, "all stores show the same", func() bool {
		for i, s := range stores {
			views[i] = s.View()
		}
		for i, s := range stores {
			if s.Stats().Recovering || s.Freshness() != store.Synced || s.View() != views[i] || views[i].Revision() != views[0].Revision() {
				return false
			}
		}
		return true
	})
	for i, view := range views {
		if got, want := text(view), text(views[0]); got != want {
			t.Fatalf("store %d shows\n%s\nstore 0\n%s", i, got, want)
		}
	}
}

// TestLoss is every way in which Redis may lose data while it is up, or seems to be: nothing that lives goes missing, no
// two servers show two contents at one revision, what is deregistered meanwhile is gone at once and stays gone, and what
// nobody comes back for ends.
func TestLoss(t *testing.T) {
	for _, c := range []struct {
		name string
		lose func(t *testing.T, server *redistest.Server, rdb string)
	}{
		{"killed and restarted empty", func(_ *testing.T, server *redistest.Server, _ string) {
			server.Kill()
			server.Restart()
		}},
		{"killed and restarted from an older file", func(_ *testing.T, server *redistest.Server, rdb string) {
			server.Kill()
			server.RestartFrom(rdb)
		}},
		{"flushed", func(_ *testing.T, server *redistest.Server, _ string) { server.Do("flushall") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			a, b := synced(t, config(t, server.URL())), synced(t, config(t, server.URL()))
			early, late := ids("early", 20), ids("late", 20)
			register(t, a, web, instance("dead", ttl(2*short)))
			stopA := during(t, a, early...)
			defer stopA()
			eventually(t, soon, "the early ones are there", func() bool { return shows(b, early...) })
			rdb := server.Save()
			defer during(t, b, late...)()
			register(t, b, web, instance("leaver", ttl(time.Minute)))
			register(t, b, web, instance("early0", port(99)))
			all := slices.Concat(early, late, []string{"leaver"})
			eventually(t, soon, "all are there", func() bool { return shows(a, all...) && shows(b, all...) })
			converged(t, a, b)

			watch(t, append(early, late...), a, b)
			epoch := a.Stats().Epoch
			c.lose(t, server, rdb)
			eventually(t, soon, "the loss is seen", func() bool { return a.Stats().Epoch != epoch })
			_, err := insist(t, func() (store.Revision, error) { return a.Deregister(t.Context(), web, "leaver") })
			if err != nil && !errors.Is(err, store.ErrUnknown) {
				t.Fatalf("deregister: %v", err)
			}
			if a.View().Service(web).Find("leaver") != nil {
				t.Error("deregistered, and shown all the same")
			}
			eventually(t, soon, "the other server does not show it", func() bool { return b.View().Service(web).Find("leaver") == nil })
			converged(t, a, b)
			eventually(t, 2*soon, "what nobody comes back for is gone", func() bool { return a.View().Instances() == 40 })
			if a.View().Service(web).Find("leaver") != nil {
				t.Error("deregistered, and back")
			}
			converged(t, a, b)
		})
	}
}
