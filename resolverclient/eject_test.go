package resolverclient_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// failing makes the calls to the ports in bad fail at once.
func failing(err error, bad ...uint16) func(uint16) (time.Duration, error) {
	return func(port uint16) (time.Duration, error) {
		for _, p := range bad {
			if p == port {
				return 0, err
			}
		}
		return 0, nil
	}
}

func TestEjection(t *testing.T) {
	broken := errors.New("broken")
	records := weighted(0, 1, 1, 1)
	bubbleBalancer(t, resolverclient.RoundRobin, records, func(b *cacheTest, p *resolverclient.Balancer) {
		if n := calls(b, p, 300, failing(broken, 1))[1]; n != 5 {
			t.Errorf("the failing one got %d calls, want 5 and then none", n)
		}
		pass(9 * time.Second)
		if n := calls(b, p, 30, failing(broken, 1))[1]; n != 0 {
			t.Errorf("%d calls while ejected", n)
		}
		pass(time.Second) // back on probation: one failure is enough, and costs twice the time
		if n := calls(b, p, 30, failing(broken, 1))[1]; n != 1 {
			t.Errorf("%d calls on probation, want 1", n)
		}
		pass(19 * time.Second)
		if n := calls(b, p, 30, failing(nil))[1]; n != 0 {
			t.Errorf("%d calls in the second ejection", n)
		}
		pass(time.Second)
		if n := calls(b, p, 30, failing(nil))[1]; n != 10 {
			t.Errorf("%d of 30 calls after it recovered", n)
		}
		if n := calls(b, p, 30, failing(broken, 1))[1]; n != 5 {
			t.Errorf("%d calls, want 5: the success forgot what was before", n)
		}
	})
}

func TestEjectionStopsAtHalf(t *testing.T) {
	broken := errors.New("broken")
	bubbleBalancer(t, resolverclient.RoundRobin, weighted(0, 1, 1, 1, 1), func(b *cacheTest, p *resolverclient.Balancer) {
		counts := calls(b, p, 400, failing(broken, 1, 2))
		if counts[1] != 5 || counts[2] != 5 {
			t.Errorf("got %v, want 5 calls to each of the failing half", counts)
		}
		counts = calls(b, p, 400, failing(broken, 1, 2, 3, 4))
		if len(counts) != 2 {
			t.Errorf("got %v, want two of the four in use while all fail", counts)
		}
		pass(10 * time.Second)
		if counts = calls(b, p, 400, failing(nil)); len(counts) != 4 {
			t.Errorf("got %v, want all four after the trouble", counts)
		}
	})
}

func TestEjectionLeavesTheBackup(t *testing.T) {
	records := append(weighted(0, 1), weighted(9, 1)...)
	records[2] = "_web._tcp.svc.internal. 5 SRV 9 1 2 p9-0.svc.internal."
	bubbleBalancer(t, resolverclient.Random, records, func(b *cacheTest, p *resolverclient.Balancer) {
		counts := calls(b, p, 20, failing(errors.New("broken"), 1))
		if counts[1] != 5 || counts[2] != 15 {
			t.Errorf("got %v, want the backup after 5 failures", counts)
		}
		pass(10 * time.Second)
		if n := calls(b, p, 20, failing(nil))[1]; n != 20 {
			t.Errorf("the first priority got %d of 20 calls after it recovered", n)
		}
	})
}

// What does not speak against the instance ejects nothing.
func TestEjectionIgnores(t *testing.T) {
	records := weighted(0, 1, 1, 1)
	bubbleBalancer(t, resolverclient.RoundRobin, records, func(b *cacheTest, p *resolverclient.Balancer) {
		if n := calls(b, p, 300, failing(context.Canceled, 1))[1]; n != 100 {
			t.Errorf("%d of 300 calls after the caller gave up", n)
		}
		for range 100 {
			_ = p.Do(b.Context(), func(_ context.Context, e resolverclient.Endpoint) error {
				if e.Port == 1 {
					return errors.New("no such user")
				}
				return nil
			})
		}
		if n := calls(b, p, 300, failing(nil))[1]; n != 100 {
			t.Errorf("%d of 300 calls after errors of the application", n)
		}
	})
}

// Do ejects what refuses connections, and tries it again only when all else failed.
func TestDoEjects(t *testing.T) {
	bubbleBalancer(t, resolverclient.RoundRobin, weighted(0, 1, 1, 1), func(b *cacheTest, p *resolverclient.Balancer) {
		refusals := 0
		for range 100 {
			if err := p.Do(b.Context(), func(_ context.Context, e resolverclient.Endpoint) error {
				if e.Port == 1 {
					refusals++
					return refused()
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		}
		if refusals != 5 {
			t.Errorf("%d calls to the one that refuses, want 5", refusals)
		}
		var last uint16
		_ = p.Do(b.Context(), func(_ context.Context, e resolverclient.Endpoint) error {
			last = e.Port
			return refused()
		})
		if last != 1 {
			t.Errorf("the last resort was port %d, want the ejected one", last)
		}
	})
}

func TestEjectionSwitchedOff(t *testing.T) {
	bubble(t, resolverclient.Config{EjectAfter: -1}, func(b *cacheTest) {
		b.script.set(newZone(t, weighted(0, 1, 1, 1)...).serve)
		p, err := b.client.Balancer("web", resolverclient.RoundRobin)
		if err != nil {
			t.Fatal(err)
		}
		if n := calls(b, p, 300, failing(errors.New("broken"), 1))[1]; n != 100 {
			t.Errorf("%d of 300 calls, want 100", n)
		}
	})
}

// often fails a share of the calls to the ports in bad, never five in a row.
func often(oneIn int, bad ...uint16) func(uint16) (time.Duration, error) {
	n := map[uint16]int{}
	return func(port uint16) (time.Duration, error) {
		n[port]++
		if slices.Contains(bad, port) && n[port]%oneIn == 0 {
			return 10 * time.Millisecond, errors.New("broken now and then")
		}
		return 10 * time.Millisecond, nil
	}
}

func TestEjectionByShareOfFailures(t *testing.T) {
	const window = 1000 // calls of 10 ms each
	for _, tt := range []struct {
		name string
		cfg  resolverclient.Config
		play func(uint16) (time.Duration, error)
		want map[uint16]bool // ports in use after a window
	}{
		{name: "every third call", play: often(3, 1), want: map[uint16]bool{2: true, 3: true, 4: true}},
		{name: "a tenth is within the margin", play: often(10, 1), want: map[uint16]bool{1: true, 2: true, 3: true, 4: true}},
		{
			name: "a margin of its own", cfg: resolverclient.Config{EjectShare: 0.05}, play: often(10, 1),
			want: map[uint16]bool{2: true, 3: true, 4: true},
		},
		{name: "two of four", play: often(2, 1, 3), want: map[uint16]bool{2: true, 4: true}},
		{name: "all alike", play: often(2, 1, 2, 3, 4), want: map[uint16]bool{1: true, 2: true, 3: true, 4: true}},
		{
			name: "switched off", cfg: resolverclient.Config{EjectShare: -1}, play: often(2, 1),
			want: map[uint16]bool{1: true, 2: true, 3: true, 4: true},
		},
		{
			name: "at most a quarter", cfg: resolverclient.Config{EjectMost: 0.25}, play: often(2, 1, 3),
			want: map[uint16]bool{2: true, 3: true, 4: true},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Idle = time.Hour
			bubble(t, tt.cfg, func(b *cacheTest) {
				b.script.set(newZone(t, weighted(0, 1, 1, 1, 1)...).serve)
				p, err := b.client.Balancer("web", resolverclient.RoundRobin)
				if err != nil {
					t.Fatal(err)
				}
				if got := calls(b, p, window, tt.play); len(got) != 4 {
					t.Errorf("within the window %v", got)
				}
				pass(time.Second)
				got := calls(b, p, 100, failing(nil))
				for port := range got {
					if !tt.want[port] && tt.cfg.EjectMost == 0 {
						t.Errorf("port %d is in use", port)
					}
				}
				if len(got) != len(tt.want) {
					t.Errorf("in use are %v, want %v", got, tt.want)
				}
			})
		})
	}
}

// Each window in which it is the odd one out again costs twice the time; a good one forgets all.
func TestEjectionByShareDoubles(t *testing.T) {
	bubbleBalancer(t, resolverclient.RoundRobin, weighted(0, 1, 1, 1, 1), func(b *cacheTest, p *resolverclient.Balancer) {
		for _, d := range []time.Duration{10 * time.Second, 20 * time.Second} {
			calls(b, p, 1010, often(2, 1))
			pass(d - time.Second)
			if n := calls(b, p, 30, failing(nil))[1]; n != 0 {
				t.Errorf("%d calls while ejected for %v", n, d)
			}
			pass(time.Second)
		}
		calls(b, p, 1050, often(10, 1)) // within the margin
		calls(b, p, 1010, often(2, 1))
		pass(10 * time.Second)
		if n := calls(b, p, 40, failing(nil))[1]; n != 10 {
			t.Errorf("%d of 40 calls after 10 s, want 10: the good window forgot the bad ones", n)
		}
	})
}

// Where all instances are slower than the hedge they are outrun in turn, which is no reason to keep any out; one that
// always is, while the others are not, is kept out.
func TestEjectionOfTheOutrun(t *testing.T) {
	const after = 10 * time.Millisecond
	for _, tt := range []struct {
		name string
		took func(port uint16) time.Duration
		want int // of four in use
	}{
		{"all are slow", func(uint16) time.Duration { return after + rand.N(after) }, 4},
		{"one hangs", func(port uint16) time.Duration {
			if port == 1 {
				return time.Hour
			}
			return after / 2
		}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubbleBalancer(t, resolverclient.RoundRobin, weighted(0, 1, 1, 1, 1), func(b *cacheTest, p *resolverclient.Balancer) {
				for start := time.Now(); time.Since(start) < 15*time.Second; {
					_, err := resolverclient.Hedge(b.Context(), p, after, func(ctx context.Context, e resolverclient.Endpoint) (int, error) {
						_, err := play{0: {tt.took(e.Port), nil}}.call(ctx, e)
						return 0, err
					})
					if err != nil {
						t.Fatal(err)
					}
				}
				if got := calls(b, p, 40, failing(nil)); len(got) != tt.want {
					t.Errorf("in use are %v, want %d", got, tt.want)
				}
			})
		})
	}
}
