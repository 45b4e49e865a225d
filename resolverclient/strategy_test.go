package resolverclient_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// bubbleBalancer runs a test of a balancer on a clock of its own.
func bubbleBalancer(
	t *testing.T, strategy resolverclient.Strategy, records []string,
	f func(b *cacheTest, balancer *resolverclient.Balancer), opts ...resolverclient.Option,
) {
	t.Helper()
	bubble(t, resolverclient.Config{Idle: time.Hour}, func(b *cacheTest) {
		b.script.set(newZone(t, records...).serve)
		balancer, err := b.client.Balancer("web", strategy, opts...)
		if err != nil {
			t.Fatal(err)
		}
		f(b, balancer)
	})
}

// pickKeys returns the port that each of n keys is mapped to.
func pickKeys(tb testing.TB, b *resolverclient.Balancer, n int) []int {
	tb.Helper()
	ports := make([]int, n)
	for i := range ports {
		p, err := b.PickKey(tb.Context(), fmt.Sprintf("key-%d", i))
		if err != nil {
			tb.Fatal(err)
		}
		ports[i] = int(p.Endpoint.Port)
		p.Done(nil)
	}
	return ports
}

const keys = 20_000

// mapped returns the ports of the keys under consistent hashing over weights.
func mapped(tb testing.TB, weights ...int) []int {
	tb.Helper()
	return pickKeys(tb, balancerOf(tb, resolverclient.ConsistentHash, weighted(0, weights...)...), keys)
}

func TestConsistentHashAgreesAmongClients(t *testing.T) {
	one, other := mapped(t, 1, 2, 7), mapped(t, 1, 2, 7)
	for i := range one {
		if one[i] != other[i] {
			t.Fatalf("key-%d: port %d for one client, %d for the other", i, one[i], other[i])
		}
	}
}

func TestConsistentHashKeepsShares(t *testing.T) {
	counts := make([]int, 3)
	for _, port := range mapped(t, 1, 2, 7) {
		counts[port-1]++
	}
	checkShares(t, counts, []float64{.1, .2, .7})
}

// Of ten endpoints one goes: its tenth of the keys must move, and few others.
func TestConsistentHashMovesFewKeys(t *testing.T) {
	ten := make([]int, 10)
	before, after := mapped(t, ten...), mapped(t, ten[1:]...)
	moved := 0
	for i := range before {
		if before[i] != after[i] {
			moved++
		}
	}
	if share := float64(moved) / keys; share < 0.09 || share > 0.15 {
		t.Errorf("%.1f %% of the keys moved, want little more than 10 %%", share*100)
	}
}

// One hot key may not load one endpoint by more than 5/4 of the mean, rounded up.
func TestConsistentHashBoundsTheLoad(t *testing.T) {
	b := balancerOf(t, resolverclient.ConsistentHash, weighted(0, 1, 1, 1, 1)...)
	for range 2 { // calls that are done count no longer
		counts := map[uint16]int{}
		var picks []resolverclient.Picked
		for range 80 {
			p, err := b.PickKey(t.Context(), "hot")
			if err != nil {
				t.Fatal(err)
			}
			counts[p.Endpoint.Port]++
			picks = append(picks, p)
		}
		for port, n := range counts {
			if n > 25 {
				t.Errorf("port %d has %d of 80 calls on 4 endpoints, want at most 25", port, n)
			}
		}
		for _, p := range picks {
			p.Done(nil)
		}
	}
	first, _ := b.PickKey(t.Context(), "hot")
	first.Done(nil)
	for range 10 {
		p, _ := b.PickKey(t.Context(), "hot")
		if p.Endpoint.Port != first.Endpoint.Port {
			t.Error("the key moved with nothing outstanding")
		}
		p.Done(nil)
	}
}

func TestPickKeyOfOtherStrategies(t *testing.T) {
	b := balancerOf(t, resolverclient.RoundRobin, weighted(0, 1, 1)...)
	ports := pickKeys(t, b, 2)
	if ports[0] == ports[1] {
		t.Errorf("round robin by keys gave the ports %v", ports)
	}
	none := balancerOf(t, resolverclient.ConsistentHash)
	if _, err := none.PickKey(t.Context(), "x"); !errors.Is(err, resolverclient.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

// calls runs n calls one after another, each of which takes as long as its port says, and counts them.
func calls(
	b *cacheTest, balancer *resolverclient.Balancer, n int, took func(port uint16) (time.Duration, error),
) map[uint16]int {
	b.Helper()
	counts := map[uint16]int{}
	for range n {
		p, err := balancer.Pick(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		counts[p.Endpoint.Port]++
		d, err := took(p.Endpoint.Port)
		time.Sleep(d)
		p.Done(err)
	}
	return counts
}

func TestPeakEWMAPrefersTheFast(t *testing.T) {
	bubbleBalancer(t, resolverclient.PeakEWMA, weighted(0, 1, 1, 1), func(b *cacheTest, p *resolverclient.Balancer) {
		slow := func(port uint16) (time.Duration, error) {
			if port == 1 {
				return 500 * time.Millisecond, nil
			}
			return 5 * time.Millisecond, nil
		}
		if n := calls(b, p, 1000, slow)[1]; n > 5 {
			t.Errorf("the slow one got %d of 1000 calls", n)
		}
		even := func(uint16) (time.Duration, error) { return 5 * time.Millisecond, nil }
		calls(b, p, 1, even)
		pass(10 * time.Minute) // what was slow once is tried again
		if n := calls(b, p, 3000, even)[1]; n < 500 {
			t.Errorf("the one that recovered got %d of 3000 calls", n)
		}
	})
}

// A server that fails fast must not look like the best one.
func TestPeakEWMAAvoidsFastFailures(t *testing.T) {
	records := weighted(0, 1, 1, 1)
	bubbleBalancer(t, resolverclient.PeakEWMA, records, func(b *cacheTest, p *resolverclient.Balancer) {
		n := 0
		counts := calls(b, p, 1000, func(port uint16) (time.Duration, error) {
			if port != 1 {
				return 20 * time.Millisecond, nil
			}
			if n++; n%4 == 0 { // never enough in a row for an ejection
				return time.Millisecond, nil
			}
			return time.Millisecond, errors.New("overloaded")
		})
		if counts[1] > 50 {
			t.Errorf("the failing one got %d of 1000 calls", counts[1])
		}
	})
}

// That a caller gave up says that a call takes at least so long, not that it is fast.
func TestPeakEWMALearnsNothingGoodOfCancelledCalls(t *testing.T) {
	bubbleBalancer(t, resolverclient.PeakEWMA, weighted(0, 1, 1), func(b *cacheTest, p *resolverclient.Balancer) {
		slow := func(port uint16) (time.Duration, error) {
			if port == 1 {
				return 500 * time.Millisecond, nil
			}
			return 5 * time.Millisecond, nil
		}
		calls(b, p, 10, slow)
		var busy []resolverclient.Picked
		for given := 0; given < 50; {
			picked, err := p.Pick(b.Context())
			switch {
			case err != nil:
				b.Fatal(err)
			case picked.Endpoint.Port == 2:
				busy = append(busy, picked) // until the slow one is the better choice
			default:
				time.Sleep(time.Millisecond)
				picked.Done(context.Canceled)
				given++
			}
		}
		for _, picked := range busy {
			picked.Done(context.Canceled)
		}
		if n := calls(b, p, 100, slow)[1]; n > 0 {
			t.Errorf("the slow one, of which calls were given up after a millisecond, got %d of 100 calls", n)
		}
	})
}

// An instance that hangs from the start is one whose calls are given up: it does not draw all of them for being unknown,
// one after another or at a time, and is tried again in the end.
func TestPeakEWMAAvoidsWhatOnlyHangs(t *testing.T) {
	bubbleBalancer(t, resolverclient.PeakEWMA, weighted(0, 1, 1), func(b *cacheTest, p *resolverclient.Balancer) {
		hangs := func(port uint16) (time.Duration, error) {
			if port == 1 {
				return time.Millisecond, context.Canceled
			}
			return 100 * time.Millisecond, nil
		}
		if n := calls(b, p, 30, hangs)[1]; n > 1 {
			t.Errorf("the one that hangs got %d of 30 calls, want one at most", n)
		}
		var busy []resolverclient.Picked
		given := 0
		for range 5 {
			picked, err := p.Pick(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			if picked.Endpoint.Port == 1 {
				given++
			}
			busy = append(busy, picked)
		}
		for _, picked := range busy {
			picked.Done(context.Canceled)
		}
		if given > 1 {
			t.Errorf("the one that hangs got %d of 5 calls at a time, want one at most", given)
		}
		pass(10 * time.Minute)
		if n := calls(b, p, 3000, func(uint16) (time.Duration, error) { return 100 * time.Millisecond, nil })[1]; n < 500 {
			t.Errorf("the one that recovered got %d of 3000 calls", n)
		}
	})
}

func TestSlowStart(t *testing.T) {
	records := weighted(0, 10, 10)
	for _, strategy := range []resolverclient.Strategy{resolverclient.WeightedRoundRobin, resolverclient.WeightedRandom} {
		t.Run(strategy.String(), func(t *testing.T) {
			bubbleBalancer(t, strategy, records, func(b *cacheTest, p *resolverclient.Balancer) {
				now := func(uint16) (time.Duration, error) { return 0, nil }
				share := func() int { return calls(b, p, 3000, now)[3] }
				if n := calls(b, p, 2000, now)[1]; n < 900 || n > 1100 {
					t.Errorf("an endpoint of the first set got %d of 2000 calls", n)
				}
				b.script.set(newZone(t, weighted(0, 10, 10, 10)...).serve)
				pass(5 * time.Second)
				var shares []int
				for range 12 {
					shares = append(shares, share())
					pass(10 * time.Second)
				}
				if shares[0] > 250 || shares[5] < 300 || shares[5] > 900 || shares[11] < 850 || shares[11] > 1150 {
					t.Errorf("the new endpoint got %v of 3000 calls as the window of 100 s passed", shares)
				}
			}, resolverclient.SlowStart(100*time.Second))
		})
	}
}
