package storebench_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// The section of the page that is written here lies between these lines. What is around them is left alone.
const (
	sectionBegin = "<!-- bench-store: begin; written by make bench-store -->\n"
	sectionEnd   = "<!-- bench-store: end -->\n"
)

// Figures, in the order of the table.
const (
	registrations  = "registrations/s, 200 callers"
	scriptCPU      = "Redis CPU per registration, the script alone"
	scriptRatio    = "… as a multiple of the bare renewal beside it"
	perScript      = "registrations that share a run of the script"
	registerCPU    = "Redis CPU per registration, with what two servers read of it"
	renewalsMany   = "renewals/s, calls of 1,000"
	renewalsOne    = "renewals/s, 200 callers, calls of one"
	renewCPU       = "Redis CPU per renewal, calls of 1,000"
	renewOneCPU    = "Redis CPU per renewal, calls of one"
	bareCPU        = "… of the bare command in turn with it, by hand in pipelines of 1,000"
	renewRatio     = "Redis CPU per renewal, calls of 1,000, as a multiple of the bare command"
	renewServerCPU = "server CPU per renewal, calls of 1,000"
	redisMemory    = "Redis memory per instance"
	serverHeap     = "server heap per instance, after GC"
	coldStart      = "cold start until ready"
	coldServer     = "… server CPU"
	coldRedis      = "… Redis CPU"
	visible        = "change → DNS of another server, p50 / p99 / max"
	gone           = "lease's end → gone on another server, p50 / p99 / max"
	idleShare      = "share of a core in Redis: poll, tick, bell of two servers"
	lookCPU        = "Redis CPU per lease the reaper looks at"
	shareReaper    = "share of a core in Redis, reaper, ttl 30 s (reckoned)"
	shareRenewals  = "share of a core in Redis, renewals every 10 s (reckoned)"
)

// aim is a figure that the store was built for: the bounds of its numbers, and those from a million instances on where
// they are others.
type aim struct {
	figure, text    string
	bounds, million []float64
}

// aims are all figures, in the order of the table.
func aims() []aim {
	return []aim{
		{figure: registrations},
		{figure: scriptCPU, text: "≤ 15 µs", bounds: []float64{15}},
		{figure: scriptRatio},
		{figure: registerCPU},
		{figure: perScript},
		{figure: renewalsMany},
		{figure: renewalsOne},
		{figure: renewCPU, text: "≤ 2 µs; 1 M: ≤ 2.5 µs", bounds: []float64{2}, million: []float64{2.5}},
		{figure: renewOneCPU},
		{figure: bareCPU},
		{figure: renewRatio},
		{figure: renewServerCPU},
		{figure: redisMemory, text: "≤ 550 B", bounds: []float64{550}},
		{figure: serverHeap, text: "≤ 600 B", bounds: []float64{600}},
		{figure: coldStart, text: "1 M: ≤ 10 s", million: []float64{10}},
		{figure: coldServer},
		{figure: coldRedis},
		{figure: visible, text: "1 / 20 / 500 ms", bounds: []float64{1, 20, 500}},
		{figure: gone, text: "p99 ≤ 600 ms", bounds: []float64{math.Inf(1), 600, math.Inf(1)}},
		{figure: idleShare},
		{figure: lookCPU},
		{figure: shareReaper},
		{figure: shareRenewals},
	}
}

// verdict says whether numbers keep to bounds, and nothing where there are none.
func verdict(bounds, values []float64) string {
	if len(bounds) == 0 {
		return ""
	}
	for i, bound := range bounds {
		if values[i] > bound {
			return ": **not met**"
		}
	}
	return ": met"
}

// report is what was measured of each subject.
type report struct {
	machine  string
	method   string
	subjects []*subject
}

// subject is a store with a number of instances.
type subject struct {
	name  string
	n     int
	cells map[string]string
}

func newReport(e extent) *report {
	load, _ := os.ReadFile("/proc/loadavg") // elsewhere it stays empty
	word, _, _ := strings.Cut(string(load), " ")
	return &report{
		machine: fmt.Sprintf("%s: %d cores of %s, shared; load at the start %s; %s.",
			time.Now().UTC().Format("2006-01-02 15:04 MST"), runtime.NumCPU(), model(), word, runtime.Version()),
		method: fmt.Sprintf("Rates and CPU of renewals: medians (least–greatest) of %d rounds of %v; %d changes beside %d renewals a second; %d leases that end.",
			e.rounds, e.each, e.changes, e.load, e.deaths),
	}
}

func model() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func (r *report) subject(store string, n int) *subject {
	size := fmt.Sprintf("%d", n)
	switch {
	case n%1_000_000 == 0:
		size = fmt.Sprintf("%d M", n/1_000_000)
	case n%1000 == 0:
		size = fmt.Sprintf("%d k", n/1000)
	}
	s := &subject{name: store + ", " + size, n: n, cells: make(map[string]string)}
	r.subjects = append(r.subjects, s)
	return s
}

func (s *subject) set(figure, format string, args ...any) {
	s.cells[figure] = fmt.Sprintf(format, args...)
}

// judge sets a figure, and says how its numbers stand to its aim.
func (s *subject) judge(figure, text string, values ...float64) {
	all := aims()
	a := all[slices.IndexFunc(all, func(a aim) bool { return a.figure == figure })]
	bounds := a.bounds
	if s.n >= 1_000_000 && a.million != nil {
		bounds = a.million
	}
	s.cells[figure] = text + verdict(bounds, values)
}

// check fails the test for a figure that no subject has, or that has no place in the table.
func (r *report) check(t testing.TB) {
	known := make(map[string]bool)
	for _, aim := range aims() {
		known[aim.figure] = true
		if !slices.ContainsFunc(r.subjects, func(s *subject) bool { return s.cells[aim.figure] != "" }) {
			t.Errorf("not measured: %s", aim.figure)
		}
	}
	for _, s := range r.subjects {
		for figure := range s.cells {
			if !known[figure] {
				t.Errorf("not in the table: %s", figure)
			}
		}
	}
}

func (r *report) rows() [][]string {
	head := []string{"figure", "aim"}
	for _, s := range r.subjects {
		head = append(head, s.name)
	}
	rows := [][]string{head}
	for _, aim := range aims() {
		row := []string{aim.figure, aim.text}
		for _, s := range r.subjects {
			row = append(row, s.cells[aim.figure])
		}
		rows = append(rows, row)
	}
	return rows
}

func (r *report) print(w io.Writer) error {
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range r.rows() {
		fmt.Fprintln(columns, strings.Join(row, "\t"))
	}
	fmt.Fprintf(columns, "%s\n%s\n", r.machine, r.method)
	return columns.Flush()
}

func (r *report) markdown() []byte {
	var text bytes.Buffer
	fmt.Fprintf(&text, "\n%s %s\n\n", r.machine, r.method)
	for i, row := range r.rows() {
		fmt.Fprintf(&text, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(&text, "|%s\n", strings.Repeat(" --- |", len(row)))
		}
	}
	text.WriteString("\n")
	return text.Bytes()
}

// save puts the table between the markers of a page.
func (r *report) save(path string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, rest, begun := bytes.Cut(page, []byte(sectionBegin))
	_, tail, ended := bytes.Cut(rest, []byte(sectionEnd))
	if !begun || !ended {
		return errors.New(path + ": the lines that mark the measured section are missing")
	}
	page = slices.Concat(head, []byte(sectionBegin), r.markdown(), []byte(sectionEnd), tail)
	return os.WriteFile(path, page, 0o644)
}

// TestVerdicts: a figure is judged by its bound, by that of a million instances where it has one, and each of several
// numbers by its own.
func TestVerdicts(t *testing.T) {
	small, large := &subject{n: 100_000, cells: make(map[string]string)}, &subject{n: 1_000_000, cells: make(map[string]string)}
	tests := []struct {
		subject *subject
		figure  string
		values  []float64
		want    string
	}{
		{small, scriptCPU, []float64{15}, "x: met"},
		{small, scriptCPU, []float64{15.1}, "x: **not met**"},
		{small, renewCPU, []float64{2.4}, "x: **not met**"},
		{large, renewCPU, []float64{2.4}, "x: met"},
		{small, coldStart, []float64{11}, "x"},
		{large, coldStart, []float64{11}, "x: **not met**"},
		{large, visible, []float64{1, 20, 500}, "x: met"},
		{large, visible, []float64{0.5, 21, 22}, "x: **not met**"},
		{small, gone, []float64{900, 600, 900}, "x: met"},
		{small, registrations, []float64{1}, "x"},
	}
	for _, tt := range tests {
		if tt.subject.judge(tt.figure, "x", tt.values...); tt.subject.cells[tt.figure] != tt.want {
			t.Errorf("%s of %d instances, %v: %q, want %q", tt.figure, tt.subject.n, tt.values, tt.subject.cells[tt.figure], tt.want)
		}
	}
}
