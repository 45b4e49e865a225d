package resolverclient

import (
	"math/rand/v2"
	"time"
)

// uniform draws each with the same chance.
type uniform int

func (n uniform) pick(time.Duration) int { return rand.IntN(int(n)) }

// lottery draws by weight in constant time (the alias method of Walker and Vose, in whole numbers and so exact). Each
// column holds total tickets; those below its mark are its own, the others another's.
type lottery struct {
	total   uint64
	columns []column
}

type column struct {
	mark  uint64
	other int
}

// newLottery returns the draw of RFC 2782 for a single place: a weight's share is w in (sum + 1), and all of weight 0
// share the rest; without any of them, w in sum.
func newLottery(weights []uint64) picker {
	zeros := uint64(0)
	for _, w := range weights {
		if w == 0 {
			zeros++
		}
	}
	l := &lottery{columns: make([]column, len(weights))}
	shares := make([]uint64, len(weights))
	for i, w := range weights {
		shares[i] = w * max(zeros, 1)
		if w == 0 {
			shares[i] = 1
		}
		l.total += shares[i]
	}
	l.fill(shares)
	return l
}

// fill gives every column the tickets of one share that is too small for it, and the rest of it to one too large.
func (l *lottery) fill(shares []uint64) {
	var small, large []int
	for i := range shares {
		shares[i] *= uint64(len(shares))
		if shares[i] < l.total {
			small = append(small, i)
		} else {
			large = append(large, i)
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, g := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		l.columns[s] = column{shares[s], g}
		shares[g] -= l.total - shares[s]
		if shares[g] < l.total {
			large = large[:len(large)-1]
			small = append(small, g)
		}
	}
	for _, i := range large { // exactly full
		l.columns[i] = column{l.total, i}
	}
}

func (l *lottery) pick(time.Duration) int {
	ticket := rand.Uint64N(l.total * uint64(len(l.columns)))
	i := int(ticket / l.total)
	if c := l.columns[i]; ticket%l.total >= c.mark {
		return c.other
	}
	return i
}

// leastOutstanding draws two and takes the less busy (Mitzenmacher 2001, "the power of two choices").
type leastOutstanding struct{ class []*stats }

func (l *leastOutstanding) pick(time.Duration) int {
	if len(l.class) == 1 {
		return 0
	}
	i, j := twoOf(len(l.class))
	if l.class[j].outstanding.Load() < l.class[i].outstanding.Load() {
		i = j // a conditional move: half of the jumps would be predicted wrongly
	}
	return i
}
