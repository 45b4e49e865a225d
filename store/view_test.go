package store_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/dnsreg/dnsreg/store"
)

// snapshot returns a snapshot with one instance for each state.
func snapshot(service store.Service, revision store.Revision, states ...store.State) *store.Snapshot {
	s := &store.Snapshot{Service: service, Revision: revision}
	for i, state := range states {
		in := valid()
		in.ID = fmt.Sprintf("i%04d", i)
		s.Instances = append(s.Instances, store.Live{Instance: in, Overlay: store.Overlay{State: &state}})
	}
	return s
}

func TestSnapshotFind(t *testing.T) {
	s := snapshot("_web._tcp", 1, store.Up, store.Draining, store.Up)
	if got := s.Find("I0001"); got != &s.Instances[1] {
		t.Errorf("found %v", got)
	}
	var none *store.Snapshot
	if s.Find("i0003") != nil || s.Find("") != nil || none.Find("i0001") != nil {
		t.Error("found an instance that is not there")
	}
}

func TestSnapshotWith(t *testing.T) {
	ids := func(s *store.Snapshot) string {
		var all []string
		for _, l := range s.Instances {
			all = append(all, l.ID)
		}
		return strings.Join(all, " ")
	}
	live := func(id string) store.Live { return store.Live{Instance: store.Instance{ID: id}} }
	var none *store.Snapshot
	b := none.With(live("b"))
	b.Service, b.Revision = "_web._tcp", 7
	for _, tt := range []struct {
		name, id, want string
	}{
		{"before", "a", "a b"},
		{"behind", "c", "b c"},
		{"in its place", "B", "B"},
	} {
		got := b.With(live(tt.id))
		if ids(got) != tt.want || got.Service != "_web._tcp" || ids(b) != "b" {
			t.Errorf("%s: %s, %q of %q, want %q; the old one has %q", tt.name, tt.id, ids(got), got.Service, tt.want, ids(b))
		}
	}
}

func TestSnapshotUp(t *testing.T) {
	s := snapshot("_web._tcp", 1, store.Up, store.Draining, store.Up)
	var up []string
	for live := range s.Up() {
		up = append(up, live.ID)
	}
	if !slices.Equal(up, []string{"i0000", "i0002"}) || !s.Answered() {
		t.Errorf("up: %q, answered %v", up, s.Answered())
	}
	if snapshot("_web._tcp", 1, store.Draining).Answered() || (*store.Snapshot)(nil).Answered() {
		t.Error("a service without an answered instance is answered")
	}
}

func TestViewZeroValue(t *testing.T) {
	var v store.View
	if v.Revision() != 0 || v.Services() != 0 || v.Instances() != 0 || v.Service("_web._tcp") != nil || v.Answered("_tcp") != 0 {
		t.Error("the zero view is not empty")
	}
}

// TestViewWith follows a random history of changes: each view is what a plain map says, and older views stay as they were.
func TestViewWith(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		model := map[store.Service]*store.Snapshot{}
		view := &store.View{}
		type past struct {
			view  *store.View
			model map[store.Service]*store.Snapshot
		}
		var history []past
		for revision := store.Revision(1); revision <= 30; revision++ {
			history = append(history, past{view, maps.Clone(model)})
			var changed []*store.Snapshot
			for range rapid.IntRange(1, 4).Draw(t, "changes") {
				s := drawSnapshot(t, revision)
				changed = append(changed, s)
				model[s.Service] = s
				if len(s.Instances) == 0 {
					delete(model, s.Service)
				}
			}
			view = view.With(revision, changed...)
			checkView(t, view, model)
		}
		for _, p := range history {
			checkView(t, p.view, p.model)
		}
	})
}

func drawSnapshot(t *rapid.T, revision store.Revision) *store.Snapshot {
	service := store.Service(fmt.Sprintf("_s%d._%s", rapid.IntRange(0, 40).Draw(t, "service"), rapid.SampledFrom([]string{"tcp", "udp"}).Draw(t, "proto")))
	states := rapid.SliceOfN(rapid.SampledFrom([]store.State{store.Up, store.Draining}), 0, 3).Draw(t, "states")
	return snapshot(service, revision, states...)
}

func checkView(t *rapid.T, view *store.View, model map[store.Service]*store.Snapshot) {
	seen := map[store.Service]*store.Snapshot{}
	instances, answered := 0, map[string]int{}
	for s := range view.All() {
		seen[s.Service] = s
		instances += len(s.Instances)
		if s.Answered() {
			answered[string(s.Service[len(s.Service)-4:])]++
		}
	}
	if !maps.Equal(seen, model) {
		t.Fatalf("revision %d: the view holds %v, want %v", view.Revision(), seen, model)
	}
	for service, want := range model {
		if got := view.Service(service); got != want {
			t.Fatalf("%s: %v, want %v", service, got, want)
		}
	}
	if view.Service("_none._tcp") != nil {
		t.Fatal("found a service that is not there")
	}
	if view.Services() != len(model) || view.Instances() != instances || view.Answered("_tcp") != answered["_tcp"] || view.Answered("_udp") != answered["_udp"] {
		t.Fatalf("revision %d: counts %d, %d, %d, %d", view.Revision(), view.Services(), view.Instances(), view.Answered("_tcp"), view.Answered("_udp"))
	}
}

func TestViewAllStops(t *testing.T) {
	view := (&store.View{}).With(1, snapshot("_a._tcp", 1, store.Up), snapshot("_b._tcp", 1, store.Up))
	n := 0
	for range view.All() {
		n++
		break
	}
	if n != 1 {
		t.Errorf("%d services after a break, want 1", n)
	}
}

// BenchmarkViewWith is the cost of one change in a zone of 100,000 services.
func BenchmarkViewWith(b *testing.B) {
	var all []*store.Snapshot
	for i := range 100_000 {
		all = append(all, snapshot(store.Service(fmt.Sprintf("_s%d._tcp", i)), 1, store.Up))
	}
	view := (&store.View{}).With(1, all...)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		view = view.With(store.Revision(i), all[i%len(all)])
	}
}

// BenchmarkViewService is one lookup in a zone of 100,000 services.
func BenchmarkViewService(b *testing.B) {
	var all []*store.Snapshot
	for i := range 100_000 {
		all = append(all, snapshot(store.Service(fmt.Sprintf("_s%d._tcp", i)), 1, store.Up))
	}
	view := (&store.View{}).With(1, all...)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if view.Service(all[i%len(all)].Service) == nil {
			b.Fatal("not found")
		}
	}
}
