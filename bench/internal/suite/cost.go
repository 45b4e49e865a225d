package suite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/dnsreg/dnsreg/bench/internal/load"
	"github.com/dnsreg/dnsreg/bench/internal/peer"
	"github.com/dnsreg/dnsreg/bench/internal/proc"
	"github.com/dnsreg/dnsreg/bench/internal/stats"
	"github.com/dnsreg/dnsreg/bench/internal/subject"
	"github.com/dnsreg/dnsreg/bench/internal/zone"
)

// Fact is a figure that is not a row.
type Fact struct {
	Name   string // by which a bound finds it
	Text   string
	Figure stats.Spread
	Unit   string
}

// heapFact is the name of the fact that Heap returns.
const heapFact = "heap"

// changeRounds is how many changes one value of Changes is the mean of.
const changeRounds = 200

// Changes returns what one change of content costs in a service of each size.
func Changes(ctx context.Context, cfg Config, sizes ...int) ([]Fact, error) {
	if err := proc.Pin(cfg.Cores[0]); err != nil {
		return nil, err
	}
	var facts []Fact
	for _, n := range sizes {
		e, err := subject.NewEmbedded("127.0.0.1:0", zone.Zone{Services: 1, Instances: n})
		if err != nil {
			return facts, err
		}
		costs := make([]subject.Cost, max(cfg.Runs, 1))
		for i := range costs {
			if costs[i], err = e.ChangeCost(ctx, changeRounds); err != nil {
				return facts, err
			}
		}
		facts = append(facts, changeFacts(n, costs)...)
	}
	return facts, nil
}

func changeFacts(instances int, costs []subject.Cost) []Fact {
	fact := func(what string, of func(subject.Cost) time.Duration) Fact {
		micros := stats.By(costs, func(c subject.Cost) float64 { return float64(of(c).Nanoseconds()) / 1e3 })
		return Fact{Text: fmt.Sprintf("service of %s instances: %s", count(instances), what), Figure: micros, Unit: "µs"}
	}
	return []Fact{
		fact("one change", func(c subject.Cost) time.Duration { return c.Change }),
		fact("the first SRV answer after it, over TCP", func(c subject.Cost) time.Duration { return c.Answer }),
		fact("the same answer again", func(c subject.Cost) time.Duration { return c.Again }),
	}
}

// Heap returns the size of the embedded server's heap after a collection, once every service of a zone has been asked
// for SRV.
func Heap(ctx context.Context, cfg Config, z zone.Zone) (Fact, error) {
	server, mix, err := embedded(ctx, cfg, "heap", z)
	if err != nil {
		return Fact{}, err
	}
	defer server.Stop()
	if err := askAll(ctx, server, mix); err != nil {
		return Fact{}, err
	}
	figures, err := server.Figures(ctx, true)
	return Fact{
		Name:   heapFact,
		Text:   fmt.Sprintf("heap after collection, %s services of %d, each asked for SRV", count(z.Services), z.Instances),
		Figure: stats.Of([]float64{figures[peer.Heap] / (1 << 20)}),
		Unit:   "MiB",
	}, err
}

// embedded starts an embedded server by itself.
func embedded(ctx context.Context, cfg Config, name string, z zone.Zone) (*peer.Server, zone.Mix, error) {
	place := peer.Place{Dir: filepath.Join(cfg.Dir, name), Cores: cfg.Cores[:1]}
	if err := os.Mkdir(place.Dir, 0o700); err != nil {
		return nil, zone.Mix{}, err
	}
	mix, err := z.Mix(srv())
	if err != nil {
		return nil, mix, err
	}
	if err := proc.Pin(cfg.Cores[1]); err != nil {
		return nil, mix, err
	}
	server, err := peer.Embed(ctx, place, z, 0)
	return server, mix, err
}

// askAll asks until one run has had a reply for every name: their order is the same every time.
func askAll(ctx context.Context, server *peer.Server, mix zone.Mix) error {
	const (
		few   = 32
		again = 3 // after so many turns every name has had a reply, even if some were late
	)
	n := uint64(len(mix.Queries))
	for d := 200 * time.Millisecond; d < patience; d *= 2 {
		result, err := load.Run(ctx, load.Spec{Server: server.Addr, Mix: mix, Duration: d, Window: few})
		if err != nil {
			return err
		}
		if result.Answered >= n && result.Lost == 0 || result.Answered >= again*n {
			return nil
		}
	}
	return fmt.Errorf("ask for %d names: not all were answered in %v", n, patience)
}

// patience bounds how long asking for every name may take.
const patience = 5 * time.Minute
