package resolverclient

import (
	"math/rand/v2"
	"slices"
)

// uniform draws each with the same chance.
type uniform int

func (n uniform) pick() int { return rand.IntN(int(n)) }

// lottery draws by weight (RFC 2782, for a single draw).
type lottery struct {
	sums []int // running sums of the weights
	zero []int // those of weight 0
}

func newLottery(weights []uint16) picker {
	l := &lottery{sums: make([]int, len(weights))}
	sum := 0
	for i, w := range weights {
		if w == 0 {
			l.zero = append(l.zero, i)
		}
		sum += int(w)
		l.sums[i] = sum
	}
	if sum == 0 {
		return uniform(len(weights))
	}
	return l
}

// pick draws a ticket from 1 to the sum, or from 0 where a weight is 0: the ticket 0 is theirs.
func (l *lottery) pick() int {
	sum := l.sums[len(l.sums)-1]
	if len(l.zero) > 0 && rand.IntN(sum+1) == 0 {
		return l.zero[rand.IntN(len(l.zero))]
	}
	i, _ := slices.BinarySearch(l.sums, 1+rand.IntN(sum))
	return i
}

// leastOutstanding draws two and takes the less busy (Mitzenmacher 2001, "the power of two choices").
type leastOutstanding []*node

func (class leastOutstanding) pick() int {
	if len(class) == 1 {
		return 0
	}
	i, j := rand.IntN(len(class)), rand.IntN(len(class)-1)
	if j >= i {
		j++
	}
	if class[j].outstanding.Load() < class[i].outstanding.Load() {
		return j
	}
	return i
}
