package soak_test

import (
	"context"
	"flag"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// long has every scenario take its long form.
var long = flag.Bool("long", false, "run the long form of every scenario: leases of 30 s, up to a million instances")

// TestMain lets go-redis dial a server that is gone once more: that ends within a second of the client's Close.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// either returns what the short and the long form differ in.
func either[T any](short, inLong T) T {
	if *long {
		return inLong
	}
	return short
}

// lease is the ttl of a fleet's instances, and beat how often they heartbeat.
func lease() time.Duration { return either(3*time.Second, 30*time.Second) }

func beat() time.Duration { return lease() / 3 }

// bound is how late an instance that ended may go, and a change show on another server: generous, so that a busy machine
// fails no test. What was seen is logged.
const bound = 5 * time.Second

// burden is how many times as long as on an idle machine anything may take on this one, where more is to run than it has
// processors: others' work is no fault of ours. It is four at most, lest a fault of ours hide behind it.
func burden() float64 {
	text, _ := os.ReadFile("/proc/loadavg") // elsewhere nobody knows, and it is one
	word, _, _ := strings.Cut(string(text), " ")
	load, _ := strconv.ParseFloat(word, 64)
	return min(max(load/float64(runtime.NumCPU()), 1), 4)
}

// patience is d, and on a burdened machine as many times as long.
func patience(d time.Duration) time.Duration { return time.Duration(float64(d) * burden()) }

// within reports whether something took d at most, or the patience for it, of which the log then tells.
func within(t testing.TB, d, took time.Duration, what string) bool {
	t.Helper()
	if took <= d {
		return true
	}
	times := burden()
	if took > time.Duration(float64(d)*times) {
		return false
	}
	t.Logf("%s: %v, where %v is the bound and the machine's load allows %.1f times as much", what, took, d, times)
	return true
}

// eventually polls until done holds, and ends the test if it does not within a time, or the patience for it.
func eventually(t testing.TB, limit time.Duration, what string, done func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for ; !done(); <-tick.C {
		if took := time.Since(begin); took > limit && took > patience(limit) {
			t.Fatalf("not within %v: %s", took, what)
		}
	}
	took := time.Since(begin)
	within(t, limit, took, what)
	return took
}

// lateness is by how much a goroutine that asks to be woken every 10 ms is woken too late, in sum: the time that the machine
// takes from a test. What is promised by the clock is promised to a process that runs.
type lateness struct {
	sum  atomic.Int64
	naps atomic.Int64 // that have ended
}

func newLateness(t testing.TB) *lateness {
	l := new(lateness)
	run(t, func(ctx context.Context) error {
		const nap = 10 * time.Millisecond
		for ctx.Err() == nil {
			asleep := time.Now()
			pause(ctx, nap)
			l.sum.Add(max(0, int64(time.Since(asleep)-nap)))
			l.naps.Add(1)
		}
		return nil
	})
	return l
}

// of calls a function and returns how long that took, and how late the machine was meanwhile, which the nap tells that was
// under way at the end.
func (l *lateness) of(t testing.TB, call func()) (took, late time.Duration) {
	t.Helper()
	before, begin := l.sum.Load(), time.Now()
	call()
	took = time.Since(begin)
	naps := l.naps.Load()
	eventually(t, bound, "the end of a nap", func() bool { return l.naps.Load() > naps })
	return took, time.Duration(l.sum.Load() - before)
}

// pass lets time go by, during which the checker looks on.
func pass(t testing.TB, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}
