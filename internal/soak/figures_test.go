package soak_test

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// figures are durations that were seen. They may be added from any goroutine.
type figures struct {
	mu   sync.Mutex // guards seen
	seen []time.Duration
}

func (f *figures) add(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, d)
}

// take returns what was seen, and begins anew.
func (f *figures) take() sample {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := sample(f.seen)
	f.seen = nil
	slices.Sort(s)
	return s
}

// sample is durations in order.
type sample []time.Duration

// at returns a percentile by nearest rank, 0 of an empty sample.
func (s sample) at(percent float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	rank := int(float64(len(s))*percent/100 + 0.999999)
	return s[min(max(rank, 1), len(s))-1]
}

// String returns number, median, 99th percentile and greatest.
func (s sample) String() string {
	round := func(d time.Duration) time.Duration {
		if d < time.Millisecond && d > -time.Millisecond {
			return d.Round(100 * time.Nanosecond)
		}
		return d.Round(time.Millisecond / 10)
	}
	return fmt.Sprintf("n %d, p50 %v, p99 %v, max %v", len(s), round(s.at(50)), round(s.at(99)), round(s.at(100)))
}
