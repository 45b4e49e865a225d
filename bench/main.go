// Command bench measures dnsreg beside Knot and NSD, which it takes from Debian's packages, on the same zone and the
// same cores, in turn.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/dnsreg/dnsreg/bench/internal/peer"
	"github.com/dnsreg/dnsreg/bench/internal/report"
	"github.com/dnsreg/dnsreg/bench/internal/subject"
	"github.com/dnsreg/dnsreg/bench/internal/suite"
	"github.com/dnsreg/dnsreg/bench/internal/zone"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second signal kills
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run runs the command line args and returns the exit code: 0, 1 for an error, 2 for wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "child" {
		return exit(stderr, subject.Run(ctx, args[1:]))
	}
	opts, err := parse(args, stderr)
	if err != nil {
		return 2
	}
	return exit(stderr, opts.bench(ctx, stdout, stderr))
}

func exit(stderr io.Writer, err error) int {
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// options are what the flags say.
type options struct {
	binary string
	docs   string
	only   []string
	runs   int
	each   time.Duration
	large  int
}

func parse(args []string, stderr io.Writer) (*options, error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	o := new(options)
	var only string
	var quick bool
	flags.StringVar(&o.binary, "dnsreg", "../bin/dnsreg", "`path` of the binary to measure")
	flags.StringVar(&o.docs, "docs", "", "`folder` whose performance.md and img/ to write to; none: print only")
	flags.StringVar(&only, "only", "", "comma-separated `names` of scenarios or groups: "+suite.Names(suite.All(largeZone)))
	flags.IntVar(&o.runs, "runs", 0, "`rounds` to record; default 5, with -quick 3")
	flags.BoolVar(&quick, "quick", false, "few and short samples, and a smaller large zone")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 || o.runs < 0 {
		fmt.Fprintf(stderr, "bench: -runs %d, arguments %q: neither less than 0 rounds nor arguments make sense\n", o.runs, flags.Args())
		return nil, flag.ErrHelp
	}
	o.each, o.large = 2*time.Second, largeZone
	if quick {
		o.each, o.large = 500*time.Millisecond, largeZone/10
	}
	if o.runs == 0 {
		o.runs = map[bool]int{false: 5, true: 3}[quick]
	}
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	return o, nil
}

// largeZone is how many services the largest zone has.
const largeZone = 100_000

// bench measures what is selected, prints it and saves it. What was measured before an error is printed too, but not
// saved.
func (o *options) bench(ctx context.Context, stdout, stderr io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	list, err := suite.Select(suite.All(o.large), o.only)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "dnsreg-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cfg := suite.Config{Binary: o.binary, Dir: dir, Runs: o.runs, Duration: o.each, Logger: slog.New(slog.NewTextHandler(stderr, nil))}
	result := &report.Report{Machine: machine(), Method: o.method()}
	result.Rows, err = suite.Run(ctx, cfg, list)
	if err == nil {
		result.Facts, err = o.facts(ctx, dir)
	}
	result.Machine += "; " + versions(result.Rows)
	err = errors.Join(err, result.Print(stdout))
	if err != nil || o.docs == "" {
		return err
	}
	return result.Save(o.docs)
}

// facts measures what is not a scenario, with all scenarios or with those that each of it belongs to.
func (o *options) facts(ctx context.Context, dir string) ([]suite.Fact, error) {
	var facts []suite.Fact
	if o.wants("changes") {
		costs, err := suite.Changes(ctx, 5, 1000)
		if err != nil {
			return facts, err
		}
		facts = append(facts, costs...)
	}
	if o.wants("growth") {
		heap, err := suite.Heap(ctx, dir, zone.Zone{Services: o.large, Instances: 10})
		if err != nil {
			return facts, err
		}
		facts = append(facts, heap)
	}
	return facts, nil
}

func (o *options) wants(group string) bool {
	return len(o.only) == 0 || slices.Contains(o.only, group)
}

// check names everything that a measurement needs and that is not there.
func (o *options) check() error {
	var problems []error
	if missing := peer.Missing(); len(missing) > 0 {
		problems = append(problems, fmt.Errorf("missing Debian packages: apt-get install %s", strings.Join(missing, " ")))
	}
	if _, err := os.Stat(o.binary); err != nil {
		problems = append(problems, fmt.Errorf("the binary to measure, see -dnsreg: %w", err))
	}
	if runtime.NumCPU() < 2 {
		problems = append(problems, errors.New("two cores are needed, one for the server and one for the load"))
	}
	return errors.Join(problems...)
}
