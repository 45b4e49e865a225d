package resolverclient

import (
	"fmt"
	"strings"
	"time"
)

// Strategy is how a [Balancer] chooses among the usable endpoints of the lowest priority. The zero value is
// [WeightedRandom].
type Strategy uint8

// The strategies.
const (
	// WeightedRandom draws by weight, as RFC 2782 says: an endpoint's share is its weight; those of weight 0 share one
	// chance in (sum of weights + 1), and have equal chances where all weights are 0.
	WeightedRandom Strategy = iota
	// Random draws with equal chances.
	Random
	// RoundRobin takes one after the other, across calls and across changes of the set; weights do not count.
	RoundRobin
	// WeightedRoundRobin takes them in turn as often as their weights say, spread evenly: exactly 1, 2 and 7 times in
	// any ten picks for weights 1, 2 and 7. An endpoint of weight 0 gets no turn unless all weights are 0. Where the
	// weights divided by their greatest common divisor add up to more than 16384, shares are rounded to that many turns.
	WeightedRoundRobin
	// LeastOutstanding draws two with equal chances and takes the one with fewer picks that are not [Picked.Done].
	LeastOutstanding
	// PeakEWMA draws two with equal chances and takes the one where a call costs less: its latency, of which a peak counts
	// at once and fades slowly, times its picks that are not done.
	PeakEWMA
	// ConsistentHash takes the same endpoint for the same key of [Balancer.PickKey], in every client with the same set, by
	// a Maglev table with shares in proportion to weight. An endpoint with more than 5/4 of the mean of picks that are not
	// done passes the key on. A change of the set moves few keys. Pick draws a key.
	ConsistentHash
	strategies // their number
)

// names returns the strategies' names; the index is the strategy.
func strategyNames() [strategies]string {
	return [...]string{
		WeightedRandom:     "weighted-random",
		Random:             "random",
		RoundRobin:         "round-robin",
		WeightedRoundRobin: "weighted-round-robin",
		LeastOutstanding:   "least-outstanding",
		PeakEWMA:           "peak-ewma",
		ConsistentHash:     "consistent-hash",
	}
}

func (s Strategy) valid() bool { return s < strategies }

// String returns the name that [ParseStrategy] reads.
func (s Strategy) String() string {
	if !s.valid() {
		return fmt.Sprintf("Strategy(%d)", uint8(s))
	}
	return strategyNames()[s]
}

// ParseStrategy returns the strategy of a name: weighted-random, random, round-robin, weighted-round-robin,
// least-outstanding, peak-ewma or consistent-hash. The error lists them.
func ParseStrategy(name string) (Strategy, error) {
	names := strategyNames()
	for s, n := range names {
		if n == name {
			return Strategy(s), nil
		}
	}
	return 0, fmt.Errorf("strategy %q: must be one of %s", name, strings.Join(names[:], ", "))
}

// picker chooses one of n endpoints, 0 to n-1. It is immutable but for counters, never waits and does not allocate.
type picker interface {
	pick(now time.Duration) int // now counts from the balancer's epoch, where the strategy is timed
}

// newPicker returns the strategy's picker over the endpoints of one class, of which there is at least one. The
// balancer's turns outlive its pickers.
func (s Strategy) newPicker(class []node, b *Balancer) picker {
	switch s {
	case Random:
		return uniform(len(class))
	case RoundRobin:
		return &ring{len(class), b.turn}
	case WeightedRoundRobin:
		return &schedule{planTurns(weights(class), maxTurns), b.turn}
	case LeastOutstanding:
		return &leastOutstanding{statsOf(class)}
	case PeakEWMA:
		return &peakEWMA{statsOf(class)}
	case ConsistentHash:
		return newMaglev(class, &b.load)
	default:
		return newLottery(weights(class))
	}
}

func statsOf(class []node) []*stats {
	out := make([]*stats, len(class))
	for i, n := range class {
		out[i] = n.stats
	}
	return out
}

func weights(class []node) []uint64 {
	out := make([]uint64, len(class))
	for i, n := range class {
		out[i] = n.weight
	}
	return out
}
