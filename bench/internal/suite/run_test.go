package suite_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/bench/internal/load"
	"github.com/dnsreg/dnsreg/bench/internal/proc"
	"github.com/dnsreg/dnsreg/bench/internal/suite"
	"github.com/dnsreg/dnsreg/bench/internal/zone"
)

// config is for so many short rounds on the cores that the tests may use.
func config(t *testing.T, runs int) suite.Config {
	t.Helper()
	cores, err := proc.Cores()
	if err != nil || len(cores) < 2 {
		t.Fatalf("cores %v, error %v; two are needed", cores, err)
	}
	t.Cleanup(func() {
		if err := proc.Pin(cores...); err != nil {
			t.Error(err)
		}
	})
	return suite.Config{
		Dir: t.TempDir(), Cores: [2]int(cores[:2]), Runs: runs, Duration: 50 * time.Millisecond, Noisy: true,
		Logger: slog.New(slog.DiscardHandler),
	}
}

// TestRun measures a small zone for a moment with every subject but dnsreg's binary, in all forms of load.
func TestRun(t *testing.T) {
	z := zone.Zone{Services: 20, Instances: 3}
	base := suite.Scenario{Group: "g", Zone: z, Query: zone.Query{Kind: zone.SRV, EDNS: true}, Cores: 1, Window: 100}
	form := func(name string, set func(*suite.Scenario)) suite.Scenario {
		s := base
		s.Name = name
		set(&s)
		return s
	}
	list := []suite.Scenario{
		form("udp", func(s *suite.Scenario) {
			s.Subjects = []suite.Subject{suite.Knot, suite.NSD, suite.Echo, suite.EchoBatches, suite.Quiet, suite.Changing}
		}),
		form("cookie", func(s *suite.Scenario) { s.Cookies, s.Subjects = true, []suite.Subject{suite.KnotCookies} }),
		form("rate", func(s *suite.Scenario) { s.Rate, s.Subjects = 500, []suite.Subject{suite.Quiet} }),
		form("tcp", func(s *suite.Scenario) { s.TCP, s.Subjects = true, []suite.Subject{suite.Quiet} }),
		form("dnsperf", func(s *suite.Scenario) { s.Dnsperf, s.Subjects = true, []suite.Subject{suite.Quiet} }),
		form("two", func(s *suite.Scenario) { s.Group, s.Cores, s.Subjects = "two", 2, []suite.Subject{suite.Quiet} }),
	}
	rows, err := suite.Run(t.Context(), config(t, 2), list)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 11 {
		t.Fatalf("%d rows, want 11", len(rows))
	}
	for _, r := range rows {
		checkRow(t, &r)
	}
}

func checkRow(t *testing.T, r *suite.Row) {
	if len(r.Samples) != 2 {
		t.Errorf("%s, %s: %d samples, want 2", r.Scenario.Name, r.Subject, len(r.Samples))
	}
	for _, s := range r.Samples {
		if (s.Changes > 0) != (r.Subject == suite.Changing) {
			t.Errorf("%s, %s: %v changes a second", r.Scenario.Name, r.Subject, s.Changes)
		}
		if s.CPU <= 0 || s.QPS <= 0 || s.Octets <= 12 || s.Memory <= 0 {
			t.Errorf("%s, %s: %+v", r.Scenario.Name, r.Subject, s)
		}
		if (s.P50 > 0) != (r.Scenario.Rate > 0) {
			t.Errorf("%s, %s: latency %v at a rate of %d", r.Scenario.Name, r.Subject, s.P50, r.Scenario.Rate)
		}
	}
	if echo := r.Subject == suite.Echo || r.Subject == suite.EchoBatches; echo == strings.HasPrefix(r.Reply, "3/") {
		t.Errorf("%s, %s: reply %q", r.Scenario.Name, r.Subject, r.Reply)
	}
}

func TestRunNamesWhatFailed(t *testing.T) {
	s := suite.Scenario{Name: "srv", Group: "core", Zone: zone.Zone{Services: 1, Instances: 1}, Cores: 1, Subjects: []suite.Subject{"BIND"}}
	other := suite.Scenario{
		Name: "echo", Group: "two", Zone: s.Zone, Query: zone.Query{Kind: zone.SRV}, Window: 10, Cores: 1, Subjects: []suite.Subject{suite.Echo},
	}
	rows, err := suite.Run(t.Context(), config(t, 1), []suite.Scenario{s, other})
	if len(rows) != 1 || rows[0].Subject != suite.Echo {
		t.Errorf("rows %+v of the group after the one that failed", rows)
	}
	if err == nil || !strings.Contains(err.Error(), `group core: srv, BIND: unknown subject "BIND"`) {
		t.Errorf("error %v", err)
	}
}

// TestCheckOfReplies: a sample counts only with the replies that were expected.
func TestCheckOfReplies(t *testing.T) {
	for _, test := range []struct {
		name string
		in   load.Result
		want string
	}{
		{"good", load.Result{Sent: 10, Answered: 5, Late: 5}, ""},
		{"few bad", load.Result{Sent: 2001, Answered: 2000, Bad: 1}, ""},
		{"bad", load.Result{Sent: 2003, Answered: 2000, Bad: 3}, "3 another"},
		{"silent", load.Result{Sent: 10}, "no reply"},
		{"all bad", load.Result{Sent: 10, Bad: 10}, "10 another"},
	} {
		err := suite.Check(test.in)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
	}
}

func TestChanges(t *testing.T) {
	facts, err := suite.Changes(t.Context(), config(t, 2), 1, 20)
	if err != nil || len(facts) != 6 {
		t.Fatalf("facts %v, error %v", facts, err)
	}
	for _, f := range facts {
		if f.Unit != "µs" || f.Figure.Min <= 0 || f.Figure.Max > 100_000 {
			t.Errorf("fact %+v", f)
		}
	}
	if !strings.HasPrefix(facts[3].Text, "service of 20 instances: one change") {
		t.Errorf("fact %+v", facts[3])
	}
}

func TestHeap(t *testing.T) {
	fact, err := suite.Heap(t.Context(), config(t, 1), zone.Zone{Services: 1500, Instances: 10})
	if err != nil {
		t.Fatal(err)
	}
	if fact.Name != "heap" || fact.Unit != "MiB" || fact.Figure.Median < 5 || fact.Figure.Median > 500 {
		t.Errorf("fact %+v", fact)
	}
}

func TestProfileTable(t *testing.T) {
	const shown = "Duration: 5s, Total samples = 4.9s (98%)\n      flat  flat%\n     3.00s 61.22%\n"
	if got := suite.Table("File: bench\nType: cpu\n" + shown); got != shown {
		t.Errorf("got %q, want %q", got, shown)
	}
}
