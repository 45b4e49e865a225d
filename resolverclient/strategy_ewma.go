package resolverclient

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"time"
)

const (
	// halfLife is when a latency that is not seen again counts half.
	halfLife = 5 * time.Second
	// failureCost is added to the latency of a call that failed, so that fast failures attract no traffic.
	failureCost = time.Second
)

// peakEWMA draws two and takes the one where a call costs less: the latency seen of late, times the calls that wait.
// It has the stats without their nodes, so that a pick among many reads two lines of memory and not four.
type peakEWMA struct{ class []*stats }

func (p *peakEWMA) pick(now time.Duration) int {
	if len(p.class) == 1 {
		return 0
	}
	i, j := twoOf(len(p.class))
	at := halfLives(now)
	cost, fade := p.class[i].cost(at)
	other, otherFade := p.class[j].cost(at)
	if other*fade < cost*otherFade { // quotients would take several times as long
		i = j // a conditional move: half of the jumps would be predicted wrongly
	}
	return i
}

// twoOf draws two different numbers below n, which is at least 2 and fewer than 65536, from one random word: chances
// differ by less than n in 2^32.
func twoOf(n int) (i, j int) {
	r := rand.Uint64()
	i, j = int(r>>32*uint64(n)>>32), int(r&math.MaxUint32*uint64(n-1)>>32)
	if j >= i {
		j++
	}
	return i, j
}

// halfLives is a time in half-lives.
func halfLives(d time.Duration) float64 { return float64(d) * (1 / float64(halfLife)) }

// cost is the time that a further call may take, in nanoseconds, and what to divide it by for the latency's age, so that an
// endpoint that was slow is tried again in the end. An endpoint of which nothing is known is tried, but by one call at a
// time. Where another goroutine's clock is ahead of now the age is a little less than nothing, which does no harm.
func (s *stats) cost(now float64) (cost, fade float64) {
	waiting := float64(s.outstanding.Load())
	latency := math.Float64frombits(s.latency.Load())
	if latency == 0 {
		return waiting * float64(failureCost), 1
	}
	return latency * (waiting + 1), now - math.Float64frombits(s.observed.Load())
}

// observe takes a call's time: a peak counts at once, anything less as much as the last observation has faded. A call that
// was given up would have taken longer: it makes no endpoint look faster, and one of which nothing was known as slow as one
// that failed, for otherwise what hangs from the start would stay unknown and draw every call. Calls that end at the same
// time may overwrite each other's, which the next ones mend.
func (s *stats) observe(now, took time.Duration, err error) {
	at := halfLives(now)
	fade := max(1, at-math.Float64frombits(s.observed.Load()))
	faded := math.Float64frombits(s.latency.Load()) / fade
	givenUp := errors.Is(err, context.Canceled)
	if err != nil && (!givenUp || faded == 0) {
		took += failureCost
	}
	seen := float64(took)
	if givenUp && seen < faded {
		return
	}
	if seen < faded {
		const share = 0.1
		seen = faded + share*(seen-faded)
	}
	s.latency.Store(math.Float64bits(seen))
	s.observed.Store(math.Float64bits(at - 1))
}
