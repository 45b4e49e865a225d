package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dnsreg/dnsreg/bench/internal/report"
	"github.com/dnsreg/dnsreg/bench/internal/stats"
	"github.com/dnsreg/dnsreg/bench/internal/suite"
	"github.com/dnsreg/dnsreg/bench/internal/zone"
)

func scenario(name string, rate int) suite.Scenario {
	return suite.Scenario{
		Cores: 1, Name: name, Title: "title of " + name, Query: zone.Query{Kind: zone.SRV}, Rate: rate,
		Subjects: []suite.Subject{suite.DNSReg, suite.Knot, suite.NSD},
	}
}

func row(s suite.Scenario, subject suite.Subject, cpu ...float64) suite.Row {
	r := suite.Row{Scenario: s, Subject: subject, Reply: "5/0/5"}
	for _, us := range cpu {
		r.Samples = append(r.Samples, suite.Sample{
			CPU: us, System: 0.5, Used: 0.999, QPS: 1e6 / us, Octets: 343, Memory: 12.4, Foreign: 0.01, P50: 10, P99: 20, P999: 30,
		})
	}
	return r
}

func full() *report.Report {
	srv, rate := scenario("srv", 0), scenario("rate-20k", 20_000)
	return &report.Report{
		Results: suite.Results{
			Rows: []suite.Row{
				row(srv, suite.DNSReg, 2, 1, 3), row(srv, suite.Knot, 4, 4, 4), row(srv, suite.NSD, 5, 5, 5),
				row(rate, suite.DNSReg, 8),
			},
			Facts: []suite.Fact{{Text: "one change", Figure: stats.Of([]float64{3, 4, 5}), Unit: "µs"}},
		},
		Machine: "a machine", Method: "a method", Profile: "Duration: 5s\n  flat\n",
	}
}

func TestPrint(t *testing.T) {
	var out bytes.Buffer
	if err := full().Print(&out); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"Every figure",
		"scenario server CPU µs/query in kernel busy others thousand qps lost % latency µs p50 / p99 / p99.9 reply RSS MiB",
		"title of srv dnsreg 2.00 (1.00–3.00) 50% 100% 1% 500.00 (333.33–1000.00) 0.00 – 5/0/5, 343 B 12",
		"title of srv Knot 4.00 50% 100% 1% 250.00 0.00 – 5/0/5, 343 B 12",
		"title of srv NSD 5.00 50% 100% 1% 200.00 0.00 – 5/0/5, 343 B 12",
		"title of rate-20k dnsreg 8.00 50% 100% 1% 125.00 0.00 10 / 20 / 30 5/0/5, 343 B 12",
		"",
		"Memory and changes",
		"figure median (min–max)",
		"one change 4.00 (3.00–5.00) µs",
		"",
		"Where the time goes",
		"Duration: 5s",
		"flat",
		"",
		"a machine",
		"a method",
		"",
		"Verdict",
		"gate median (min–max) bound verdict doubts",
		"SRV: dnsreg / better of Knot and NSD 0.50 (0.25–0.75) ≤ 0.75 met 3 rounds",
		"dnsreg: allocations per SRV query 0.00 ≤ 0.005 objects met 3 rounds",
		"",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPrintUnmetGoal(t *testing.T) {
	srv := scenario("srv", 0)
	r := report.Report{Results: suite.Results{Rows: []suite.Row{row(srv, suite.DNSReg, 9), row(srv, suite.Echo, 9)}}}
	var out bytes.Buffer
	if err := r.Print(&out); err != nil || !strings.Contains(out.String(), "NOT MET") {
		t.Errorf("error %v, printed\n%s", err, out.String())
	}
}

// broken takes nothing.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestPrintReportsErrors(t *testing.T) {
	if err := full().Print(broken{}); err == nil {
		t.Error("no error")
	}
}

func TestSaveReplacesItsSectionOnly(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "performance.md")
	const head, tail = "# Mine\n\nbefore\n", "after\n"
	if err := os.WriteFile(path, []byte(head+report.Begin+"old\n"+report.End+tail), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := full().Save(dir); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	if !strings.HasPrefix(text, head+report.Begin) || !strings.HasSuffix(text, report.End+tail) || strings.Contains(text, "old\n") {
		t.Errorf("page:\n%s", text)
	}
	for _, want := range []string{
		"\na machine\n\na method\n", "](img/bench-dns-cpu.svg)\n", "\n### Verdict\n\n| gate |",
		"| SRV: dnsreg / better of Knot and NSD | 0.50 (0.25–0.75) | ≤ 0.75 | met | 3 rounds |\n",
		"| figure | median (min–max) |\n| --- | --- |\n| one change | 4.00 (3.00–5.00) µs |\n",
		"\n### Where the time goes\n\n```\nDuration: 5s\n  flat\n```\n",
	} {
		if strings.Count(text, want) != 1 {
			t.Errorf("the page does not have once: %s", want)
		}
	}
}

func TestSaveMakesThePage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "docs")
	if err := full().Save(dir); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "performance.md"))
	if err != nil || !bytes.HasPrefix(page, []byte("# Performance\n\n"+report.Begin)) {
		t.Errorf("error %v, page:\n%s", err, page)
	}
	checkPlot(t, filepath.Join(dir, "img", "bench-dns-cpu.svg"))
}

// checkPlot reads the plot as XML and looks for what must be written in it.
func checkPlot(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	words := make(map[string]bool)
	decoder := xml.NewDecoder(f)
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := token.(xml.CharData); ok {
			words[strings.TrimSpace(string(text))] = true
		}
	}
	for _, want := range []string{"title of srv", "dnsreg", "Knot", "NSD", "CPU per query of a saturated server, in µs: median and range, less is better", "2.00", "4.00", "5.00"} {
		if !words[want] {
			t.Errorf("the plot does not have %q", want)
		}
	}
	if words["title of rate-20k"] {
		t.Error("the plot has a server that was not saturated")
	}
}

func TestStep(t *testing.T) {
	for most, want := range map[float64]float64{0: 0.1, 0.9: 0.1, 1: 0.1, 1.5: 0.2, 4.9: 0.5, 9: 1, 10: 1, 23: 5, 460: 50} {
		if got := report.Step(most); got != want {
			t.Errorf("Step(%v) = %v, want %v", most, got, want)
		}
	}
}

func TestSplice(t *testing.T) {
	for _, in := range []string{"", "no marks", report.Begin, report.End, report.End + report.Begin} {
		if got, err := report.Splice([]byte(in), []byte("x")); err == nil {
			t.Errorf("Splice(%q) = %q, want an error", in, got)
		}
	}
}
