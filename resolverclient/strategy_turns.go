package resolverclient

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync/atomic"
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

func (r *ring) pick() int { return r.turn.next(r.size) }

// schedule takes all in turn, each as often in a round as it stands in it.
type schedule struct {
	round []int32
	turn  *turns
}

func (s *schedule) pick() int { return int(s.round[s.turn.next(len(s.round))]) }

// planTurns returns a round in which each index has as many turns as its weight, divided by the weights' greatest
// common divisor, and these are spread evenly. A round longer than limit is scaled down to it, in which a weight above
// 0 keeps at least one turn. Weights that are all 0 count as equal.
func planTurns(weights []uint16, limit int) []int32 {
	shares := reduce(weights, max(limit, len(weights)))
	type turn struct {
		at    float64
		index int32
	}
	var plan []turn
	for i, share := range shares {
		for k := range share {
			plan = append(plan, turn{(float64(k) + 0.5) / float64(share), int32(i)})
		}
	}
	slices.SortFunc(plan, func(a, b turn) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.index, b.index)) })
	round := make([]int32, len(plan))
	for i, t := range plan {
		round[i] = t.index
	}
	return round
}

// reduce returns the smallest whole numbers in the proportion of the weights, scaled to limit where they add up to
// more.
func reduce(weights []uint16, limit int) []int {
	divisor, sum := 0, 0
	for _, w := range weights {
		divisor = gcd(divisor, int(w))
		sum += int(w)
	}
	shares := make([]int, len(weights))
	for i, w := range weights {
		switch {
		case sum == 0:
			shares[i] = 1
		case sum/divisor <= limit:
			shares[i] = int(w) / divisor
		case w > 0:
			shares[i] = max(1, (int(w)*limit+sum/2)/sum)
		}
	}
	return shares
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
