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
type peakEWMA []*node

func (class peakEWMA) pick(now time.Duration) int {
	if len(class) == 1 {
		return 0
	}
	i, j := twoOf(len(class))
	if class[j].cost(now) < class[i].cost(now) {
		return j
	}
	return i
}

// twoOf draws two different numbers below n, which is at least 2.
func twoOf(n int) (i, j int) {
	i, j = rand.IntN(n), rand.IntN(n-1)
	if j >= i {
		j++
	}
	return i, j
}

// cost is the time a further call may take. An endpoint of which nothing is known is tried, but by one call at a time.
func (s *stats) cost(now time.Duration) float64 {
	waiting := float64(s.outstanding.Load())
	latency := s.decayed(now)
	if latency == 0 {
		return waiting * failureCost.Seconds()
	}
	return latency * (waiting + 1)
}

// decayed returns the latency, faded by its age: an endpoint that was slow is tried again in the end.
func (s *stats) decayed(now time.Duration) float64 {
	latency := math.Float64frombits(s.latency.Load())
	age := now - time.Duration(s.observed.Load())
	return latency / (1 + max(0, age.Seconds())/halfLife.Seconds())
}

// observe takes a call's time: a peak counts at once, anything less as much as the last observation has faded. Calls
// that end at the same time may overwrite each other's, which the next ones mend.
func (s *stats) observe(now, took time.Duration, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		took += failureCost
	}
	seen, faded := took.Seconds(), s.decayed(now)
	if seen < faded {
		const share = 0.1
		seen = faded + share*(seen-faded)
	}
	s.latency.Store(math.Float64bits(seen))
	s.observed.Store(int64(now))
}
