package report

import (
	"image/color"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/dnsreg/dnsreg/bench/internal/stats"
	"github.com/dnsreg/dnsreg/bench/internal/suite"
)

// plotPath is where the plot lies in the folder of the documentation.
const plotPath = "img/bench-dns-cpu.svg"

const (
	barWidth  = vg.Length(9)
	rowHeight = 1.6 * vg.Centimeter
)

// plot draws the processor time per query of every subject that stands for a server in every saturated scenario, with the
// range of the samples.
func (r *Report) plot(path string) error {
	p := plot.New()
	p.Title.Text = "CPU per query, server saturated"
	p.X.Label.Text = "µs, less is better"
	p.X.Min = 0
	p.Legend.Top = true
	p.Add(plotter.NewGrid())
	scenarios := r.saturated()
	subjects := r.subjects(scenarios)
	for i, subject := range subjects {
		if err := r.draw(p, subject, scenarios, float64(len(subjects)-1)/2-float64(i)); err != nil {
			return err
		}
	}
	names := make([]string, len(scenarios))
	for i, s := range scenarios {
		names[len(names)-1-i] = s.Title
	}
	p.NominalY(names...)
	return p.Save(18*vg.Centimeter, 3*vg.Centimeter+rowHeight*vg.Length(len(scenarios)), path)
}

// draw adds the bars of one subject, each so many widths above the middle of its scenario, the first scenario on top.
func (r *Report) draw(p *plot.Plot, subject suite.Subject, scenarios []suite.Scenario, above float64) error {
	values := make(plotter.Values, len(scenarios))
	spreads := make(ranges, len(scenarios))
	for i, s := range scenarios {
		found := r.processor(s, subject)
		values[len(values)-1-i], spreads[len(values)-1-i] = found.Median, found
	}
	bars, err := plotter.NewBarChart(values, barWidth)
	if err != nil {
		return err
	}
	bars.Horizontal = true
	bars.LineStyle.Width = 0
	bars.Color = plotutil.Color(slices.Index(colored(), subject))
	bars.Offset = vg.Length(above) * barWidth
	p.Add(bars, offsetRanges{spreads, bars.Offset})
	p.Legend.Add(string(subject), bars)
	return nil
}

// ranges are from the least to the greatest value of each bar, zero for none.
type ranges []stats.Spread

// offsetRanges draws ranges as lines, so far above the middle.
type offsetRanges struct {
	ranges
	offset vg.Length
}

// Plot draws a line for each range (plot.Plotter).
func (r offsetRanges) Plot(c draw.Canvas, p *plot.Plot) {
	toX, toY := p.Transforms(&c)
	style := draw.LineStyle{Color: color.Black, Width: vg.Points(0.75)}
	for i, s := range r.ranges {
		y := toY(float64(i)) + r.offset
		c.StrokeLine2(style, toX(s.Min), y, toX(s.Max), y)
	}
}

// DataRange makes room for the greatest value (plot.DataRanger).
func (r offsetRanges) DataRange() (xmin, xmax, ymin, ymax float64) {
	for _, s := range r.ranges {
		xmax = max(xmax, s.Max)
	}
	return 0, xmax, 0, float64(len(r.ranges) - 1)
}

// colored is the subjects that are drawn, in the order of their colours.
func colored() []suite.Subject {
	return []suite.Subject{suite.DNSReg, suite.Knot, suite.NSD, suite.Echo, suite.KnotCookies}
}

// plottedInstances is how large the services may be whose bars still fit beside the others'.
const plottedInstances = 10

// saturated returns the scenarios with bars.
func (r *Report) saturated() []suite.Scenario {
	var list []suite.Scenario
	for _, row := range r.Rows {
		if row.Subject == suite.DNSReg && row.Scenario.Saturates() && row.Scenario.Zone.Instances <= plottedInstances {
			list = append(list, row.Scenario)
		}
	}
	return list
}

// subjects returns the colored ones that any of the scenarios has.
func (r *Report) subjects(scenarios []suite.Scenario) []suite.Subject {
	return slices.DeleteFunc(colored(), func(subject suite.Subject) bool {
		return !slices.ContainsFunc(scenarios, func(s suite.Scenario) bool { return slices.Contains(s.Subjects, subject) })
	})
}

// processor returns the processor time of a row, zero if there is no such row.
func (r *Report) processor(s suite.Scenario, subject suite.Subject) stats.Spread {
	for i := range r.Rows {
		if r.Rows[i].Scenario.Name == s.Name && r.Rows[i].Subject == subject {
			return stats.Of(r.Rows[i].CPU())
		}
	}
	return stats.Spread{}
}
