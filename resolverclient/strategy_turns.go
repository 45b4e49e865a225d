package resolverclient

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"
)

// maxTurns bounds the length of a weighted round.
const maxTurns = 1 << 14

// turns counts picks. It starts anywhere, so that clients that start together do not walk together.
type turns struct{ n atomic.Uint32 }

func newTurns() *turns {
	t := new(turns)
	t.n.Store(rand.Uint32())
	return t
}

// next returns the next turn of a round of size turns.
func (t *turns) next(size int) int { return int(t.n.Add(1) % uint32(size)) }

// ring takes all in turn.
type ring struct {
	size int
	turn *turns
}

func (r *ring) pick(time.Duration) int { return r.turn.next(r.size) }

// schedule takes all in turn, each as often in a round as it stands in it.
type schedule struct {
	round []int32
	turn  *turns
}

func (s *schedule) pick(time.Duration) int { return int(s.round[s.turn.next(len(s.round))]) }

// planTurns returns a round in which each index has as many turns as its weight, divided by the weights' greatest
// common divisor, and these are spread evenly. A round longer than limit is scaled down to it, in which a weight above
// 0 keeps at least one turn. Weights that are all 0 count as equal. There are at most maxEndpoints.
func planTurns(weights []uint64, limit int) []int32 {
	shares := reduce(weights, uint64(max(limit, len(weights))))
	var plan []uint64 // when within the round, in units of 2^-47, and whose turn: each a middle of equal intervals
	for i, share := range shares {
		for k := range share {
			at := (2*k + 1) << 46 / share
			plan = append(plan, at&^0xffff|uint64(i))
		}
	}
	slices.Sort(plan)
	round := make([]int32, len(plan))
	for i, turn := range plan {
		round[i] = int32(turn & 0xffff)
	}
	return round
}

// reduce returns the smallest whole numbers in the proportion of the weights, scaled to limit where they add up to
// more.
func reduce(weights []uint64, limit uint64) []uint64 {
	var divisor, sum uint64
	for _, w := range weights {
		divisor = gcd(divisor, w)
		sum += w
	}
	shares := make([]uint64, len(weights))
	for i, w := range weights {
		switch {
		case sum == 0:
			shares[i] = 1
		case sum/divisor <= limit:
			shares[i] = w / divisor
		case w > 0:
			shares[i] = max(1, (w*limit+sum/2)/sum)
		}
	}
	return shares
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
