package storebench_test

import (
	"flag"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var (
	sizes = flag.String("instances", "", "comma-separated `numbers` of instances to measure with; none: a small one, for a moment")
	quick = flag.Bool("quick", false, "fewer and shorter samples")
	docs  = flag.String("docs", "", "`file` whose section to write; none: print only")
)

// TestMain lets go-redis dial a server that is gone once more: that ends within a second of the client's Close.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// extent is how long and how often is measured.
type extent struct {
	each    time.Duration // of a rate
	rounds  int           // of a rate, the median of which counts
	changes int           // whose way to another server is timed
	deaths  int           // of leases
	load    int           // renewals a second beside changes
}

func extentOf(small bool) extent {
	switch {
	case small:
		return extent{each: 50 * time.Millisecond, rounds: 1, changes: 10, deaths: 10, load: 500}
	case *quick:
		return extent{each: time.Second, rounds: 3, changes: 200, deaths: 100, load: 20_000}
	default:
		return extent{each: 3 * time.Second, rounds: 5, changes: 1000, deaths: 500, load: 20_000}
	}
}

// TestFigures measures, prints and, where asked to, writes the documentation.
func TestFigures(t *testing.T) {
	e, all := extentOf(*sizes == ""), []int{2000}
	if *sizes != "" {
		all = parseSizes(t, *sizes)
	}
	r := newReport(e)
	for _, n := range all {
		measureMemory(t, r.subject("memstore", n), n, e)
		measureRedis(t, r.subject("redisstore", n), n, e)
	}
	r.check(t)
	if err := r.print(os.Stdout); err != nil {
		t.Error(err)
	}
	if *docs != "" {
		if err := r.save(*docs); err != nil {
			t.Error(err)
		}
	}
}

func parseSizes(t *testing.T, list string) []int {
	var all []int
	for s := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < perService || n > 1<<24 {
			t.Fatalf("-instances %q: numbers from %d to %d", s, perService, 1<<24)
		}
		all = append(all, n)
	}
	return all
}
