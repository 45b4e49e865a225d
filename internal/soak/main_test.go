package soak_test

import (
	"flag"
	"os"
	"runtime"
	"strconv"
	"strings"
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

// patience is d, and on a machine with more work than processors as many times as long: others' work is no fault of ours.
// What it bounds is logged as it was.
func patience(d time.Duration) time.Duration {
	text, _ := os.ReadFile("/proc/loadavg") // elsewhere nobody knows, and d it is
	word, _, _ := strings.Cut(string(text), " ")
	load, _ := strconv.ParseFloat(word, 64)
	return time.Duration(float64(d) * min(max(load/float64(runtime.NumCPU()), 1), 10))
}

// eventually polls until done holds, and ends the test if it does not within a time, or the patience for it.
func eventually(t testing.TB, within time.Duration, what string, done func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for ; !done(); <-tick.C {
		if took := time.Since(begin); took > within && took > patience(within) {
			t.Fatalf("not within %v: %s", took, what)
		}
	}
	return time.Since(begin)
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
