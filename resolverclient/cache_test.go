package resolverclient_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// bubble runs a test of the cache on a clock of its own: a client of one scripted server, whose handler can be
// exchanged and whose queries are counted.
func bubble(t *testing.T, cfg resolverclient.Config, f func(b *cacheTest)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &cacheTest{T: t, script: newSwap(newZone(t, threeWebs()...).serve)}
		b.queries = &counted{next: b.script.serve}
		cfg.Servers, cfg.Dial = []string{"ns:53"}, piped(b.queries.serve)
		b.client = newClient(t, cfg)
		defer b.client.Close()
		f(b)
	})
}

type cacheTest struct {
	*testing.T
	client  *resolverclient.Client
	script  *swap
	queries *counted
}

// lookup returns the answer for web, how long the call took, and its error.
func (b *cacheTest) lookup() (resolverclient.Answer, time.Duration, error) {
	start := time.Now()
	got, err := b.client.Lookup(b.Context(), "web")
	return got, time.Since(start), err
}

// want looks web up and checks the number of endpoints and of queries so far, and that the call did not wait.
func (b *cacheTest) want(endpoints int, queries int64) resolverclient.Answer {
	b.Helper()
	got, took, err := b.lookup()
	if err != nil || len(got.Endpoints) != endpoints || took != 0 {
		b.Errorf("%d endpoints, %v, after %v, want %d at once", len(got.Endpoints), err, took, endpoints)
	}
	if n := b.queries.of(dns.TypeSRV); n != queries {
		b.Errorf("%d queries so far, want %d", n, queries)
	}
	return got
}

// pass lets time go by and everything settle that is due.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestCacheKeepsForTheTTL(t *testing.T) {
	bubble(t, resolverclient.Config{}, func(b *cacheTest) {
		b.want(3, 1)
		pass(3 * time.Second)
		if got := b.want(3, 1); got.TTL != 2*time.Second {
			t.Errorf("TTL %v after 3 s of 5", got.TTL)
		}
	})
}

func TestCacheAsksOnceForAll(t *testing.T) {
	bubble(t, resolverclient.Config{}, func(b *cacheTest) {
		slow := newZone(t, threeWebs()...).serve
		b.script.set(func(x exchange) { time.Sleep(100 * time.Millisecond); slow(x) })
		var callers sync.WaitGroup
		for range 100 {
			callers.Go(func() {
				if got, _, err := b.lookup(); err != nil || len(got.Endpoints) != 3 {
					t.Errorf("got %v, %v", got, err)
				}
			})
		}
		callers.Wait()
		b.want(3, 1)
	})
}

// No call waits while an answer is in use: it is renewed before its TTL ends, by a server however slow.
func TestCacheRenewsAhead(t *testing.T) {
	bubble(t, resolverclient.Config{}, func(b *cacheTest) {
		slow := newZone(t, threeWebs()...).serve
		b.lookup()
		b.script.set(func(x exchange) { time.Sleep(200 * time.Millisecond); slow(x) })
		for range 200 {
			pass(100 * time.Millisecond)
			got, took, err := b.lookup()
			if err != nil || took != 0 || got.Stale != nil || got.TTL <= 0 {
				t.Fatalf("got %+v, %v after %v", got, err, took)
			}
		}
		if n := b.queries.of(dns.TypeSRV); n < 4 || n > 6 {
			t.Errorf("%d queries in 20 s with a TTL of 5 s", n)
		}
	})
}

func TestCacheTakesUpChanges(t *testing.T) {
	bubble(t, resolverclient.Config{}, func(b *cacheTest) {
		b.want(3, 1)
		b.script.set(newZone(t, threeWebs()[1:]...).serve)
		pass(5 * time.Second)
		b.want(2, 2)
	})
}

// What nobody uses is not asked for: the entry lapses, and the next caller waits for a lookup.
func TestCacheLetsTheUnusedLapse(t *testing.T) {
	bubble(t, resolverclient.Config{Idle: 30 * time.Second}, func(b *cacheTest) {
		b.want(3, 1)
		pass(time.Hour)
		asked := b.queries.of(dns.TypeSRV)
		if asked < 5 || asked > 10 {
			t.Errorf("%d queries in 30 s of idleness and an hour without any", asked)
		}
		b.script.set(newZone(t, threeWebs()[1:]...).serve)
		b.want(2, asked+1)
	})
}

func TestCacheKeepsTheLastGoodAnswer(t *testing.T) {
	var log bytes.Buffer
	cfg := resolverclient.Config{
		MaxStale: time.Minute, Idle: time.Hour, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	}
	bubble(t, cfg, func(b *cacheTest) {
		b.lookup()
		b.script.set(rcode(dns.RcodeServerFailure))
		for i := range 64 {
			got, took, err := b.lookup()
			if err != nil || len(got.Endpoints) != 3 || took != 0 {
				t.Fatalf("after %d s: %v, %v, %v", i, got, err, took)
			}
			if stale := got.Stale != nil; stale != (i >= 5) {
				t.Errorf("after %d s: stale %v", i, got.Stale)
			}
			pass(time.Second)
		}
		if n := b.queries.of(dns.TypeSRV); n < 10 || n > 40 {
			t.Errorf("%d queries of a server that fails, two each time, in a minute", n)
		}
		pass(5 * time.Second)
		if _, _, err := b.lookup(); !errors.Is(err, resolverclient.ErrNoAnswer) {
			t.Errorf("after MaxStale: %v, want ErrNoAnswer", err)
		}
	})
	if n := strings.Count(log.String(), "stale answer in use"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, &log)
	}
}

func TestCacheRecovers(t *testing.T) {
	var log bytes.Buffer
	bubble(t, resolverclient.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(b *cacheTest) {
		b.lookup()
		b.script.set(silent)
		pass(30 * time.Second)
		if got, took, err := b.lookup(); got.Stale == nil || err != nil || took != 0 || got.TTL != 0 {
			t.Errorf("got %+v, %v after %v, want stale at once", got, err, took)
		}
		b.script.set(newZone(t, threeWebs()[2:]...).serve)
		pass(13 * time.Second) // the longest pause, and a query lost to the silence
		if got, _, err := b.lookup(); got.Stale != nil || err != nil || len(got.Endpoints) != 1 {
			t.Errorf("got %+v, %v, want the new answer", got, err)
		}
	})
	if !strings.Contains(log.String(), "resolver answers again") {
		t.Errorf("the recovery was not logged:\n%s", &log)
	}
}

// A lapsed answer is better than a long wait: the first caller waits for one timeout, the next ones not at all.
func TestCacheUsesALapsedAnswerWhenServersHang(t *testing.T) {
	bubble(t, resolverclient.Config{Idle: time.Second}, func(b *cacheTest) {
		b.lookup()
		pass(time.Minute)
		b.script.set(silent)
		for i, want := range []time.Duration{time.Second, 0, 0} {
			got, took, err := b.lookup()
			if err != nil || got.Stale == nil || took != want {
				t.Errorf("lookup %d: %v, %v after %v, want a stale answer after %v", i, got, err, took, want)
			}
		}
	})
}

func TestCacheWithoutStaleAnswers(t *testing.T) {
	bubble(t, resolverclient.Config{MaxStale: -1}, func(b *cacheTest) {
		b.lookup()
		b.script.set(rcode(dns.RcodeServerFailure))
		pass(6 * time.Second)
		if _, _, err := b.lookup(); !errors.Is(err, resolverclient.ErrNoAnswer) {
			t.Errorf("got %v, want ErrNoAnswer", err)
		}
	})
}

// "Not found" ends the use of the old endpoints at once: it is an answer, and no failure.
func TestCacheBelievesNotFound(t *testing.T) {
	bubble(t, resolverclient.Config{NegativeTTL: 2 * time.Second}, func(b *cacheTest) {
		b.lookup()
		b.script.set(newZone(t).serve)
		pass(5 * time.Second)
		if _, _, err := b.lookup(); !errors.Is(err, resolverclient.ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
		asked := b.queries.of(dns.TypeSRV)
		b.lookup()
		if n := b.queries.of(dns.TypeSRV); n != asked {
			t.Errorf("asked again at once, %d times", n-asked)
		}
		b.script.set(newZone(t, threeWebs()...).serve)
		pass(2 * time.Second)
		if got, _, err := b.lookup(); err != nil || len(got.Endpoints) != 3 {
			t.Errorf("got %v, %v: the service is back for longer than NegativeTTL", got, err)
		}
	})
}

// "Not found" holds for the lesser of the SOA's TTL and its minimum (RFC 2308 section 5), within bounds.
func TestCacheBelievesNotFoundAsLongAsTheZoneSays(t *testing.T) {
	for _, tt := range []struct {
		name, soa string
		want      time.Duration
	}{
		{"minimum", "svc.internal. 300 SOA ns. host. 1 3600 600 86400 3", 3 * time.Second},
		{"ttl", "svc.internal. 2 SOA ns. host. 1 3600 600 86400 300", 2 * time.Second},
		{"longer than NegativeTTL", "svc.internal. 300 SOA ns. host. 1 3600 600 86400 300", 10 * time.Second},
		{"shorter than a second", "svc.internal. 300 SOA ns. host. 1 3600 600 86400 0", time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, resolverclient.Config{NegativeTTL: 10 * time.Second}, func(b *cacheTest) {
				soa, err := dns.NewRR(tt.soa)
				if err != nil {
					t.Fatal(err)
				}
				b.script.set(func(x exchange) {
					m := new(dns.Msg).SetRcode(x.query, dns.RcodeNameError)
					m.Ns = []dns.RR{soa}
					x.reply(m)
				})
				for _, step := range []struct {
					after   time.Duration
					queries int64
				}{{0, 1}, {tt.want - time.Millisecond, 1}, {time.Millisecond, 2}} {
					pass(step.after)
					if _, _, err := b.lookup(); !errors.Is(err, resolverclient.ErrNotFound) {
						t.Errorf("got %v, want ErrNotFound", err)
					}
					if n := b.queries.of(dns.TypeSRV); n != step.queries {
						t.Errorf("%d queries after another %v, want %d", n, step.after, step.queries)
					}
				}
			})
		})
	}
}

// A server that fails is not asked by every caller: a failure is kept for a second (RFC 9520).
func TestCacheKeepsAFailureForASecond(t *testing.T) {
	bubble(t, resolverclient.Config{Attempts: 1}, func(b *cacheTest) {
		b.script.set(rcode(dns.RcodeServerFailure))
		for range 10 {
			if _, _, err := b.lookup(); !errors.Is(err, resolverclient.ErrNoAnswer) {
				t.Errorf("got %v, want ErrNoAnswer", err)
			}
		}
		if n := b.queries.of(dns.TypeSRV); n != 1 {
			t.Errorf("%d queries, want 1", n)
		}
		b.script.set(newZone(t, threeWebs()...).serve)
		pass(time.Second)
		b.want(3, 2)
	})
}

func TestCacheBoundsTTLs(t *testing.T) {
	bubble(t, resolverclient.Config{MaxTTL: 3 * time.Second}, func(b *cacheTest) {
		if got, _, _ := b.lookup(); got.TTL != 3*time.Second {
			t.Errorf("TTL %v, want MaxTTL", got.TTL)
		}
	})
	bubble(t, resolverclient.Config{MinTTL: 20 * time.Second}, func(b *cacheTest) {
		if got, _, _ := b.lookup(); got.TTL != 20*time.Second {
			t.Errorf("TTL %v, want MinTTL", got.TTL)
		}
	})
}
