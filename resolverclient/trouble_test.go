package resolverclient_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// trouble is eight instances of which three are well: port 4 hangs, 5 refuses, 6 is slow, 7 answers 503 and 8 flaps.
func trouble(start time.Time) func(context.Context, resolverclient.Endpoint) (uint16, error) {
	const well = 5 * time.Millisecond
	busy := errors.New("503")
	return func(ctx context.Context, e resolverclient.Endpoint) (uint16, error) {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		p := play{0: {well, nil}, 4: {time.Hour, nil}, 5: {0, refused()}, 6: {500 * time.Millisecond, nil}, 7: {well, busy}}
		if int(time.Since(start)/(7*time.Second))%2 == 1 {
			p[8] = p[5]
		}
		return p.call(ctx, e)
	}
}

// outcome is how a run of calls went.
type outcome struct {
	calls, failed int
	p50, p99      time.Duration
}

// caller makes the function that one call is, in the bubble.
type caller func(p *resolverclient.Balancer) func(context.Context) error

// suffer runs a thousand calls by each caller over the time of an outage of the resolver of a minute, and reports.
func suffer(b *cacheTest, callers int, call func(ctx context.Context) error) outcome {
	b.Helper()
	var mu sync.Mutex
	var took []time.Duration
	failed := 0
	var running sync.WaitGroup
	for range callers {
		running.Go(func() {
			for range 1000 {
				start := time.Now()
				err := call(b.Context())
				mu.Lock()
				took = append(took, time.Since(start))
				if err != nil {
					failed++
				}
				mu.Unlock()
				time.Sleep(80 * time.Millisecond)
			}
		})
	}
	time.Sleep(5 * time.Second)
	answering := newZone(b, weighted(0, 1, 1, 1, 1, 1, 1, 1, 1)...).serve
	b.script.set(rcode(dns.RcodeServerFailure))
	time.Sleep(time.Minute)
	b.script.set(answering)
	running.Wait()
	slices.Sort(took)
	return outcome{len(took), failed, took[len(took)/2], took[len(took)*99/100]}
}

// With three of eight instances well and a minute without a resolver, hedged calls succeed but for one in ten thousand.
// The figures of plain round robin and of healthy instances are printed beside.
func TestCallsSurviveTrouble(t *testing.T) {
	cfg := resolverclient.Config{
		Strategy: resolverclient.PeakEWMA, Tries: 4,
		Retry: func(err error) bool { return !errors.Is(err, context.Canceled) },
	}
	run := func(name string, callers int, cfg resolverclient.Config, of caller) (got outcome) {
		bubble(t, cfg, func(b *cacheTest) {
			b.script.set(newZone(t, weighted(0, 1, 1, 1, 1, 1, 1, 1, 1)...).serve)
			p, err := b.client.Balancer("web", cfg.Strategy)
			if err != nil {
				t.Fatal(err)
			}
			got = suffer(b, callers, of(p))
		})
		t.Logf("%-24s %d of %d failed, p50 %v, p99 %v", name, got.failed, got.calls, got.p50, got.p99)
		return got
	}
	hedged := func(call func(context.Context, resolverclient.Endpoint) (uint16, error)) caller {
		return func(p *resolverclient.Balancer) func(context.Context) error {
			return func(ctx context.Context) error {
				_, err := resolverclient.Hedge(ctx, p, 10*time.Millisecond, call)
				return err
			}
		}
	}
	healthy := run("healthy", 10, cfg, hedged(play{0: {5 * time.Millisecond, nil}}.call))
	got := run("in trouble, hedged", 50, cfg, func(p *resolverclient.Balancer) func(context.Context) error {
		return hedged(trouble(time.Now()))(p)
	})
	plain := run("in trouble, plain", 10, resolverclient.Config{Strategy: resolverclient.RoundRobin, EjectAfter: -1},
		func(p *resolverclient.Balancer) func(context.Context) error {
			call := trouble(time.Now())
			return func(ctx context.Context) error {
				picked, err := p.Pick(ctx)
				if err != nil {
					return err
				}
				_, err = call(ctx, picked.Endpoint)
				picked.Done(nil)
				return err
			}
		})
	if got.failed*10_000 > got.calls {
		t.Errorf("%d of %d calls failed, want at most one in 10,000", got.failed, got.calls)
	}
	if got.p99 > 2*healthy.p99+10*time.Millisecond {
		t.Errorf("p99 %v in trouble, %v healthy", got.p99, healthy.p99)
	}
	if plain.failed*4 < plain.calls {
		t.Errorf("plain round robin failed in %d of %d calls: the trouble is none", plain.failed, plain.calls)
	}
}
