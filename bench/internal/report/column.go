package report

import (
	"fmt"

	"github.com/dnsreg/dnsreg/bench/internal/stats"
	"github.com/dnsreg/dnsreg/bench/internal/suite"
)

// column is one figure of every row.
type column struct {
	title string
	cell  func(r *suite.Row) string
}

// columns of the table of rows, in order.
func columns() []column {
	return []column{
		{"scenario", func(r *suite.Row) string { return r.Scenario.Title }},
		{"server", func(r *suite.Row) string { return string(r.Subject) }},
		{"CPU µs/query", func(r *suite.Row) string { return spread(stats.Of(r.CPU())) }},
		{"in kernel", func(r *suite.Row) string { return percent(r, func(s suite.Sample) float64 { return s.System }) }},
		{"busy", func(r *suite.Row) string { return percent(r, func(s suite.Sample) float64 { return s.Used }) }},
		{"others", func(r *suite.Row) string { return percent(r, func(s suite.Sample) float64 { return s.Foreign }) }},
		{"thousand qps", func(r *suite.Row) string {
			return spread(stats.By(r.Samples, func(s suite.Sample) float64 { return s.QPS / 1000 }))
		}},
		{"lost %", func(r *suite.Row) string {
			return spread(stats.By(r.Samples, func(s suite.Sample) float64 { return 100 * s.Loss }))
		}},
		{"latency µs p50 / p99 / p99.9", latency},
		{"reply", reply},
		{"RSS MiB", func(r *suite.Row) string {
			return fmt.Sprintf("%.0f", median(r, func(s suite.Sample) float64 { return s.Memory }))
		}},
	}
}

// spread shows a median with its range.
func spread(s stats.Spread) string {
	if s.Min == s.Max {
		return fmt.Sprintf("%.2f", s.Median)
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", s.Median, s.Min, s.Max)
}

func median(r *suite.Row, figure func(suite.Sample) float64) float64 {
	return stats.By(r.Samples, figure).Median
}

func percent(r *suite.Row, figure func(suite.Sample) float64) string {
	return fmt.Sprintf("%.0f%%", 100*median(r, figure))
}

// latency shows percentiles, each with its range over rounds.
func latency(r *suite.Row) string {
	if r.Scenario.Saturates() {
		return "–"
	}
	show := func(figure func(suite.Sample) float64) string {
		s := stats.By(r.Samples, figure)
		if s.Min == s.Max {
			return fmt.Sprintf("%.0f", s.Median)
		}
		return fmt.Sprintf("%.0f (%.0f–%.0f)", s.Median, s.Min, s.Max)
	}
	return show(func(s suite.Sample) float64 { return s.P50 }) + " / " +
		show(func(s suite.Sample) float64 { return s.P99 }) + " / " +
		show(func(s suite.Sample) float64 { return s.P999 })
}

// reply shows the records of each section and the octets of a reply.
func reply(r *suite.Row) string {
	octets := fmt.Sprintf("%.0f B", median(r, func(s suite.Sample) float64 { return s.Octets }))
	if r.Reply == "" {
		return octets
	}
	return r.Reply + ", " + octets
}
