package storebench_test

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/dnsreg/dnsreg/internal/redistest"
)

// redisCPU returns the time that Redis' main thread has used, which does everything here but fork.
func redisCPU(t testing.TB, server *redistest.Server) time.Duration {
	t.Helper()
	var sum float64
	for key, value := range server.Info("cpu") {
		if strings.HasSuffix(key, "_main_thread") {
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += seconds
		}
	}
	return time.Duration(sum * float64(time.Second))
}

func redisMemoryUsed(t testing.TB, server *redistest.Server) int {
	t.Helper()
	n, err := strconv.Atoi(server.Info("memory")["used_memory"])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// processCPU returns the time that this process has used, which is all servers and those who call them.
func processCPU(t testing.TB) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// heap returns the octets that are in use after a collection.
func heap() int {
	runtime.GC()
	runtime.GC() // what a finalizer of the first has let go
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}

// rates is a figure measured in rounds.
type rates []float64

func (r *rates) add(v float64) { *r = append(*r, v) }

func (r rates) median() float64 {
	sorted := slices.Sorted(slices.Values(r))
	return sorted[len(sorted)/2]
}

// text shows the median and the range, in a format for one number.
func (r rates) text(format, unit string) string {
	f := func(v float64) string { return fmt.Sprintf(format, v) }
	return fmt.Sprintf("%s (%s–%s)%s", f(r.median()), f(slices.Min(r)), f(slices.Max(r)), unit)
}

// micros returns microseconds per one of n.
func micros(d time.Duration, n int) float64 { return float64(d.Microseconds()) / float64(max(n, 1)) }

// delays is a distribution of durations.
type delays struct{ histogram *hdrhistogram.Histogram }

func newDelays() delays {
	return delays{hdrhistogram.New(1, time.Minute.Microseconds(), 3)}
}

func (d delays) add(t testing.TB, v time.Duration) {
	t.Helper()
	if err := d.histogram.RecordValue(max(v.Microseconds(), 1)); err != nil {
		t.Fatal(err)
	}
}

// millis returns the median, the 99th percentile and the greatest, in milliseconds.
func (d delays) millis() []float64 {
	at := func(q float64) float64 { return float64(d.histogram.ValueAtQuantile(q)) / 1000 }
	return []float64{at(50), at(99), at(100)}
}

func (d delays) text() string {
	m := d.millis()
	return fmt.Sprintf("%.3g / %.3g / %.3g ms", m[0], m[1], m[2])
}

// eventually polls until done holds, and ends the test if it does not within a time.
func eventually(t testing.TB, within time.Duration, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(within); !done(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}
