// Package bench_test measures what one choice of an instance costs: with every strategy of resolverclient, with this
// project's gRPC policy, with gRPC's round_robin and with go-kit's load balancers, over 1, 10 and 1,000 instances, and
// shows the allocations:
//
//	go test -run '^$' -bench . -benchmem .
//
// On a machine that does other work besides, cpu-ns/op is the figure to go by: the processor time of the process.
//
// A choice of resolverclient includes the end of the call (Picked.Done), one of gRPC PickResult.Done where the policy
// asks for it; go-kit's has no end. No call is made in between. Instances have the weights 1 to 10 where the chooser
// knows weights: gRPC's round_robin and go-kit do not. go-kit is measured over its own fixed set of endpoints
// (sd.FixedEndpointer), without the lock and the reading of the clock that its set from service discovery costs besides;
// its Random is not safe for concurrent use.
package bench_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// chooser makes choices.
type chooser struct {
	choose func() error  // one instance, and ends its call
	which  func() string // tells which it was
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
				c := s.over(b, n)
				b.ReportAllocs()
				before := processorTime(b)
				for b.Loop() {
					if err := c.choose(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
			})
		}
	}
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
					if err := c.choose(); err != nil {
						t.Fatal(err)
					}
					seen[c.which()]++
				}
				if len(seen) != n {
					t.Errorf("got %v, want each of %d", seen, n)
				}
			})
		}
	}
}
