// Package report shows what was measured: as text, in a page of the documentation and as a plot.
package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/dnsreg/dnsreg/bench/internal/suite"
)

// Report is everything that was measured.
type Report struct {
	suite.Results
	Machine string // kind and state, one line
	Method  string // runs and their length, one line
	Profile string // where the time goes, several lines; "" for not known
}

// Print writes everything as text, the verdict last, where a terminal shows it.
func (r *Report) Print(w io.Writer) error {
	for _, t := range []table{r.measured(), r.facts()} {
		if err := t.print(w); err != nil {
			return err
		}
	}
	if r.Profile != "" {
		fmt.Fprintf(w, "%s\n%s\n", profileTitle, r.Profile)
	}
	if _, err := fmt.Fprintf(w, "%s\n%s\n\n", r.Machine, r.Method); err != nil {
		return err
	}
	return r.verdicts().print(w)
}

// print writes the table in columns, nothing if it has no rows.
func (t table) print(w io.Writer) error {
	if len(t.rows) == 0 {
		return nil
	}
	fmt.Fprintln(w, t.title)
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{t.head}, t.rows...) {
		for _, cell := range row {
			fmt.Fprint(columns, cell, "\t")
		}
		fmt.Fprintln(columns)
	}
	fmt.Fprintln(columns)
	return columns.Flush()
}

// profileTitle is what the profile is called.
const profileTitle = "Where the time goes"

// table is one table in cells.
type table struct {
	title string
	head  []string
	rows  [][]string
}

// tables returns the tables of the page that have rows, the verdict first.
func (r *Report) tables() []table {
	all := []table{r.verdicts(), r.measured(), r.facts()}
	var list []table
	for _, t := range all {
		if len(t.rows) > 0 {
			list = append(list, t)
		}
	}
	return list
}

func (r *Report) measured() table {
	t := table{title: "Every figure"}
	for _, c := range columns() {
		t.head = append(t.head, c.title)
	}
	for i := range r.Rows {
		var cells []string
		for _, c := range columns() {
			cells = append(cells, c.cell(&r.Rows[i]))
		}
		t.rows = append(t.rows, cells)
	}
	return t
}

// verdicts compares with the bounds.
func (r *Report) verdicts() table {
	t := table{title: "Verdict", head: []string{"gate", "median (min–max)", "bound", "verdict", "doubts"}}
	for _, v := range r.Verdicts() {
		verdict := "NOT MET"
		if v.Met() {
			verdict = "met"
		}
		bound := strings.TrimSpace(fmt.Sprintf("≤ %.4g %s", v.Bound, v.Unit))
		t.rows = append(t.rows, []string{v.Text, spread(v.Figure), bound, verdict, strings.Join(v.Doubts, "; ")})
	}
	return t
}

func (r *Report) facts() table {
	t := table{title: "Memory and changes", head: []string{"figure", "median (min–max)"}}
	for _, f := range r.Facts {
		t.rows = append(t.rows, []string{f.Text, spread(f.Figure) + " " + f.Unit})
	}
	return t
}
