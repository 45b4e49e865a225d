package suite_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/bench/internal/load"
	"github.com/dnsreg/dnsreg/bench/internal/subject"
	"github.com/dnsreg/dnsreg/bench/internal/suite"
	"github.com/dnsreg/dnsreg/bench/internal/zone"
)

// TestMain makes this program the child that a suite starts it as.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		if err := subject.Run(context.Background(), os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestScenariosAreSound(t *testing.T) {
	names := make(map[string]bool)
	for _, s := range suite.All(100_000) {
		if names[s.Name] || s.Name == "" || s.Title == "" || s.Group == "" || len(s.Subjects) == 0 {
			t.Errorf("scenario %+v", s)
		}
		names[s.Name] = true
		if err := s.Zone.Validate(); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		if s.Cores < 1 || s.Cores > 2 || s.Window < 1 {
			t.Errorf("%s: %d cores, window %d", s.Name, s.Cores, s.Window)
		}
		if s.Cookies && !s.Query.EDNS {
			t.Errorf("%s: cookies without EDNS", s.Name)
		}
	}
}

func names(list []suite.Scenario) string {
	var all []string
	for _, s := range list {
		all = append(all, s.Name)
	}
	return strings.Join(all, " ")
}

func TestSelect(t *testing.T) {
	all := suite.All(100_000)
	for _, test := range []struct{ in, want string }{
		{"", names(all)},
		{"srv", "srv"},
		{"two", "two-udp two-tcp"},
		{"few,srv", "srv few"},
		{"growth,many", "few many"},
	} {
		var only []string
		if test.in != "" {
			only = strings.Split(test.in, ",")
		}
		got, err := suite.Select(all, only)
		if err != nil || names(got) != test.want {
			t.Errorf("Select(%s) = %s, %v, want %s", test.in, names(got), err, test.want)
		}
	}
	if _, err := suite.Select(all, []string{"srv", "nonsense"}); err == nil || !strings.Contains(err.Error(), "growth: few many") {
		t.Errorf("an unknown name: error %v", err)
	}
}

func TestGroups(t *testing.T) {
	var got []string
	for _, group := range suite.Groups(suite.All(100_000)) {
		got = append(got, group[0].Group)
	}
	if want := []string{"core", "two", "sizes", "growth", "changes"}; !slices.Equal(got, want) {
		t.Errorf("groups %v, want %v", got, want)
	}
}

func TestCount(t *testing.T) {
	for in, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 100_000: "100,000", 1_002_003: "1,002,003"} {
		if got := suite.Count(in); got != want {
			t.Errorf("Count(%d) = %s, want %s", in, got, want)
		}
	}
}

func TestFigures(t *testing.T) {
	latency := hdrhistogram.New(1, 1_000_000_000, 3)
	for range 100 {
		if err := latency.RecordValue(50_000); err != nil {
			t.Fatal(err)
		}
	}
	result := load.Result{Sent: 1000, Answered: 850, Late: 50, Lost: 150, Octets: 90_000, Elapsed: time.Second, Latency: latency}
	got := suite.Figures(result, suite.NewReading(0, 1000, 5000), suite.NewReading(2000, 1900, 6300))
	want := suite.Sample{
		CPU: 1000, System: 0.25, Used: 0.45, QPS: 850, Loss: 0.15, Octets: 100, Foreign: 0.2, P50: got.P50, P99: got.P99, P999: got.P999,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, p := range []float64{got.P50, got.P99, got.P999} {
		if p < 50 || p > 50.1 {
			t.Errorf("latency %v µs, want 50", p)
		}
	}
}

// row returns a row with the given processor times.
func row(scenario string, subject suite.Subject, cpu ...float64) suite.Row {
	r := suite.Row{Scenario: suite.Scenario{Name: scenario}, Subject: subject}
	for _, us := range cpu {
		r.Samples = append(r.Samples, suite.Sample{CPU: us})
	}
	return r
}

func TestGoals(t *testing.T) {
	rows := []suite.Row{
		row("srv", suite.DNSReg, 2, 3, 4), row("srv", suite.Knot, 4, 4, 4), row("srv", suite.NSD, 5, 3, 5),
		row("nxdomain", suite.DNSReg, 1), row("nxdomain", suite.Knot, 2), // NSD is missing
		row("cookie", suite.DNSReg, 3, 3, 6),
	}
	var got []string
	for _, g := range suite.Goals(rows) {
		got = append(got, fmt.Sprintf("%s: %.2f of %.2f, %t", g.Text, g.Ratio.Median, g.Limit, g.Met()))
	}
	want := []string{
		"dnsreg (srv) / Knot (srv) or NSD (srv): 1.00 of 0.75, false",
		"dnsreg (cookie) / dnsreg (srv): 1.50 of 1.10, false",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if met := suite.Goals([]suite.Row{row("changes", suite.Changing, 1.3), row("changes", suite.Quiet, 1)}); len(met) != 1 || !met[0].Met() {
		t.Errorf("a ratio at its limit: %+v", met)
	}
}

func TestParseHeap(t *testing.T) {
	got, err := suite.ParseHeap("heap profile: 1: 2\n\n# runtime.MemStats\n# Alloc = 1\n# HeapAlloc = 4711\n# HeapSys = 2\n")
	if err != nil || got != 4711 {
		t.Errorf("got %d, %v", got, err)
	}
	if _, err := suite.ParseHeap("# HeapAlloc = many\n"); err == nil {
		t.Error("without a number: no error")
	}
}

func TestCookieIn(t *testing.T) {
	with := func(options ...dns.EDNS0) *dns.Msg {
		msg := new(dns.Msg).SetEdns0(1232, false)
		msg.IsEdns0().Option = options
		return msg
	}
	for _, test := range []struct {
		name string
		in   *dns.Msg
		want []byte
	}{
		{"no EDNS", new(dns.Msg), nil},
		{"no cookie", with(&dns.EDNS0_NSID{Code: dns.EDNS0NSID}), nil},
		{"cookie", with(&dns.EDNS0_NSID{Code: dns.EDNS0NSID}, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102ff"}), []byte{1, 2, 255}},
		{"not hex", with(&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "x"}), nil},
	} {
		if got := suite.CookieIn(test.in); !slices.Equal(got, test.want) {
			t.Errorf("%s: %x, want %x", test.name, got, test.want)
		}
	}
}

func TestDescribe(t *testing.T) {
	msg := new(dns.Msg).SetEdns0(1232, false)
	if got := suite.Describe(msg); got != "0/0/1" {
		t.Errorf("got %q", got)
	}
	msg.Truncated = true
	if got := suite.Describe(msg); got != "0/0/1 TC" {
		t.Errorf("truncated: %q", got)
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
		form("two", func(s *suite.Scenario) { s.Group, s.Cores, s.Subjects = "two", 2, []suite.Subject{suite.Quiet} }),
	}
	cfg := suite.Config{Dir: t.TempDir(), Runs: 2, Duration: 300 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)}
	rows, err := suite.Run(t.Context(), cfg, list)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 10 {
		t.Fatalf("%d rows, want 10", len(rows))
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
	cfg := suite.Config{Dir: t.TempDir(), Runs: 1, Duration: time.Millisecond, Logger: slog.New(slog.DiscardHandler)}
	_, err := suite.Run(t.Context(), cfg, []suite.Scenario{s})
	if err == nil || !strings.Contains(err.Error(), `group core: srv, BIND: unknown subject "BIND"`) {
		t.Errorf("error %v", err)
	}
}

func TestChanges(t *testing.T) {
	facts, err := suite.Changes(t.Context(), 1, 20)
	if err != nil || len(facts) != 2 {
		t.Fatalf("facts %v, error %v", facts, err)
	}
	for _, f := range facts {
		if strings.Count(f.Value, "µs") != 3 || strings.Contains(f.Value, " 0.0 ") {
			t.Errorf("fact %+v", f)
		}
	}
}

func TestHeap(t *testing.T) {
	fact, err := suite.Heap(t.Context(), t.TempDir(), zone.Zone{Services: 1500, Instances: 10})
	if err != nil {
		t.Fatal(err)
	}
	var mib int
	if _, err := fmt.Sscanf(fact.Value, "%d MiB", &mib); err != nil || mib < 5 || mib > 500 {
		t.Errorf("fact %+v: %v", fact, err)
	}
}
