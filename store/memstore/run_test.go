package memstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// TestLeaseEnds checks to the nanosecond when an instance goes, after a history of calls in steps of 400 ms.
func TestLeaseEnds(t *testing.T) {
	register := func(ttl time.Duration) func(*testing.T, *memstore.Store) {
		return func(t *testing.T, s *memstore.Store) { put(t, s, web, instance("a", ttl)) }
	}
	beat := func(t *testing.T, s *memstore.Store) {
		if err := renew(t, s, web, "A"); err != nil {
			t.Fatal(err)
		}
	}
	idle := func(*testing.T, *memstore.Store) {}
	refused := func(t *testing.T, s *memstore.Store) {
		if _, err := s.Register(t.Context(), web, instance("a", time.Millisecond)); err == nil {
			t.Fatal("a ttl of a millisecond is accepted")
		}
	}
	for _, c := range []struct {
		name    string
		history []func(*testing.T, *memstore.Store)
		want    time.Duration // since the last step
	}{
		{"registered", steps(register(time.Second)), time.Second},
		{"renewed", steps(register(time.Second), beat), time.Second},
		{"renewed past the first deadline", steps(register(time.Second), beat, beat, beat, beat), time.Second},
		{"registered again", steps(register(time.Second), register(time.Second), idle, register(time.Second)), time.Second},
		{"a longer ttl", steps(register(time.Second), register(2*time.Second)), 2 * time.Second},
		{"a shorter ttl", steps(register(time.Hour), idle, register(time.Second)), time.Second},
		{"a shorter ttl renewed", steps(register(time.Hour), register(time.Second), beat), time.Second},
		{"a shorter ttl after renewals", steps(register(2*time.Second), beat, beat, beat, register(time.Second)), time.Second},
		{"longer, then shorter", steps(register(time.Second), register(time.Hour), register(time.Second)), time.Second},
		{"a refused registration renews nothing", steps(register(time.Second), refused), 600 * time.Millisecond},
		{"the greatest ttl", steps(register(store.MaxTTL)), store.MaxTTL},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, memstore.Config{})
				pass(time.Minute) // so that Run sleeps
				for i, step := range c.history {
					if i > 0 {
						pass(400 * time.Millisecond)
						instances(t, s, "between the steps", 1)
					}
					step(t, s)
				}
				pass(c.want - time.Nanosecond)
				instances(t, s, "a nanosecond before the end", 1)
				pass(time.Nanosecond)
				instances(t, s, "at the end", 0)
				if err := renew(t, s, web, "a"); !errors.Is(err, store.ErrGone) {
					t.Fatalf("renew: error %v", err)
				}
			})
		})
	}
}

func steps[T any](s ...T) []T { return s }

// TestLeasesEndTogether has more leases end at one instant than one hold of the lock takes.
func TestLeasesEndTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, services = 3000, 60
		s := start(t, memstore.Config{})
		for i := range n {
			put(t, s, store.Service(fmt.Sprintf("_s%d._tcp", i%services)), instance(fmt.Sprintf("i%d", i), time.Second))
		}
		keep := put(t, s, "_s0._tcp", instance("keep", time.Minute))
		pass(time.Second)
		instances(t, s, "after the ttl", 1)
		view := s.View()
		if got := view.Revision() - keep.Revision; got != n {
			t.Fatalf("%d revisions for %d ends", got, n)
		}
		if left := view.Service("_s0._tcp"); left.Find("keep") == nil || view.Services() != 1 {
			t.Fatalf("%d services left", view.Services())
		}
		delta, err := s.Changes(t.Context(), keep.Revision)
		if err != nil || !delta.Complete || len(delta.Services) != services {
			t.Fatalf("changes: %d services, complete %v, error %v", len(delta.Services), delta.Complete, err)
		}
		for i := 1; i < services; i++ {
			if delta.Services[i].Revision <= delta.Services[i-1].Revision {
				t.Fatalf("service %d is at revision %d, the one before at %d", i, delta.Services[i].Revision, delta.Services[i-1].Revision)
			}
		}
		if stats := s.Stats(); stats.Expiries != n || stats.Instances != 1 || stats.Registrations != n+1 {
			t.Fatalf("%+v", stats)
		}
	})
}

// TestOutsideRun checks that all but the ends of leases works while Run does not run.
func TestOutsideRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, memstore.Config{})
		put(t, s, web, instance("a", time.Second))
		put(t, s, web, instance("b", time.Second))
		pass(time.Hour)
		instances(t, s, "before Run", 2)
		leases, err := s.Leases(t.Context(), web)
		if err != nil || !leases["a"].ExpiresAt.Before(time.Now()) {
			t.Fatalf("leases %v, error %v", leases, err)
		}
		if err := renew(t, s, web, "a"); err != nil {
			t.Fatalf("renew what is overdue: %v", err)
		}
		stop := run(t, s)
		synctest.Wait()
		instances(t, s, "once Run runs", 1)
		stop()
		pass(time.Hour)
		instances(t, s, "after Run", 1)
		end(t, s, web, "a")
		put(t, s, web, instance("c", time.Second))
		stop = run(t, s)
		pass(time.Second)
		instances(t, s, "in a second Run", 0)
		stop()
	})
}

func TestRunTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, memstore.Config{})
		synctest.Wait()
		if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "already running") {
			t.Fatalf("a second Run: error %v", err)
		}
		put(t, s, web, instance("a", time.Second))
		pass(time.Second)
		instances(t, s, "the first one goes on", 0)
	})
}

// TestRunSleeps checks that renewals do not wake Run before the first deadline, and that an idle store sleeps.
func TestRunSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 24*365*time.Hour)
		defer cancel()
		if err := open(t, memstore.Config{}).Run(ctx); err != nil {
			t.Fatal(err)
		}
		if slept := time.Since(began); slept != 24*365*time.Hour {
			t.Fatalf("ended after %v", slept)
		}
	})
}

func TestExpiryIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		s := open(t, memstore.Config{Logger: logger})
		stop := run(t, s)
		put(t, s, web, instance("Web 1", time.Second))
		put(t, s, web, instance("b", time.Second))
		pass(time.Second)
		stop()
		for _, want := range []string{`msg="leases expired" count=2`, `level=DEBUG msg="lease expired" service=_web._tcp id="web 1" ttl=1s`} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("the log lacks %s:\n%s", want, out.String())
			}
		}
	})
}
