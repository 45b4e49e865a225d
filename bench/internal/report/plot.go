package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"os"

	"github.com/dnsreg/dnsreg/bench/internal/stats"
	"github.com/dnsreg/dnsreg/bench/internal/suite"
)

// plotPath is where the plot lies in the folder of the documentation.
const plotPath = "img/bench-dns-cpu.svg"

// Measures of the plot, in pixels.
const (
	plotWidth = 860
	plotLeft  = 220 // of the axis, with the scenarios' names before it
	plotRight = 800
	plotTop   = 70
	barHeight = 12
	rowGap    = 14
	rowText   = 4 // from the middle of a line of text to its base
)

// colored is the subjects that are drawn, in the order of their bars.
func colored() []series {
	return []series{
		{"#0b6e99", []suite.Subject{suite.DNSReg}},
		{"#d9822b", []suite.Subject{suite.Knot, suite.KnotCookies}},
		{"#7f9f3f", []suite.Subject{suite.NSD}},
		{"#9a9a9a", []suite.Subject{suite.Echo}},
	}
}

// series is bars of one colour: those of the first of some subjects that was measured.
type series struct {
	color    string
	subjects []suite.Subject
}

// plottedInstances is how large the services may be whose bars still fit beside the others'.
const plottedInstances = 10

// plot draws the processor time per query of every server that was saturated, with the range of the samples.
func (r *Report) plot(path string) error {
	c := chart{y: plotTop}
	scenarios := r.saturated()
	var most float64
	for _, s := range scenarios {
		for _, one := range colored() {
			most = max(most, r.processor(s, one.subjects).Max)
		}
	}
	c.step = step(most)
	c.end = c.step * math.Ceil(max(most, c.step)/c.step)
	for _, s := range scenarios {
		c.row(r, s)
	}
	return os.WriteFile(path, c.document(), 0o644)
}

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

// processor returns the processor time of the first subject that was measured in a scenario, zero if none was.
func (r *Report) processor(s suite.Scenario, subjects []suite.Subject) stats.Spread {
	for _, subject := range subjects {
		for i := range r.Rows {
			if r.Rows[i].Scenario.Name == s.Name && r.Rows[i].Subject == subject {
				return stats.Of(r.Rows[i].CPU())
			}
		}
	}
	return stats.Spread{}
}

// step returns a round distance between lines, of which at most ten reach up to most.
func step(most float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(max(most, 1)))-1)
	for _, n := range []float64{1, 2, 5} {
		if most <= 10*n*unit {
			return n * unit
		}
	}
	return 10 * unit
}

// chart is a plot in the making, as SVG.
type chart struct {
	bars      bytes.Buffer
	y         float64 // where the next row begins
	step, end float64 // of the axis, in µs
}

// x returns where a value is.
func (c *chart) x(value float64) float64 { return plotLeft + (plotRight-plotLeft)*value/c.end }

// row draws a scenario's bars.
func (c *chart) row(r *Report, s suite.Scenario) {
	top := c.y
	for _, one := range colored() {
		v := r.processor(s, one.subjects)
		if v.Max == 0 {
			continue
		}
		middle := c.y + barHeight/2
		fmt.Fprintf(&c.bars, `<rect x="%d" y="%.1f" width="%.1f" height="%d" fill="%s"/>`+"\n",
			plotLeft, c.y, c.x(v.Median)-plotLeft, barHeight-1, one.color)
		fmt.Fprintf(&c.bars, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#222"/>`+"\n", c.x(v.Min), middle, c.x(v.Max), middle)
		text(&c.bars, c.x(v.Max)+rowText, middle+rowText, "start", fmt.Sprintf("%.2f", v.Median))
		c.y += barHeight
	}
	text(&c.bars, plotLeft-2*rowText, (top+c.y)/2+rowText, "end", s.Title)
	c.y += rowGap
}

// document returns the whole plot: title, legend and axis, and the bars on top of its lines.
func (c *chart) document() []byte {
	var out bytes.Buffer
	height := c.y + 3*rowGap
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%.0f" font-family="sans-serif" font-size="11">`+"\n", plotWidth, height)
	fmt.Fprintf(&out, `<rect width="%d" height="%.0f" fill="white"/>`+"\n", plotWidth, height)
	text(&out, plotLeft, 24, "start", "CPU per query of a saturated server, in µs: median and range, less is better")
	x := float64(plotLeft)
	for _, one := range colored() {
		fmt.Fprintf(&out, `<rect x="%.0f" y="38" width="%d" height="%d" fill="%s"/>`+"\n", x, barHeight, barHeight, one.color)
		text(&out, x+barHeight+rowText, 38+barHeight/2+rowText, "start", string(one.subjects[0]))
		x += plotLeft / 2
	}
	for value := 0.0; value <= c.end+c.step/2; value += c.step {
		fmt.Fprintf(&out, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%.1f" stroke="#ddd"/>`+"\n", c.x(value), plotTop-rowText, c.x(value), c.y)
		text(&out, c.x(value), c.y+rowGap, "middle", fmt.Sprintf("%.4g", value))
	}
	out.Write(c.bars.Bytes())
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// text writes a line of text that begins, ends or has its middle at x.
func text(out *bytes.Buffer, x, y float64, anchor, content string) {
	fmt.Fprintf(out, `<text x="%.1f" y="%.1f" text-anchor="%s">`, x, y, anchor)
	_ = xml.EscapeText(out, []byte(content)) // a buffer takes everything
	out.WriteString("</text>\n")
}
