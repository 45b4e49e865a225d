package resolverclient_test

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// benchRecords returns n instances with weights from 1 to 10.
func benchRecords(n int) []string {
	weights := make([]int, n)
	for i := range weights {
		weights[i] = 1 + i%10
	}
	return weighted(0, weights...)
}

// benchBalancer returns a balancer of n instances whose answer is fresh for the whole benchmark.
func benchBalancer(b *testing.B, strategy resolverclient.Strategy, n int) *resolverclient.Balancer {
	b.Helper()
	balancer := balancerOf(b, strategy, benchRecords(n)...)
	if _, err := balancer.Pick(b.Context()); err != nil {
		b.Fatal(err)
	}
	return balancer
}

// cpuTime is what this process has used of processors: the measure that holds on a machine that others load too.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkPick takes picks in batches, whose Done calls come after them. It prints the processor time of a Pick and of
// its Done, set against neither what else the machine does nor the benchmark's own readings of the clock.
func BenchmarkPick(b *testing.B) {
	for _, n := range []int{1, 10, 1000} {
		for _, strategy := range allStrategies() {
			b.Run(fmt.Sprintf("%v/%d", strategy, n), func(b *testing.B) {
				benchPicks(b, benchBalancer(b, strategy, n))
			})
		}
	}
}

func benchPicks(b *testing.B, balancer *resolverclient.Balancer) {
	b.Helper()
	ctx := b.Context()
	picks := make([]resolverclient.Picked, 1024)
	var err error
	var picking, ending time.Duration
	b.ReportAllocs()
	for b.Loop() {
		begun := cpuTime(b)
		for i := range picks {
			if picks[i], err = balancer.Pick(ctx); err != nil {
				b.Fatal(err)
			}
		}
		picked := cpuTime(b)
		for i := range picks {
			picks[i].Done(nil)
		}
		picking += picked - begun
		ending += cpuTime(b) - picked
	}
	n := float64(b.N * len(picks))
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(picking)/n, "pick-cpu-ns")
	b.ReportMetric(float64(ending)/n, "done-cpu-ns")
}

func BenchmarkPickParallel(b *testing.B) {
	for _, strategy := range allStrategies() {
		b.Run(strategy.String(), func(b *testing.B) {
			balancer := benchBalancer(b, strategy, 10)
			ctx := b.Context()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					p, err := balancer.Pick(ctx)
					if err != nil {
						b.Error(err)
						return
					}
					p.Done(nil)
				}
			})
		})
	}
}

func BenchmarkDo(b *testing.B) {
	c := clientOf(b, newZone(b, benchRecords(10)...).serve)
	call := func(context.Context, resolverclient.Endpoint) error { return nil }
	if err := c.Do(b.Context(), "web", call); err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Do(ctx, "web", call); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookupFresh(b *testing.B) {
	for _, n := range []int{3, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := clientOf(b, newZone(b, benchRecords(n)...).serve)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Lookup(b.Context(), "web"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPlanTurns is what a change of the set costs the one pick that meets it, at worst.
func BenchmarkPlanTurns(b *testing.B) {
	weights := slices.Repeat([]uint64{16}, 1024)
	weights[0] = 17
	for b.Loop() {
		resolverclient.PlanTurns(weights, 1<<14)
	}
}
