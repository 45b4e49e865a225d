package suite

import (
	"fmt"
	"strings"

	"github.com/dnsreg/dnsreg/bench/internal/stats"
)

// Goal is how the processor time per query of one row is to compare with others'.
type Goal struct {
	Text  string
	Ratio stats.Spread // over rounds
	Limit float64
}

// Met reports whether the median keeps to the limit.
func (g Goal) Met() bool { return g.Ratio.Median <= g.Limit }

// at names a row.
type at struct {
	scenario string
	subject  Subject
}

// goals are the ones of the project; with several rows to compare with, the best one of each round counts.
var goals = [...]struct {
	ours  at
	base  []at
	limit float64
}{
	{at{"srv", DNSReg}, []at{{"srv", Knot}, {"srv", NSD}}, 0.75},
	{at{"srv", DNSReg}, []at{{"srv", Echo}}, 0.9},
	{at{"nxdomain", DNSReg}, []at{{"nxdomain", Knot}, {"nxdomain", NSD}}, 1},
	{at{"cookie", DNSReg}, []at{{"srv", DNSReg}}, 1.1},
	{at{"rate-20k", DNSReg}, []at{{"rate-20k", Knot}, {"rate-20k", NSD}}, 1},
	{at{"rate-100k", DNSReg}, []at{{"rate-100k", Knot}, {"rate-100k", NSD}}, 1},
	{at{"many", DNSReg}, []at{{"few", DNSReg}}, 1.15},
	{at{"changes", Changing}, []at{{"changes", Quiet}}, 1.3},
}

// Goals returns the goals whose rows were measured.
func Goals(rows []Row) []Goal {
	find := func(a at) *Row {
		for i := range rows {
			if rows[i].Scenario.Name == a.scenario && rows[i].Subject == a.subject {
				return &rows[i]
			}
		}
		return nil
	}
	var list []Goal
	for _, g := range goals {
		ours := find(g.ours)
		var base [][]float64
		var names []string
		for _, a := range g.base {
			if row := find(a); row != nil {
				base = append(base, row.CPU())
				names = append(names, string(a.subject)+" ("+a.scenario+")")
			}
		}
		if ours == nil || len(base) < len(g.base) {
			continue
		}
		list = append(list, Goal{
			Text:  fmt.Sprintf("%s (%s) / %s", g.ours.subject, g.ours.scenario, strings.Join(names, " or ")),
			Ratio: stats.Ratio(ours.CPU(), stats.Best(base...)),
			Limit: g.limit,
		})
	}
	return list
}
