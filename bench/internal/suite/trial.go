package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dnsreg/dnsreg/bench/internal/load"
	"github.com/dnsreg/dnsreg/bench/internal/peer"
	"github.com/dnsreg/dnsreg/bench/internal/proc"
	"github.com/dnsreg/dnsreg/bench/internal/zone"
)

// Sample is one measurement.
type Sample struct {
	CPU     float64 // µs of the server's processor time for each reply
	System  float64 // share of it that the kernel took, 0 to 1
	Used    float64 // cores that the server took: 1 for a saturated one on one core
	QPS     float64
	Loss    float64 // share of the queries sent, 0 to 1
	Memory  float64 // MiB resident
	Octets  float64 // of a reply, on average
	Foreign float64 // share of the cores in use that neither the server nor the load took, 0 to 1
	Allocs  float64 // objects allocated for each reply, by a server of dnsreg's
	Changes float64 // of content a second, by an embedded server
	Replies float64

	P50, P99, P999 float64 // of latency in µs, at a fixed rate only
}

// trial is a row in the making.
type trial struct {
	*group
	Row
	server  *peer.Server
	mix     zone.Mix
	queries string // path of a file for dnsperf
}

// prepare starts a subject and looks at its replies.
func (g *group) prepare(ctx context.Context, s Scenario, subject Subject) (*trial, error) {
	server, err := g.server(ctx, s, subject)
	if err != nil {
		return nil, err
	}
	t := &trial{group: g, Row: Row{Scenario: s, Subject: subject, Version: server.Version}, server: server}
	if subject == Echo || subject == EchoBatches {
		t.mix, err = s.Zone.Mix(s.Query)
		t.mix.Echo = true
		return t, err
	}
	if err := t.look(ctx); err != nil {
		return nil, err
	}
	if !s.Dnsperf {
		return t, nil
	}
	t.queries = filepath.Join(g.Dir, s.Group+"-"+s.Name+".queries")
	return t, writeQueries(t.queries, s)
}

func writeQueries(path string, s Scenario) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(s.Zone.WriteQueries(f, s.Query.Kind), f.Close())
}

// noisy is the share of the cores beyond which others disturb a sample. Such a one is taken again, at most so many times;
// one that says nothing too, for twice as long each time.
const (
	noisy   = 0.1
	retries = 2
	longer  = 5
)

// measure takes a sample, the one least disturbed of several if others use the cores.
func (t *trial) measure(ctx context.Context, d time.Duration) (Sample, error) {
	best, err := t.sample(ctx, d)
	for n := 0; errors.Is(err, errNothing) && n < longer; n++ {
		d *= 2
		best, err = t.sample(ctx, d)
	}
	for n := 0; err == nil && n < retries && best.Foreign > noisy && !t.Noisy; n++ {
		var again Sample
		if again, err = t.sample(ctx, d); again.Foreign < best.Foreign {
			best = again
		}
	}
	return best, err
}

// errNothing says that a sample has nothing to say: there were no replies, or the processes changed meanwhile.
var errNothing = errors.New("nothing to measure")

// sample asks for a while and reads before and after it what the server has used.
func (t *trial) sample(ctx context.Context, d time.Duration) (Sample, error) {
	if err := proc.Pin(t.loadCores()...); err != nil {
		return Sample{}, err
	}
	tree, err := proc.Find(t.server.PID())
	if err != nil {
		return Sample{}, err
	}
	counted, err := t.count(ctx)
	if err != nil {
		return Sample{}, err
	}
	before, err := read(tree, t.Cores[:])
	if err != nil {
		return Sample{}, fmt.Errorf("%w: %w", errNothing, err)
	}
	result, err := t.ask(ctx, d)
	if err != nil {
		return Sample{}, err
	}
	after, err := read(tree, t.Cores[:])
	if err != nil {
		return Sample{}, fmt.Errorf("%w: %w", errNothing, err)
	}
	if err := errors.Join(check(result), t.same(tree)); err != nil {
		return Sample{}, err
	}
	s := figures(result, before, after, len(t.Cores))
	if err := counted.until(ctx, &s, result.Answered+result.Late); err != nil {
		return Sample{}, err
	}
	memory, err := tree.Memory()
	s.Memory = float64(memory) / (1 << 20)
	return s, err
}

// check holds that the replies were those expected.
func check(r load.Result) error {
	good := r.Answered + r.Late
	if good == 0 && r.Bad == 0 {
		return fmt.Errorf("%w: no reply to %d queries", errNothing, r.Sent)
	}
	if r.Bad > good/1000 {
		return fmt.Errorf("of %d queries %d got the reply expected, %d another", r.Sent, good, r.Bad)
	}
	return nil
}

// same holds that the server still has the processes whose time was read: NSD replaces its own after it has started.
func (t *trial) same(tree proc.Tree) error {
	now, err := proc.Find(t.server.PID())
	if err == nil && !slices.Equal(tree, now) {
		err = fmt.Errorf("%w: the server's processes were %v and are %v", errNothing, tree, now)
	}
	return err
}

func (t *trial) loadCores() []int {
	if t.Scenario.Cores > 1 {
		return t.Cores[:]
	}
	return t.Cores[1:]
}

// Clients over TCP, by dnsperf, and over UDP where a server has several sockets.
const (
	connections  = 20
	manySockets  = 32
	dnsperfPorts = 8
)

func (t *trial) ask(ctx context.Context, d time.Duration) (load.Result, error) {
	s := t.Scenario
	if s.Dnsperf {
		run := load.Dnsperf{Server: t.server.Addr, Queries: t.queries, Duration: d, TCP: s.TCP, Clients: dnsperfPorts, Window: s.Window}
		return run.Run(ctx)
	}
	spec := load.Spec{Server: t.server.Addr, Mix: t.mix, Duration: d, Rate: s.Rate, Window: s.Window, TCP: s.TCP, Sleep: s.Cores > 1}
	switch {
	case s.TCP:
		spec.Sockets = connections
	case s.Cores > 1:
		spec.Sockets = manySockets
	}
	return load.Run(ctx, spec)
}

// tally is what a server told of itself at a moment.
type tally struct {
	*trial
	at      time.Time
	figures peer.Figures
	scrape  float64 // objects that it takes to tell
}

// count reads the figures of a server that has some. It does so twice, to know what that costs.
func (t *trial) count(ctx context.Context) (tally, error) {
	c := tally{trial: t}
	if !slices.Contains([]Subject{DNSReg, Quiet, Changing}, t.Subject) {
		return c, nil
	}
	first, err := t.server.Figures(ctx, false)
	if err != nil {
		return c, err
	}
	c.figures, err = t.server.Figures(ctx, false)
	c.at, c.scrape = time.Now(), c.figures[peer.Mallocs]-first[peer.Mallocs]
	return c, err
}

// until adds to a sample what has been counted since.
func (c tally) until(ctx context.Context, s *Sample, replies uint64) error {
	if c.figures == nil {
		return nil
	}
	now, err := c.server.Figures(ctx, false)
	if err != nil {
		return err
	}
	s.Allocs = max(0, now[peer.Mallocs]-c.figures[peer.Mallocs]-c.scrape) / float64(replies)
	s.Changes = (now[peer.Changes] - c.figures[peer.Changes]) / time.Since(c.at).Seconds()
	return nil
}
