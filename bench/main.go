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
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/dnsreg/dnsreg/bench/internal/peer"
	"github.com/dnsreg/dnsreg/bench/internal/proc"
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

// run runs the command line args and returns the exit code: 0, 1 for an error and with -gate for a bound that is not kept,
// 2 for wrong usage.
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
	noisy  bool
	gate   bool
	cores  [2]int // the server's and the load's
}

func parse(args []string, stderr io.Writer) (*options, error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	o := new(options)
	var only string
	var quick bool
	flags.StringVar(&o.binary, "dnsreg", "../bin/dnsreg", "`path` of the binary to measure")
	flags.StringVar(&o.docs, "docs", "", "`folder` whose performance.md and img/ to write to; none: print only")
	flags.StringVar(&only, "only", "", "comma-separated `names` of scenarios or groups: "+suite.Names(suite.All(largeZone))+"; profile")
	flags.IntVar(&o.runs, "runs", 0, "`rounds` to record; default 5, with -quick 3")
	flags.BoolVar(&quick, "quick", false, "few and short samples, and a smaller large zone")
	flags.BoolVar(&o.noisy, "noisy", false, "measure although others use the cores")
	flags.BoolVar(&o.gate, "gate", false, "end with 1 unless every bound is measured and kept")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 || o.runs < 0 {
		fmt.Fprintf(stderr, "bench: -runs %d, arguments %q: neither less than 0 rounds nor arguments make sense\n", o.runs, flags.Args())
		return nil, flag.ErrHelp
	}
	o.each, o.large = 1500*time.Millisecond, largeZone
	if quick {
		o.each, o.large = 300*time.Millisecond, largeZone/10
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

// bench measures what is selected, prints it and saves it. What an error has left out is said there; what was cut short
// by the end of ctx is printed, not saved.
func (o *options) bench(ctx context.Context, stdout, stderr io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	list, err := o.scenarios()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "dnsreg-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	others, err := o.quiet(ctx, stderr)
	if err != nil {
		return err
	}
	cfg := suite.Config{
		Binary: o.binary, Dir: dir, Cores: o.cores, Runs: o.runs, Duration: o.each, Noisy: o.noisy,
		Logger: slog.New(slog.NewTextHandler(stderr, nil)),
	}
	result := &report.Report{Machine: machine(), Method: o.method()}
	failed := o.measure(ctx, cfg, list, result)
	result.Machine += "; " + disturbance(others, result.Rows) + "; " + versions(result.Rows)
	if failed != nil {
		result.Method += " Not measured, for errors: " + strings.ReplaceAll(failed.Error(), "\n", "; ") + "."
	}
	return o.show(ctx, stdout, result, failed)
}

// show prints and saves a result that may be incomplete, and judges it.
func (o *options) show(ctx context.Context, stdout io.Writer, result *report.Report, failed error) error {
	failed = errors.Join(failed, result.Print(stdout))
	if ctx.Err() == nil && o.docs != "" && len(result.Rows) > 0 {
		failed = errors.Join(failed, result.Save(o.docs))
	}
	return errors.Join(failed, o.judge(result.Verdicts()))
}

// measure fills in the results. What goes wrong in one part does not keep it from the others.
func (o *options) measure(ctx context.Context, cfg suite.Config, list []suite.Scenario, result *report.Report) error {
	rows, failed := suite.Run(ctx, cfg, list)
	result.Rows = rows
	if o.wants("growth") && ctx.Err() == nil {
		heap, err := suite.Heap(ctx, cfg, zone.Zone{Services: o.large, Instances: 10})
		if err == nil {
			result.Facts = append(result.Facts, heap)
		}
		failed = errors.Join(failed, err)
	}
	if o.wants("changes") && ctx.Err() == nil {
		costs, err := suite.Changes(ctx, cfg, 5, 1000)
		result.Facts = append(result.Facts, costs...)
		failed = errors.Join(failed, err)
	}
	if o.wants(profile) && ctx.Err() == nil {
		var err error
		result.Profile, err = suite.Profile(ctx, cfg, zone.Zone{Services: 1000, Instances: 5})
		failed = errors.Join(failed, err)
	}
	return failed
}

// profile is what -only calls the profile.
const profile = "profile"

// scenarios returns what is selected of them.
func (o *options) scenarios() ([]suite.Scenario, error) {
	names := slices.DeleteFunc(slices.Clone(o.only), func(name string) bool { return name == profile })
	if len(names) == 0 && len(o.only) > 0 {
		return nil, nil
	}
	return suite.Select(suite.All(o.large), names)
}

// wants reports whether what belongs to a group is to be measured.
func (o *options) wants(group string) bool {
	return len(o.only) == 0 || slices.Contains(o.only, group)
}

// judge is an error with -gate unless every bound is kept.
func (o *options) judge(verdicts []suite.Verdict) error {
	if !o.gate {
		return nil
	}
	kept := 0
	for _, v := range verdicts {
		if v.Met() {
			kept++
		}
	}
	if all := suite.Gates(); kept < all {
		return fmt.Errorf("%d of %d bounds are kept", kept, all)
	}
	return nil
}

// check completes the options and names everything that a measurement needs and that is not there.
func (o *options) check() error {
	var problems []error
	if missing := peer.Missing(); len(missing) > 0 {
		problems = append(problems, fmt.Errorf("missing Debian packages: apt-get install %s", strings.Join(missing, " ")))
	}
	path, err := filepath.Abs(o.binary) // servers run in folders of their own
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		problems = append(problems, fmt.Errorf("the binary to measure, see -dnsreg: %w", err))
	}
	o.binary = path
	cores, err := proc.Cores()
	if err == nil && len(cores) < len(o.cores) {
		err = errors.New("two cores are needed, one for the server and one for the load")
	}
	if err != nil {
		return errors.Join(append(problems, err)...)
	}
	o.cores = [2]int(cores[:2])
	return errors.Join(problems...)
}
