package suite

import (
	"fmt"
	"slices"

	"github.com/dnsreg/dnsreg/bench/internal/stats"
)

// Verdict is how a figure compares with the bound that the project has set for it.
type Verdict struct {
	Text   string
	Figure stats.Spread // over rounds
	Unit   string       // "" for a ratio
	Bound  float64
	Doubts []string // why the figure may be off
}

// Met reports whether the median keeps to the bound.
func (v Verdict) Met() bool { return v.Figure.Median <= v.Bound }

// at names a row.
type at struct {
	scenario string
	subject  Subject
}

// gate is a bound in the making: for the ratio of processor times per query, for a figure of one row, or for a fact.
type gate struct {
	text  string
	ours  at
	base  []at                 // the best one of each round counts
	of    func(Sample) float64 // a figure of ours itself, if there is no base
	fact  string
	unit  string
	bound float64
}

// Heap after collection may reach 1.3 GiB, in MiB. No allocation per query means none, but for those of timers and of the
// collector itself.
const (
	heapBound  = 1.3 * 1024
	allocBound = 0.005
)

// gates returns every bound.
func gates() []gate {
	both := func(scenario string) []at { return []at{{scenario, Knot}, {scenario, NSD}} }
	return []gate{
		{text: "SRV: dnsreg / better of Knot and NSD", ours: at{"srv", DNSReg}, base: both("srv"), bound: 0.75},
		{text: "SRV: dnsreg / Go echo", ours: at{"srv", DNSReg}, base: []at{{"srv", Echo}}, bound: 0.9},
		{text: "SRV: dnsreg / Go batches", ours: at{"srv", DNSReg}, base: []at{{"srv", EchoBatches}}, bound: 1.15},
		{text: "NXDOMAIN, random names: dnsreg / better of Knot and NSD", ours: at{"nxdomain", DNSReg}, base: both("nxdomain"), bound: 1},
		{text: "dnsreg: with EDNS and cookie / without", ours: at{"cookie", DNSReg}, base: []at{{"srv", DNSReg}}, bound: 1.1},
		{
			text: "dnsreg: allocations per SRV query", ours: at{"srv", DNSReg},
			of: func(s Sample) float64 { return s.Allocs }, unit: "objects", bound: allocBound,
		},
		{text: "20,000 qps: dnsreg / better of Knot and NSD", ours: at{"rate-20k", DNSReg}, base: both("rate-20k"), bound: 1},
		{text: "100,000 qps: dnsreg / better of Knot and NSD", ours: at{"rate-100k", DNSReg}, base: both("rate-100k"), bound: 1},
		{text: "dnsreg: many services / 1,000 services", ours: at{"many", DNSReg}, base: []at{{"few", DNSReg}}, bound: 1.15},
		{text: "dnsreg: heap after collection, many services", fact: heapFact, unit: "MiB", bound: heapBound},
		{text: "embedded: under 1,000 changes/s / quiet", ours: at{"changes", Changing}, base: []at{{"changes", Quiet}}, bound: 1.3},
	}
}

// Gates returns how many bounds there are.
func Gates() int { return len(gates()) }

// Results is everything that was measured.
type Results struct {
	Rows  []Row
	Facts []Fact
}

// Verdicts compares what was measured with its bounds. A bound whose figures were not measured has no verdict.
func (r *Results) Verdicts() []Verdict {
	var list []Verdict
	for _, g := range gates() {
		figure, rows, ok := r.figure(g)
		if ok {
			list = append(list, Verdict{Text: g.text, Figure: figure, Unit: g.unit, Bound: g.bound, Doubts: doubts(rows)})
		}
	}
	return list
}

// figure returns what a gate bounds, and the rows that it comes from.
func (r *Results) figure(g gate) (stats.Spread, []*Row, bool) {
	if g.fact != "" {
		i := slices.IndexFunc(r.Facts, func(f Fact) bool { return f.Name == g.fact })
		if i < 0 {
			return stats.Spread{}, nil, false
		}
		return r.Facts[i].Figure, nil, true
	}
	var rows []*Row
	for _, a := range append([]at{g.ours}, g.base...) {
		row := r.find(a)
		if row == nil {
			return stats.Spread{}, nil, false
		}
		rows = append(rows, row)
	}
	if g.of != nil {
		return stats.By(rows[0].Samples, g.of), rows, true
	}
	var base [][]float64
	for _, row := range rows[1:] {
		base = append(base, row.CPU())
	}
	return stats.Ratio(rows[0].CPU(), stats.Best(base...)), rows, true
}

func (r *Results) find(a at) *Row {
	for i := range r.Rows {
		if row := &r.Rows[i]; row.Scenario.Name == a.scenario && row.Subject == a.subject {
			return row
		}
	}
	return nil
}

// Beyond these a verdict has doubts.
const (
	enoughRounds = 5
	saturated    = 0.9  // of each core
	kept         = 0.95 // of a rate
)

// doubts returns what speaks against the figures of rows.
func doubts(rows []*Row) []string {
	var list []string
	for _, row := range rows {
		if n := len(row.Samples); n < enoughRounds && len(list) == 0 {
			list = append(list, fmt.Sprintf("%d rounds", n))
		}
	}
	for _, row := range rows {
		list = append(list, row.doubts()...)
	}
	return list
}

func (r *Row) doubts() []string {
	var list []string
	add := func(doubtful bool, format string, args ...any) {
		if doubtful {
			list = append(list, fmt.Sprintf("%s (%s): ", r.Subject, r.Scenario.Name)+fmt.Sprintf(format, args...))
		}
	}
	median := func(of func(Sample) float64) float64 { return stats.By(r.Samples, of).Median }
	foreign := median(func(s Sample) float64 { return s.Foreign })
	add(foreign > noisy, "others took %.0f%% of the cores", 100*foreign)
	used := median(func(s Sample) float64 { return s.Used })
	add(r.Scenario.Saturates() && used < saturated*float64(r.Scenario.Cores), "busy for %.0f%% only", 100*used)
	qps := median(func(s Sample) float64 { return s.QPS })
	add(qps < kept*float64(r.Scenario.Rate), "answered %.0f qps", qps)
	changes := median(func(s Sample) float64 { return s.Changes })
	add(r.Subject == Changing && changes < kept*ChangeRate, "%.0f changes/s", changes)
	return list
}
