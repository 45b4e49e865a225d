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
type peakEWMA []*stats

func (class peakEWMA) pick(now time.Duration) int {
	if len(class) == 1 {
		return 0
	}
	i, j := twoOf(len(class))
	if class[j].cheaper(class[i], now) {
		return j
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

// cheaper reports whether a further call may take less time here than there. It compares fractions by products, which
// are several times as fast as quotients.
func (s *stats) cheaper(than *stats, now time.Duration) bool {
	cost, fade := s.cost(now)
	other, otherFade := than.cost(now)
	return cost*otherFade < other*fade
}

// cost is the time that a further call may take, in nanoseconds, and what to divide it by. An endpoint of which nothing
// is known is tried, but by one call at a time.
func (s *stats) cost(now time.Duration) (cost, fade float64) {
	waiting := float64(s.outstanding.Load())
	latency := math.Float64frombits(s.latency.Load())
	if latency == 0 {
		return waiting * float64(failureCost), 1
	}
	return latency * (waiting + 1), s.fade(now)
}

// fade is what to divide the latency by for its age: an endpoint that was slow is tried again in the end.
func (s *stats) fade(now time.Duration) float64 {
	age := max(0, now-time.Duration(s.observed.Load())) // another goroutine's clock may be ahead of now
	return 1 + float64(age)*(1/float64(halfLife))
}

// observe takes a call's time: a peak counts at once, anything less as much as the last observation has faded. Calls
// that end at the same time may overwrite each other's, which the next ones mend.
func (s *stats) observe(now, took time.Duration, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		took += failureCost
	}
	seen, faded := float64(took), math.Float64frombits(s.latency.Load())/s.fade(now)
	if seen < faded {
		const share = 0.1
		seen = faded + share*(seen-faded)
	}
	s.latency.Store(math.Float64bits(seen))
	s.observed.Store(int64(now))
}
