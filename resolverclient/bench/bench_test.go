// Package bench_test measures what one choice of an instance costs: with every strategy of resolverclient, with this
// project's gRPC policy, with gRPC's round_robin and with go-kit's load balancers, over 1, 10 and 1,000 instances, and
// shows the allocations:
//
//	go test -run '^$' -bench . -benchmem .
//
// It prints the processor time of the process, which others on the machine lengthen less than the time on the wall: of a
// choice (pick-cpu-ns), and of what its caller does at the end of the call (done-cpu-ns): Picked.Done, or gRPC's
// PickResult.Done where the policy asks for it; go-kit has nothing of the kind. Choices are taken in batches, whose ends
// come after them; allocs/op is of a whole batch. Instances have the weights 1 to 10 where the chooser knows weights:
// gRPC's round_robin and go-kit do not. go-kit is measured over its own fixed set of endpoints
// (sd.FixedEndpointer), without the lock and the reading of the clock that its set from service discovery costs besides;
// its Random is not safe for concurrent use.
package bench_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// batch is how many choices are made before their calls end: enough to hide what reading the processor time costs.
const batch = 256

// chooser makes choices, which it keeps in the places 0 to batch-1.
type chooser struct {
	choose func(place int) error  // one instance
	end    func(place int)        // its call
	which  func(place int) string // tells which it was
}

// subject is something to measure.
type subject struct {
	name string
	over func(tb testing.TB, instances int) chooser
}

func subjects() []subject {
	all := append(strategies(), policies()...)
	return append(all, goKit()...)
}

func BenchmarkPick(b *testing.B) {
	for _, s := range subjects() {
		for _, n := range []int{1, 10, 1000} {
			b.Run(fmt.Sprintf("%s/%d", s.name, n), func(b *testing.B) {
				measure(b, s.over(b, n))
			})
		}
	}
}

func measure(b *testing.B, c chooser) {
	b.Helper()
	if err := c.choose(0); err != nil { // the first one looks up
		b.Fatal(err)
	}
	c.end(0)
	b.ReportAllocs()
	var choosing, ending time.Duration
	for b.Loop() {
		begun := processorTime(b)
		for i := range batch {
			if err := c.choose(i); err != nil {
				b.Fatal(err)
			}
		}
		chosen := processorTime(b)
		for i := range batch {
			c.end(i)
		}
		choosing += chosen - begun
		ending += processorTime(b) - chosen
	}
	n := float64(b.N * batch)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(choosing)/n, "pick-cpu-ns")
	b.ReportMetric(float64(ending)/n, "done-cpu-ns")
}

// processorTime is what this process has used, which others on the machine lengthen less than the time on the wall.
func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// What is measured is a choice among all of them.
func TestEveryInstanceIsChosen(t *testing.T) {
	for _, s := range subjects() {
		for _, n := range []int{1, 10} {
			t.Run(fmt.Sprintf("%s/%d", s.name, n), func(t *testing.T) {
				c := s.over(t, n)
				seen := map[string]int{}
				for range 1000 {
					if err := c.choose(0); err != nil {
						t.Fatal(err)
					}
					seen[c.which(0)]++
					c.end(0)
				}
				if len(seen) != n {
					t.Errorf("got %v, want each of %d", seen, n)
				}
			})
		}
	}
}
