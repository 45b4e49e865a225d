package memstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// since returns what Changes returns at once.
func since(t *testing.T, s *memstore.Store, after store.Revision) store.Delta {
	t.Helper()
	delta, err := s.Changes(t.Context(), after)
	if err != nil {
		t.Fatalf("changes after %d: %v", after, err)
	}
	return delta
}

func TestFirstRevision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hundredths := func() store.Revision { return store.Revision(time.Now().UnixNano() / 1e7) }
		first := open(t, memstore.Config{})
		if r := first.View().Revision(); r != hundredths() {
			t.Fatalf("revision %d, want %d", r, hundredths())
		}
		for i := range 1000 {
			pass(time.Second / 100)
			want := first.View().Revision() + 1
			if r := put(t, first, store.Service(fmt.Sprintf("_s%d._tcp", i)), instance("a", time.Hour)); r.Revision != want {
				t.Fatalf("revision %d, want %d", r.Revision, want)
			}
		}
		pass(time.Second / 100)
		second := open(t, memstore.Config{})
		if before, now := first.View().Revision(), second.View().Revision(); now <= before {
			t.Fatalf("revision %d after a restart, %d before", now, before)
		}
		if delta := since(t, second, first.View().Revision()); delta.Complete || delta.To != second.View().Revision() {
			t.Fatalf("changes since another life: %+v", delta)
		}
	})
}

// TestRetention checks how long a follower may be away: until a service that it has seen has been gone for the
// retention.
func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, memstore.Config{Retention: time.Minute})
		put(t, s, web, instance("a", store.MaxTTL))
		known := put(t, s, "_api._tcp", instance("x", store.MaxTTL)).Revision
		gone := end(t, s, web, "a")
		pass(time.Minute - nanosecond)
		if delta := since(t, s, known); !delta.Complete || len(delta.Services) != 1 || delta.Services[0].Service != web {
			t.Fatalf("within the retention: %+v", delta)
		}
		pass(nanosecond)
		if delta := since(t, s, known); delta.Complete || delta.Services != nil || delta.To != gone {
			t.Fatalf("after the retention: %+v", delta)
		}
		put(t, s, "_api._tcp", instance("y", store.MaxTTL))
		if delta := since(t, s, gone); !delta.Complete || len(delta.Services) != 1 {
			t.Fatalf("from the last change that was forgotten: %+v", delta)
		}
		pass(23 * time.Hour)
		if delta := since(t, s, gone); !delta.Complete || delta.Services[0].Service != "_api._tcp" {
			t.Fatalf("a service that has instances: %+v", delta)
		}
	})
}

// TestRetentionRestarts checks that a service that came back is not forgotten on account of its first end.
func TestRetentionRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, memstore.Config{Retention: time.Minute})
		known := put(t, s, web, instance("a", time.Hour)).Revision
		for range 5 {
			end(t, s, web, "a")
			pass(30 * time.Second)
			put(t, s, web, instance("a", time.Hour))
			pass(30 * time.Second)
		}
		if delta := since(t, s, known); !delta.Complete || len(delta.Services) != 1 || delta.Services[0].Find("a") == nil {
			t.Fatalf("%+v", delta)
		}
	})
}

// TestGoneServicesAreBounded checks that the oldest ends are forgotten first where there are too many.
func TestGoneServicesAreBounded(t *testing.T) {
	s := open(t, memstore.Config{MaxTombstones: 3})
	var ends []store.Revision
	for i := range 5 {
		service := store.Service(fmt.Sprintf("_s%d._tcp", i))
		put(t, s, service, instance("a", time.Hour))
		ends = append(ends, end(t, s, service, "a"))
	}
	if delta := since(t, s, ends[1]-1); delta.Complete {
		t.Fatalf("from before an end that is forgotten: %+v", delta)
	}
	if delta := since(t, s, ends[1]); !delta.Complete || len(delta.Services) != 3 || delta.Services[0].Service != "_s2._tcp" {
		t.Fatalf("from the last end that is forgotten: %+v", delta)
	}
}

// TestRenewalsWakeNobody checks that a caller that waits sleeps through renewals, and wakes at once for a change.
func TestRenewalsWakeNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, memstore.Config{})
		r := put(t, s, web, instance("a", 2*time.Second))
		var woken time.Time
		go func() {
			if delta := since(t, s, r.Revision); delta.To != r.Revision+1 {
				t.Errorf("woken by %+v", delta)
			}
			woken = time.Now()
		}()
		for range 100 {
			pass(time.Second)
			if err := renew(t, s, web, "a"); err != nil {
				t.Fatal(err)
			}
			put(t, s, web, instance("a", 2*time.Second))
		}
		synctest.Wait()
		if !woken.IsZero() {
			t.Fatal("woken without a change")
		}
		change := time.Now()
		end(t, s, web, "a")
		synctest.Wait()
		if !woken.Equal(change) {
			t.Fatalf("changed at %v, woken at %v", change, woken)
		}
		if stats := s.Stats(); stats.Renewals != 200 || stats.Registrations != 1 || stats.Deregistrations != 1 {
			t.Fatalf("%+v", stats)
		}
	})
}

// TestWaitersLeave checks that callers that gave up leave nothing behind.
func TestWaitersLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, memstore.Config{})
		began := time.Now()
		for range 100 {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if _, err := s.Changes(ctx, s.View().Revision()); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v", err)
				}
				if waited := time.Since(began); waited != time.Second {
					t.Errorf("waited %v", waited)
				}
			}()
		}
		pass(time.Second)
	})
}
