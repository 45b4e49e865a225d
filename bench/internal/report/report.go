// Package report shows what was measured: as text, in a page of the documentation and as a plot.
package report

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/dnsreg/dnsreg/bench/internal/suite"
)

// Report is everything that was measured.
type Report struct {
	Rows    []suite.Row
	Facts   []suite.Fact
	Machine string // kind and state, one line
	Method  string // runs and their length, one line
}

// Print writes the tables as text.
func (r *Report) Print(w io.Writer) error {
	for _, t := range r.tables() {
		columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, row := range append([][]string{t.head}, t.rows...) {
			for _, cell := range row {
				fmt.Fprint(columns, cell, "\t")
			}
			fmt.Fprintln(columns)
		}
		fmt.Fprintln(columns)
		if err := columns.Flush(); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%s\n%s\n", r.Machine, r.Method)
	return err
}

// table is one table in cells.
type table struct {
	head []string
	rows [][]string
}

// tables returns the tables that have rows.
func (r *Report) tables() []table {
	all := []table{r.measured(), r.goals(), r.facts()}
	var list []table
	for _, t := range all {
		if len(t.rows) > 0 {
			list = append(list, t)
		}
	}
	return list
}

func (r *Report) measured() table {
	var t table
	for _, c := range columns {
		t.head = append(t.head, c.title)
	}
	for i := range r.Rows {
		cells := make([]string, len(columns))
		for j, c := range columns {
			cells[j] = c.cell(&r.Rows[i])
		}
		t.rows = append(t.rows, cells)
	}
	return t
}

func (r *Report) goals() table {
	t := table{head: []string{"CPU per query, ratio", "median (min–max)", "goal", ""}}
	for _, g := range suite.Goals(r.Rows) {
		verdict := "not met"
		if g.Met() {
			verdict = "met"
		}
		t.rows = append(t.rows, []string{g.Text, spread(g.Ratio), fmt.Sprintf("≤ %.2f", g.Limit), verdict})
	}
	return t
}

func (r *Report) facts() table {
	t := table{head: []string{"figure", "value"}}
	for _, f := range r.Facts {
		t.rows = append(t.rows, []string{f.Text, f.Value})
	}
	return t
}
