package memstore_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

const nanosecond = time.Nanosecond

// TestTombstoneEnds checks to the nanosecond how long a deregistration is remembered.
func TestTombstoneEnds(t *testing.T) {
	known := func(ttl time.Duration) func(*testing.T, *memstore.Store) {
		return func(t *testing.T, s *memstore.Store) {
			put(t, s, web, instance("a", ttl))
			end(t, s, web, "a")
		}
	}
	unknown := func(t *testing.T, s *memstore.Store) {
		if _, err := s.Deregister(t.Context(), web, "a"); !errors.Is(err, store.ErrUnknown) {
			t.Fatalf("deregister: error %v", err)
		}
	}
	for _, c := range []struct {
		name string
		do   []func(*testing.T, *memstore.Store) // a minute apart
		want time.Duration                       // since the last one
	}{
		{"the retention", steps(known(time.Minute)), 10 * time.Minute},
		{"twice the ttl", steps(known(time.Hour)), 2 * time.Hour},
		{"unknown", steps(unknown), 48 * time.Hour},
		{"known, then again", steps(known(time.Minute), unknown), 10 * time.Minute},
		{"unknown, then known", steps(unknown, known(time.Minute)), 10 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, memstore.Config{})
				for _, do := range c.do {
					pass(time.Minute)
					do(t, s)
				}
				pass(c.want - nanosecond)
				tombstoned(t, s, "a", true)
				pass(nanosecond)
				tombstoned(t, s, "a", false)
				if n := s.Stats().Tombstones; n != 0 {
					t.Fatalf("%d tombstones are kept", n)
				}
			})
		})
	}
}

// tombstoned checks whether a deregistration is remembered.
func tombstoned(t *testing.T, s *memstore.Store, id string, want bool) {
	t.Helper()
	wantErr := store.ErrGone
	if want {
		wantErr = store.ErrDeregistered
	}
	if err := renew(t, s, web, id); !errors.Is(err, wantErr) {
		t.Fatalf("renew %q: error %v, want %v", id, err, wantErr)
	}
}

// TestTombstoneEndsWithoutRun checks that nothing but time ends a tombstone.
func TestTombstoneEndsWithoutRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, memstore.Config{Retention: time.Minute})
		put(t, s, web, instance("a", time.Second))
		end(t, s, web, "a")
		pass(time.Minute - nanosecond)
		tombstoned(t, s, "a", true)
		pass(nanosecond)
		tombstoned(t, s, "a", false)
	})
}

func TestMaxTombstones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, memstore.Config{MaxTombstones: 3})
		for _, c := range []struct {
			id  string
			ttl time.Duration
		}{{"second", 2 * time.Hour}, {"first", time.Hour}, {"third", 3 * time.Hour}, {"new", time.Minute}} {
			put(t, s, web, instance(c.id, c.ttl))
			end(t, s, web, c.id)
		}
		tombstoned(t, s, "first", false) // ended first of the three
		tombstoned(t, s, "new", true)    // though it ends before all of them
		tombstoned(t, s, "second", true)
		tombstoned(t, s, "third", true)
		put(t, s, web, instance("second", time.Hour))
		put(t, s, web, instance("other", time.Hour))
		end(t, s, web, "other")
		tombstoned(t, s, "new", true)
		if n := s.Stats().Tombstones; n != 3 {
			t.Fatalf("%d tombstones", n)
		}
	})
}

// TestTombstonesOfTheUnknown floods a store with deregistrations of what it does not know.
func TestTombstonesOfTheUnknown(t *testing.T) {
	s := open(t, memstore.Config{MaxTombstones: 100})
	put(t, s, web, instance("a", time.Hour))
	for i := range 1000 {
		if _, err := s.Deregister(t.Context(), web, fmt.Sprintf("i%d", i)); !errors.Is(err, store.ErrUnknown) {
			t.Fatal(err)
		}
	}
	if stats := s.Stats(); stats.Tombstones != 100 || stats.Deregistrations != 0 {
		t.Fatalf("%+v", stats)
	}
	tombstoned(t, s, "i999", true)
	tombstoned(t, s, "i0", false)
}
