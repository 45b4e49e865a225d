package store_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/dnsreg/dnsreg/store"
)

// pair is what Differences yields.
type pair struct{ before, after *store.Snapshot }

// differences returns the differences of two views by service, and fails if one comes twice.
func differences(t rapid.TB, old, v *store.View) map[store.Service]pair {
	found := map[store.Service]pair{}
	for before, after := range v.Differences(old) {
		named := before
		if named == nil {
			named = after
		}
		if _, twice := found[named.Service]; twice {
			t.Fatalf("%s comes twice", named.Service)
		}
		found[named.Service] = pair{before, after}
	}
	return found
}

// TestViewDifferences compares any two views of a random history, in both directions.
func TestViewDifferences(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		views := []*store.View{{}}
		for revision := store.Revision(1); revision <= 12; revision++ {
			var changed []*store.Snapshot
			for range rapid.IntRange(1, 4).Draw(t, "changes") {
				changed = append(changed, drawSnapshot(t, revision))
			}
			views = append(views, views[len(views)-1].With(revision, changed...))
		}
		old := rapid.SampledFrom(views).Draw(t, "old")
		v := rapid.SampledFrom(views).Draw(t, "view")
		checkDifferences(t, old, v)
	})
}

func checkDifferences(t *rapid.T, old, v *store.View) {
	found := differences(t, old, v)
	for service, p := range found {
		if p.before != old.Service(service) || p.after != v.Service(service) || p.before == p.after {
			t.Fatalf("%s: %v", service, p)
		}
	}
	for _, view := range []*store.View{old, v} {
		for s := range view.All() {
			if _, ok := found[s.Service]; !ok && old.Service(s.Service) != v.Service(s.Service) {
				t.Fatalf("%s differs and does not come", s.Service)
			}
		}
	}
}

func TestViewDifferencesFromNothing(t *testing.T) {
	s := snapshot("_a._tcp", 1, store.Up)
	v := (&store.View{}).With(1, s)
	if got := differences(t, nil, v); len(got) != 1 || got["_a._tcp"] != (pair{nil, s}) {
		t.Errorf("differences %v", got)
	}
}

func TestViewDifferencesStops(t *testing.T) {
	view := (&store.View{}).With(1, snapshot("_a._tcp", 1, store.Up), snapshot("_b._tcp", 1, store.Up))
	n := 0
	for range view.Differences(&store.View{}) {
		n++
		break
	}
	if n != 1 {
		t.Errorf("%d differences after a break, want 1", n)
	}
}

// BenchmarkViewDifferences is the cost of what one change made different in a zone of 100,000 services.
func BenchmarkViewDifferences(b *testing.B) {
	var all []*store.Snapshot
	for i := range 100_000 {
		all = append(all, snapshot(store.Service(fmt.Sprintf("_s%d._tcp", i)), 1, store.Up))
	}
	old := (&store.View{}).With(1, all...)
	view := old.With(2, snapshot("_s7._tcp", 2, store.Up, store.Up))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for range view.Differences(old) {
			n++
		}
		if n != 1 {
			b.Fatalf("%d differences, want 1", n)
		}
	}
}
