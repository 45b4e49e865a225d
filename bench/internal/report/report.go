// Package report shows what was measured: as text, in a page of the documentation and as a plot.
package report

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/dnsreg/dnsreg/bench/internal/stats"
	"github.com/dnsreg/dnsreg/bench/internal/suite"
)

// Report is everything that was measured.
type Report struct {
	rows   []suite.Row
	config suite.Config
}

// New returns a report.
func New(rows []suite.Row, cfg suite.Config) *Report {
	return &Report{rows: rows, config: cfg}
}

// columns of the table, in order.
var columns = [...]struct {
	title string
	cell  func(r *suite.Row) string
}{
	{"scenario", func(r *suite.Row) string { return r.Scenario.Title }},
	{"server", func(r *suite.Row) string { return string(r.Subject) }},
	{"CPU µs/query", cpu},
	{"in kernel", func(r *suite.Row) string { return percent(r, func(s suite.Sample) float64 { return s.System }) }},
	{"of a core", func(r *suite.Row) string { return percent(r, func(s suite.Sample) float64 { return s.Used }) }},
	{"qps", qps},
	{"lost", func(r *suite.Row) string { return loss(r) }},
	{"latency µs p50/p99/p99.9", latency},
	{"reply", reply},
	{"MiB", func(r *suite.Row) string {
		return fmt.Sprintf("%.0f", median(r, func(s suite.Sample) float64 { return s.Memory }))
	}},
}

// Print writes the table and the goals as text.
func (r *Report) Print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range columns {
		fmt.Fprint(table, c.title, "\t")
	}
	fmt.Fprintln(table)
	for i := range r.rows {
		for _, c := range columns {
			fmt.Fprint(table, c.cell(&r.rows[i]), "\t")
		}
		fmt.Fprintln(table)
	}
	fmt.Fprintln(table)
	for _, g := range suite.Goals(r.rows) {
		fmt.Fprintf(table, "%s\t%s\tgoal %.2f\t%s\n", g.Text, ratio(g.Ratio), g.Limit, verdict(g))
	}
	return table.Flush()
}

func verdict(g suite.Goal) string {
	if g.Met() {
		return "met"
	}
	return "not met"
}

func ratio(s stats.Spread) string {
	return fmt.Sprintf("%.2f (%.2f–%.2f)", s.Median, s.Min, s.Max)
}

func median(r *suite.Row, figure func(suite.Sample) float64) float64 {
	return stats.By(r.Samples, figure).Median
}

func cpu(r *suite.Row) string {
	return ratio(stats.Of(r.CPU()))
}

func percent(r *suite.Row, figure func(suite.Sample) float64) string {
	return fmt.Sprintf("%.0f%%", 100*median(r, figure))
}

func qps(r *suite.Row) string {
	s := stats.By(r.Samples, func(s suite.Sample) float64 { return s.QPS / 1000 })
	return fmt.Sprintf("%.1fk (%.1f–%.1f)", s.Median, s.Min, s.Max)
}

func loss(r *suite.Row) string {
	s := stats.By(r.Samples, func(s suite.Sample) float64 { return 100 * s.Loss })
	return fmt.Sprintf("%.2f%% (≤ %.2f)", s.Median, s.Max)
}

func latency(r *suite.Row) string {
	if r.Scenario.Rate == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f/%.0f/%.0f",
		median(r, func(s suite.Sample) float64 { return s.P50 }),
		median(r, func(s suite.Sample) float64 { return s.P99 }),
		median(r, func(s suite.Sample) float64 { return s.P999 }))
}

// reply shows the records of each section and the octets of a reply.
func reply(r *suite.Row) string {
	octets := fmt.Sprintf("%.0f B", median(r, func(s suite.Sample) float64 { return s.Octets }))
	if r.Reply == "" {
		return octets
	}
	return r.Reply + ", " + octets
}
