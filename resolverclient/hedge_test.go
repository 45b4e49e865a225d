package resolverclient_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// play is what an instance does, by its port: answer or fail after a time; port 0 is for all others.
type play map[uint16]struct {
	after time.Duration
	err   error
}

// call runs the play as the function of Do and Hedge.
func (p play) call(ctx context.Context, e resolverclient.Endpoint) (uint16, error) {
	role, ok := p[e.Port]
	if !ok {
		role = p[0]
	}
	select {
	case <-time.After(role.after):
		return e.Port, role.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func TestHedge(t *testing.T) {
	const after = 20 * time.Millisecond
	broken := errors.New("broken")
	for _, tt := range []struct {
		name string
		play play
		took time.Duration // the longest of many calls
		want error
	}{
		{name: "fast", play: play{0: {5 * time.Millisecond, nil}}, took: 5 * time.Millisecond},
		{name: "one hangs", play: play{0: {5 * time.Millisecond, nil}, 1: {time.Hour, nil}}, took: after + 5*time.Millisecond},
		{
			name: "two hang", play: play{0: {5 * time.Millisecond, nil}, 1: {time.Hour, nil}, 2: {time.Hour, nil}},
			took: 2*after + 5*time.Millisecond,
		},
		{name: "one refuses", play: play{0: {5 * time.Millisecond, nil}, 1: {0, refused()}}, took: 5 * time.Millisecond},
		{name: "all are slow", play: play{0: {50 * time.Millisecond, nil}}, took: 50 * time.Millisecond},
		{name: "all fail", play: play{0: {0, broken}}, want: broken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubbleBalancer(t, resolverclient.Random, weighted(0, 1, 1, 1), func(b *cacheTest, p *resolverclient.Balancer) {
				longest := time.Duration(0)
				for range 30 { // whose hedges the budget bears however the dice fall
					start := time.Now()
					port, err := resolverclient.Hedge(b.Context(), p, after, tt.play.call)
					if !errors.Is(err, tt.want) || err == nil && port == 0 {
						t.Fatalf("got port %d, %v, want %v", port, err, tt.want)
					}
					longest = max(longest, time.Since(start))
				}
				if longest != tt.took {
					t.Errorf("the longest call took %v, want %v", longest, tt.took)
				}
			})
		})
	}
}

func TestHedgeEndsWithItsContext(t *testing.T) {
	bubbleBalancer(t, resolverclient.Random, weighted(0, 1, 1, 1), func(b *cacheTest, p *resolverclient.Balancer) {
		ctx, cancel := context.WithTimeout(b.Context(), 30*time.Millisecond)
		defer cancel()
		_, err := resolverclient.Hedge(ctx, p, 20*time.Millisecond, play{0: {time.Hour, nil}}.call)
		if !errors.Is(err, context.DeadlineExceeded) || strings.Count(err.Error(), "127.0.0.") != 2 {
			t.Errorf("got %v, want the ends of two calls", err)
		}
	})
}

func TestHedgeWithoutInstances(t *testing.T) {
	p := balancerOf(t, resolverclient.Random)
	if _, err := resolverclient.Hedge(t.Context(), p, time.Second, play{}.call); !errors.Is(err, resolverclient.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

// While everything is slow, hedging must not multiply the load: a fifth of the calls and what was saved up, no more.
func TestHedgeKeepsToTheBudget(t *testing.T) {
	bubble(t, resolverclient.Config{Idle: time.Hour}, func(b *cacheTest) {
		p, err := b.client.Balancer("web", resolverclient.Random)
		if err != nil {
			t.Fatal(err)
		}
		var calls atomic.Int64
		run := func() {
			for range 1000 {
				_, err := resolverclient.Hedge(b.Context(), p, time.Microsecond,
					func(context.Context, resolverclient.Endpoint) (int64, error) {
						time.Sleep(10 * time.Microsecond)
						return calls.Add(1), nil
					})
				if err != nil {
					t.Error(err)
				}
			}
		}
		run() // spends what was saved up
		calls.Store(0)
		run()
		if extra := calls.Load() - 1000; extra < 190 || extra > 215 {
			t.Errorf("%d calls on top of 1000, want a fifth", extra)
		}
	})
}

// What hedges leave of the budget is for calls that fail: these are repeated even where everything is slow.
func TestHedgesLeaveTheRetriesTheirShare(t *testing.T) {
	bubble(t, resolverclient.Config{Idle: time.Hour, EjectAfter: -1, EjectShare: -1}, func(b *cacheTest) {
		p, err := b.client.Balancer("web", resolverclient.RoundRobin)
		if err != nil {
			t.Fatal(err)
		}
		for range 2000 { // far more hedges than the budget allows
			slow := play{0: {10 * time.Microsecond, nil}}
			if _, err := resolverclient.Hedge(b.Context(), p, time.Microsecond, slow.call); err != nil {
				t.Fatal(err)
			}
		}
		retries := -40
		for range 40 {
			_ = p.Do(b.Context(), func(context.Context, resolverclient.Endpoint) error {
				retries++
				if retries%2 == 0 {
					return nil
				}
				return refused()
			})
		}
		if retries < 40 {
			t.Errorf("%d retries of 40 calls that failed once", retries)
		}
	})
}
