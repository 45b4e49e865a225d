package suite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/dnsreg/dnsreg/bench/internal/peer"
	"github.com/dnsreg/dnsreg/bench/internal/zone"
)

// Config says how to measure.
type Config struct {
	Binary   string        // dnsreg
	Dir      string        // for the servers' files; it exists
	Cores    [2]int        // the server's and the load's
	Runs     int           // recorded rounds; one more before them warms up
	Duration time.Duration // of one sample
	Noisy    bool          // the machine is known not to be quiet: take no sample again for that
	Logger   *slog.Logger  // progress
}

// Row is all samples of one subject in one scenario, one for each round.
type Row struct {
	Scenario Scenario
	Subject  Subject
	Version  string
	Reply    string // what one reply has
	Samples  []Sample
}

// CPU returns the processor time per query in µs, round by round.
func (r *Row) CPU() []float64 {
	values := make([]float64, len(r.Samples))
	for i, s := range r.Samples {
		values[i] = s.CPU
	}
	return values
}

// key tells the servers of a group apart.
type key struct {
	subject Subject
	zone    zone.Zone
	cores   int
}

// group is the servers that run while some scenarios are measured.
type group struct {
	Config
	servers map[key]*peer.Server
}

// Run measures the scenarios, group by group. Within a group every round asks every subject of every scenario in turn, so
// that a noisy neighbour hurts all of them. What goes wrong in a group costs the rows of that group alone: those of the
// others come with the error.
func Run(ctx context.Context, cfg Config, list []Scenario) ([]Row, error) {
	var rows []Row
	var failed error
	for _, scenarios := range groups(list) {
		g := &group{Config: cfg, servers: make(map[key]*peer.Server)}
		more, err := g.run(ctx, scenarios)
		g.stop()
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("group %s: %w", scenarios[0].Group, err))
		}
		if ctx.Err() != nil {
			break
		}
		rows = append(rows, more...)
	}
	return rows, failed
}

func (g *group) run(ctx context.Context, scenarios []Scenario) ([]Row, error) {
	var trials []*trial
	for _, s := range scenarios {
		for _, subject := range s.Subjects {
			t, err := g.prepare(ctx, s, subject)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", s.Name, subject, err)
			}
			trials = append(trials, t)
		}
	}
	for round := range g.Runs + 1 {
		for _, t := range trials {
			if err := t.take(ctx, round); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", t.Scenario.Name, t.Subject, err)
			}
		}
	}
	rows := make([]Row, len(trials))
	for i, t := range trials {
		rows[i] = t.Row
	}
	return rows, nil
}

// take measures once, and keeps the sample but for that of round 0, by which everything is warm.
func (t *trial) take(ctx context.Context, round int) error {
	if round == 0 {
		return t.warm(ctx)
	}
	sample, err := t.measure(ctx, t.Duration)
	if err != nil {
		return err
	}
	t.Logger.Info("sample", "round", round, "scenario", t.Scenario.Name, "subject", t.Subject,
		"µs", math.Round(100*sample.CPU)/100, "qps", int(sample.QPS), "others", math.Round(100*sample.Foreign)/100)
	t.Samples = append(t.Samples, sample)
	return nil
}

// maxWarm bounds one try to ask for every name.
const maxWarm = 20 * time.Second

// warm asks for every name, so that a server has built its answers. Each run begins with the same names, so that one has
// to reach the last of them. The same server at a fixed rate is warm already.
func (t *trial) warm(ctx context.Context) error {
	for d := t.Duration / 2; ; d *= 2 {
		sample, err := t.measure(ctx, min(d, maxWarm))
		if err != nil {
			return err
		}
		if sample.Replies >= float64(len(t.mix.Queries)) || !t.Scenario.Saturates() {
			return nil
		}
		if d >= maxWarm {
			t.Logger.Warn("not every name was answered once", "scenario", t.Scenario.Name, "subject", t.Subject)
			return nil
		}
	}
}

// server returns the server of a subject for a scenario, started if need be.
func (g *group) server(ctx context.Context, s Scenario, subject Subject) (*peer.Server, error) {
	k := key{subject, s.Zone, s.Cores}
	if running := g.servers[k]; running != nil {
		return running, nil
	}
	if err := s.Zone.Validate(); err != nil {
		return nil, err
	}
	dir := filepath.Join(g.Dir, s.Group+"-"+strconv.Itoa(len(g.servers)))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	g.Logger.Info("start", "subject", subject, "zone", s.Zone, "cores", s.Cores)
	started, err := g.start(ctx, peer.Place{Dir: dir, Cores: g.Cores[:s.Cores]}, k)
	if err != nil {
		return nil, err
	}
	g.servers[k] = started
	return started, nil
}

func (g *group) start(ctx context.Context, place peer.Place, k key) (*peer.Server, error) {
	switch k.subject {
	case DNSReg:
		return peer.Serve(ctx, place, k.zone, g.Binary)
	case Knot, KnotCookies:
		return peer.Knot(ctx, place, k.zone, k.subject == KnotCookies)
	case NSD:
		return peer.NSD(ctx, place, k.zone)
	case Echo, EchoBatches:
		return peer.Echo(ctx, place, k.subject == EchoBatches)
	case Quiet:
		return peer.Embed(ctx, place, k.zone, 0)
	case Changing:
		return peer.Embed(ctx, place, k.zone, ChangeRate)
	default:
		return nil, fmt.Errorf("unknown subject %q", k.subject)
	}
}

func (g *group) stop() {
	for _, s := range g.servers {
		s.Stop()
	}
}
