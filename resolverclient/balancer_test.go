package resolverclient_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// allStrategies lists them for tests that hold for each.
func allStrategies() []resolverclient.Strategy {
	var out []resolverclient.Strategy
	for s := resolverclient.Strategy(0); !strings.HasPrefix(s.String(), "Strategy("); s++ {
		out = append(out, s)
	}
	return out
}

// weighted returns the records of instances of these weights and one priority; instance i has port i+1.
func weighted(priority int, weights ...int) (records []string) {
	for i, w := range weights {
		records = append(records,
			fmt.Sprintf("_web._tcp.svc.internal. 5 SRV %d %d %d p%d-%d.svc.internal.", priority, w, i+1, priority, i),
			fmt.Sprintf("p%d-%d.svc.internal. 5 A 127.0.%d.%d", priority, i, i/250, i%250+1))
	}
	return records
}

// balancerOf returns a balancer of web over records.
func balancerOf(tb testing.TB, strategy resolverclient.Strategy, records ...string) *resolverclient.Balancer {
	tb.Helper()
	b, err := clientOf(tb, newZone(tb, records...).serve).Balancer("web", strategy)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// tally picks n times and counts the instances by port, the first of them port 1.
func tally(tb testing.TB, b *resolverclient.Balancer, instances, n int) []int {
	tb.Helper()
	counts := make([]int, instances)
	for range n {
		p, err := b.Pick(tb.Context())
		if err != nil {
			tb.Fatal(err)
		}
		counts[p.Endpoint.Port-1]++
		p.Done(nil)
	}
	return counts
}

func TestRandomStrategiesKeepTheirShares(t *testing.T) {
	for _, tt := range []struct {
		name     string
		strategy resolverclient.Strategy
		weights  []int
		shares   []float64
	}{
		{"random", resolverclient.Random, []int{1, 2, 7, 0}, []float64{.25, .25, .25, .25}},
		{"weighted", resolverclient.WeightedRandom, []int{1, 2, 7}, []float64{.1, .2, .7}},
		{"weighted, one zero", resolverclient.WeightedRandom, []int{4, 0, 5}, []float64{.4, .1, .5}},
		{"weighted, two zeros share one chance", resolverclient.WeightedRandom, []int{0, 4, 5, 0}, []float64{.05, .4, .5, .05}},
		{"weighted, all zero", resolverclient.WeightedRandom, []int{0, 0}, []float64{.5, .5}},
		{"weighted, one", resolverclient.WeightedRandom, []int{9}, []float64{1}},
		{ // more than 32 bits hold
			"weighted, 200 as heavy as can be", resolverclient.WeightedRandom,
			slices.Repeat([]int{65535}, 200), slices.Repeat([]float64{1. / 200}, 200),
		},
		{"least outstanding when nothing is", resolverclient.LeastOutstanding, []int{1, 2, 7}, []float64{1. / 3, 1. / 3, 1. / 3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := balancerOf(t, tt.strategy, weighted(0, tt.weights...)...)
			checkShares(t, tally(t, b, len(tt.weights), draws), tt.shares)
		})
	}
}

func TestTurnStrategiesAreExact(t *testing.T) {
	for _, tt := range []struct {
		name     string
		strategy resolverclient.Strategy
		weights  []int
		picks    int
		want     []int
	}{
		{"round robin", resolverclient.RoundRobin, []int{1, 2, 7}, 300, []int{100, 100, 100}},
		{"1 2 7", resolverclient.WeightedRoundRobin, []int{1, 2, 7}, 1000, []int{100, 200, 700}},
		{"a common divisor", resolverclient.WeightedRoundRobin, []int{100, 200, 700}, 10, []int{1, 2, 7}},
		{"weight 0 has no turn", resolverclient.WeightedRoundRobin, []int{0, 3, 1}, 400, []int{0, 300, 100}},
		{"all weights 0", resolverclient.WeightedRoundRobin, []int{0, 0}, 400, []int{200, 200}},
		{"one", resolverclient.WeightedRoundRobin, []int{65535}, 4, []int{4}},
		{"long round", resolverclient.WeightedRoundRobin, []int{16383, 1}, 16384, []int{16383, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := balancerOf(t, tt.strategy, weighted(0, tt.weights...)...)
			if got := tally(t, b, len(tt.weights), tt.picks); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// "True" round robin: any run of n picks has each of n instances once, however many callers there are.
func TestRoundRobinIsTrueAcrossCallers(t *testing.T) {
	b := balancerOf(t, resolverclient.RoundRobin, weighted(0, make([]int, 7)...)...)
	tally(t, b, 7, 1)
	var counts [7]atomic.Int64
	var callers sync.WaitGroup
	for range 10 {
		callers.Go(func() {
			for range 700 {
				p, err := b.Pick(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				counts[p.Endpoint.Port-1].Add(1)
			}
		})
	}
	callers.Wait()
	for i := range counts {
		if n := counts[i].Load(); n != 1000 {
			t.Errorf("instance %d picked %d times of 7000, want 1000", i+1, n)
		}
	}
}

// Two picks that are not done yet make an instance the worse of any two drawn.
func TestLeastOutstandingAvoidsTheBusy(t *testing.T) {
	b := balancerOf(t, resolverclient.LeastOutstanding, weighted(0, 1, 1)...)
	for range 100 {
		first, err := b.Pick(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		second, _ := b.Pick(t.Context())
		if first.Endpoint.Port == second.Endpoint.Port {
			t.Fatal("the busy one was picked")
		}
		first.Done(nil)
		second.Done(nil)
	}
}

func TestOnlyTheBestUsablePriorityIsPicked(t *testing.T) {
	unusable := []string{
		"_web._tcp.svc.internal. 5 SRV 0 9 1 no-address.svc.internal.",
		"_web._tcp.svc.internal. 5 SRV 0 9 0 p5-0.svc.internal.",
	}
	records := slices.Concat(unusable, weighted(5, 1, 1), weighted(9, 65535))
	for _, strategy := range allStrategies() {
		t.Run(strategy.String(), func(t *testing.T) {
			b := balancerOf(t, strategy, records...)
			for range 200 {
				p, err := b.Pick(t.Context())
				if err != nil || p.Endpoint.Priority != 5 {
					t.Fatalf("picked %v, %v, want priority 5", p.Endpoint, err)
				}
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		b := balancerOf(t, resolverclient.Random, unusable[0])
		if _, err := b.Pick(t.Context()); !errors.Is(err, resolverclient.ErrNoEndpoint) {
			t.Errorf("got %v, want ErrNoEndpoint", err)
		}
	})
}

func TestBalancerFollowsTheAnswer(t *testing.T) {
	for _, strategy := range allStrategies() {
		t.Run(strategy.String(), func(t *testing.T) {
			bubble(t, resolverclient.Config{}, func(b *cacheTest) {
				balancer, err := b.client.Balancer("web", strategy)
				if err != nil {
					t.Fatal(err)
				}
				for _, weights := range [][]int{{1}, {1, 1, 1}, {0, 1, 0}, {1, 1}} {
					b.script.set(newZone(t, weighted(0, weights...)...).serve)
					pass(10 * time.Second)
					seen := map[uint16]bool{}
					for range 500 {
						p, err := balancer.Pick(b.Context())
						if err != nil {
							t.Fatal(err)
						}
						seen[p.Endpoint.Port] = true
						p.Done(nil)
					}
					if weights[0] == 1 && len(seen) != len(weights) {
						t.Errorf("weights %v: picked the ports %v", weights, seen)
					}
				}
			})
		})
	}
}

// A refresh that brings the same endpoints, in whatever order the server rotates them, disturbs no turn.
func TestTurnsSurviveARefresh(t *testing.T) {
	bubble(t, resolverclient.Config{}, func(b *cacheTest) {
		balancer, err := b.client.Balancer("web", resolverclient.RoundRobin)
		if err != nil {
			t.Fatal(err)
		}
		records := weighted(0, 1, 1, 1)
		b.script.set(newZone(t, records...).serve)
		last := uint16(0)
		for i := range 50 {
			p, err := balancer.Pick(b.Context())
			if err != nil {
				t.Fatal(err)
			}
			if want := last%3 + 1; i > 0 && p.Endpoint.Port != want {
				t.Errorf("pick %d: port %d after %d", i, p.Endpoint.Port, last)
			}
			last = p.Endpoint.Port
			records = append(records[2:], records[:2]...)
			b.script.set(newZone(t, records...).serve)
			pass(time.Second)
		}
		if n := b.queries.of(33); n < 8 {
			t.Errorf("%d queries in 50 s", n)
		}
	})
}
