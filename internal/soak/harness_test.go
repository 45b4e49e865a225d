package soak_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// The checker and the askers have to see what they are for: here a store breaks each promise on purpose.

// faker is a store whose view a test sets as it likes.
type faker struct {
	*memstore.Store
	view atomic.Pointer[store.View]
}

func newFaker(t testing.TB) *faker {
	t.Helper()
	s, err := memstore.New(memstore.Config{Rules: store.Rules{Zone: zone}})
	if err != nil {
		t.Fatal(err)
	}
	run(t, s.Run)
	return &faker{Store: s}
}

// View returns the view that was set, else that of the store.
func (f *faker) View() *store.View {
	if v := f.view.Load(); v != nil {
		return v
	}
	return f.Store.View()
}

// hide shows the view without a service, under a revision.
func (f *faker) hide(service store.Service, revision store.Revision) {
	f.view.Store(f.Store.View().With(revision, &store.Snapshot{Service: service, Revision: revision}))
}

// reports collects what is reported.
type reports struct {
	mu   sync.Mutex // guards all
	made []string
}

func (r *reports) add(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.made = append(r.made, fmt.Sprintf(format, args...))
}

func (r *reports) has(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, made := range r.made {
		if strings.Contains(made, text) {
			return true
		}
	}
	return false
}

// rig is two servers whose stores can be made to lie, and a fleet through the first.
type rig struct {
	reports
	a, b *faker
	*world
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{a: newFaker(t)}
	r.b = &faker{Store: r.a.Store}
	a, b := newServer(t, "a", r.a), newServer(t, "b", r.b)
	r.world = &world{fleet: newFleet(t, 20, 3*time.Second, a), servers: []*server{a, b}}
	r.fleet.report = r.add
	r.check = watch(t, r.fleet, a, b)
	r.check.mu.Lock()
	r.check.report, r.check.strict = r.add, true
	r.check.mu.Unlock()
	r.start()
	r.check.await(bound)
	for _, m := range r.members {
		m.show()
	}
	return r
}

func (r *rig) expect(text string) {
	r.t.Helper()
	eventually(r.t, 4*bound, "a report of: "+text, func() bool { return r.has(text) })
}

func TestCheckerSeesNothingInOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.members[0].silence()
	r.leave(r.members[1], r.servers[0])
	r.finishQuietly(t)
}

// finishQuietly expects that nothing was reported until everything that ended is gone.
func (r *rig) finishQuietly(t testing.TB) {
	t.Helper()
	eventually(t, 2*bound, "the views are settled", r.check.settled)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.made) > 0 {
		t.Errorf("reported: %q", r.made)
	}
}

func TestCheckerSeesBrokenPromises(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		breaks func(*rig)
		want   string
	}{
		{"missing", func(r *rig) { r.a.hide("_s0._tcp", 1<<40) }, "a: i0._s0._tcp is missing"},
		{"other content at a revision", func(r *rig) {
			r.b.hide("_s0._tcp", r.a.View().Revision())
		}, "other content"},
		{"a revision that falls", func(r *rig) { r.a.hide("_s0._tcp", 1) }, "the revision fell"},
		{"gone before its lease", func(r *rig) {
			r.members[0].silence()
			r.a.hide("_s0._tcp", 1<<40)
		}, "before the end of its lease"},
		{"kept beyond its lease", func(r *rig) {
			r.b.view.Store(r.b.View())
			r.members[0].silence()
		}, "b: i0._s0._tcp is still in the view"},
		{"kept after its deregistration", func(r *rig) {
			r.a.view.Store(r.a.View())
			r.leave(r.members[0], r.servers[0])
		}, "i0._s0._tcp: deregistered through a in"},
		{"back from its deregistration", func(r *rig) {
			old := r.b.View()
			r.leave(r.members[0], r.servers[0])
			eventually(r.t, bound, "the checker sees it gone", func() bool {
				r.check.mu.Lock()
				defer r.check.mu.Unlock()
				return r.check.watched[1].gone[r.members[0]]
			})
			r.b.view.Store(old.With(1<<40, old.Service("_s0._tcp")))
		}, "b: i0._s0._tcp is back"},
		{"not read by its writer", func(r *rig) {
			r.a.view.Store(r.a.View())
			if err := r.register(newMember(999, time.Minute, r.servers[0])); err != nil {
				r.t.Fatal(err)
			}
		}, "but not in the view of a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			tt.breaks(r)
			r.expect(tt.want)
		})
	}
}

func TestAskerSeesWhatIsNotAnswered(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.a.hide("_s0._tcp", 1<<40)
	for _, s := range r.servers {
		a := &asker{server: s, fleet: r.fleet, check: r.check, report: r.add, rcodes: make(map[int]int)}
		for range 200 {
			a.once()
		}
		logAsked(t, []*asker{a})
	}
	r.expect("a: _s0._tcp.svc.internal. SRV: NXDOMAIN")
	if r.has("b: ") {
		t.Error("a server that answers is reported too")
	}
}

// An Agent that hears that its lease is gone registers again.
func TestFleetReturns(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	other := newFaker(t)
	fresh := newServer(t, "fresh", other)
	for _, m := range r.members {
		m.move(fresh)
	}
	r.awaitRenewed(time.Now(), bound)
	if got := other.Store.View().Instances(); got != len(r.members) || r.returned.Load() != int64(len(r.members)) {
		t.Errorf("%d instances, %d registered again; want %d", got, r.returned.Load(), len(r.members))
	}
}

func TestPercentiles(t *testing.T) {
	var f figures
	for i := range 100 {
		f.add(time.Duration(100-i) * time.Millisecond)
	}
	s := f.take()
	for percent, want := range map[float64]time.Duration{50: 50 * time.Millisecond, 99: 99 * time.Millisecond, 100: 100 * time.Millisecond, 0: time.Millisecond} {
		if got := s.at(percent); got != want {
			t.Errorf("p%v = %v, want %v", percent, got, want)
		}
	}
	if got := f.take().at(50); got != 0 {
		t.Errorf("p50 of nothing = %v", got)
	}
}
