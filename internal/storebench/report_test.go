package storebench_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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
	registerCPU    = "Redis CPU per registration, with what two servers read of it"
	renewalsMany   = "renewals/s, calls of 1,000"
	renewalsOne    = "renewals/s, 200 callers, calls of one"
	renewCPU       = "Redis CPU per renewal, calls of 1,000"
	renewOneCPU    = "Redis CPU per renewal, calls of one"
	bareCPU        = "… of the bare command, by hand in pipelines of 1,000"
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

// aims are the figures that the store was built for, in the order of the table.
func aims() [][2]string {
	return [][2]string{
		{registrations, ""},
		{scriptCPU, "≤ 15 µs"},
		{registerCPU, ""},
		{renewalsMany, ""},
		{renewalsOne, ""},
		{renewCPU, "≤ 2 µs; 1 M: ≤ 2.5 µs"},
		{renewOneCPU, ""},
		{bareCPU, ""},
		{renewServerCPU, ""},
		{redisMemory, "≤ 550 B"},
		{serverHeap, "≤ 600 B"},
		{coldStart, "1 M: ≤ 10 s"},
		{coldServer, ""},
		{coldRedis, ""},
		{visible, "1 / 20 / 500 ms"},
		{gone, "p99 ≤ 600 ms"},
		{idleShare, ""},
		{lookCPU, ""},
		{shareReaper, ""},
		{shareRenewals, ""},
	}
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
	s := &subject{name: store + ", " + size, cells: make(map[string]string)}
	r.subjects = append(r.subjects, s)
	return s
}

func (s *subject) set(figure, format string, args ...any) {
	s.cells[figure] = fmt.Sprintf(format, args...)
}

// check fails the test for a figure that no subject has, or that has no place in the table.
func (r *report) check(t testing.TB) {
	known := make(map[string]bool)
	for _, aim := range aims() {
		known[aim[0]] = true
		if !slices.ContainsFunc(r.subjects, func(s *subject) bool { return s.cells[aim[0]] != "" }) {
			t.Errorf("not measured: %s", aim[0])
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
		row := aim[:]
		for _, s := range r.subjects {
			row = append(row, s.cells[aim[0]])
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
