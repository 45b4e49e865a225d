package suite_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dnsreg/dnsreg/bench/internal/stats"
	"github.com/dnsreg/dnsreg/bench/internal/suite"
)

// row returns a row with the given processor times, of a server that nothing disturbed.
func row(scenario string, subject suite.Subject, cpu ...float64) suite.Row {
	r := suite.Row{Scenario: suite.Scenario{Name: scenario, Cores: 1}, Subject: subject}
	for _, us := range cpu {
		r.Samples = append(r.Samples, suite.Sample{CPU: us, Used: 1, Changes: suite.ChangeRate})
	}
	return r
}

func TestVerdicts(t *testing.T) {
	results := suite.Results{
		Rows: []suite.Row{
			row("srv", suite.DNSReg, 2, 3, 4, 3, 3), row("srv", suite.Knot, 4, 4, 4, 4, 4), row("srv", suite.NSD, 5, 3, 5, 5, 5),
			row("nxdomain", suite.DNSReg, 1), row("nxdomain", suite.Knot, 2), // NSD is missing
			row("cookie", suite.DNSReg, 3, 3, 6, 3, 3),
		},
		Facts: []suite.Fact{{Name: "other"}, {Name: "heap", Figure: stats.Of([]float64{1400})}},
	}
	var got []string
	for _, v := range results.Verdicts() {
		got = append(got, fmt.Sprintf("%s: %.2f (%.2f-%.2f) of %.4g, %t", v.Text, v.Figure.Median, v.Figure.Min, v.Figure.Max, v.Bound, v.Met()))
		if len(v.Doubts) > 0 {
			t.Errorf("%s: doubts %q", v.Text, v.Doubts)
		}
	}
	want := []string{
		"SRV: dnsreg / better of Knot and NSD: 0.75 (0.50-1.00) of 0.75, true",
		"dnsreg: with EDNS and cookie / without: 1.00 (1.00-1.50) of 1.1, true",
		"dnsreg: allocations per SRV query: 0.00 (0.00-0.00) of 0.005, true",
		"dnsreg: heap after collection, many services: 1400.00 (1400.00-1400.00) of 1331, false",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestEveryBoundHasItsRows: no name of a scenario or subject in the bounds is misspelt.
func TestEveryBoundHasItsRows(t *testing.T) {
	results := suite.Results{Facts: []suite.Fact{{Name: "heap"}}}
	for _, s := range suite.All(100_000) {
		for _, subject := range s.Subjects {
			results.Rows = append(results.Rows, row(s.Name, subject, 1))
		}
	}
	if got := len(results.Verdicts()); got != suite.Gates() || got < 10 {
		t.Errorf("with everything measured there are %d verdicts of %d", got, suite.Gates())
	}
}

func TestDoubts(t *testing.T) {
	for _, test := range []struct {
		name string
		set  func(*suite.Row)
		want string
	}{
		{"none", func(*suite.Row) {}, ""},
		{"rounds", func(r *suite.Row) { r.Samples = r.Samples[:4] }, "4 rounds"},
		{"others", func(r *suite.Row) { each(r, func(s *suite.Sample) { s.Foreign = 0.3 }) }, "embedded, changing (changes): others took 30% of the cores"},
		{"idle", func(r *suite.Row) { each(r, func(s *suite.Sample) { s.Used = 0.8 }) }, "embedded, changing (changes): busy for 80% only"},
		{"idle at a rate", func(r *suite.Row) {
			r.Scenario.Rate = 1000
			each(r, func(s *suite.Sample) { s.Used, s.QPS = 0.1, 1000 })
		}, ""},
		{"slow at a rate", func(r *suite.Row) {
			r.Scenario.Rate = 1000
			each(r, func(s *suite.Sample) { s.QPS = 900 })
		}, "embedded, changing (changes): answered 900 qps"},
		{"one core of two", func(r *suite.Row) { r.Scenario.Cores = 2 }, "embedded, changing (changes): busy for 100% only"},
		{"changes", func(r *suite.Row) { each(r, func(s *suite.Sample) { s.Changes = 500 }) }, "embedded, changing (changes): 500 changes/s"},
	} {
		changing := row("changes", suite.Changing, 1, 1, 1, 1, 1)
		test.set(&changing)
		results := suite.Results{Rows: []suite.Row{changing, row("changes", suite.Quiet, 1, 1, 1, 1, 1)}}
		verdicts := results.Verdicts()
		if len(verdicts) != 1 || strings.Join(verdicts[0].Doubts, "; ") != test.want {
			t.Errorf("%s: %+v, want the doubt %q", test.name, verdicts, test.want)
		}
	}
}

func each(r *suite.Row, set func(*suite.Sample)) {
	for i := range r.Samples {
		set(&r.Samples[i])
	}
}
