package suite_test

import (
	"context"
	"fmt"
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
	got := suite.Figures(result, suite.NewReading(0, 1000, 100, 5000), suite.NewReading(2000, 1900, 1000, 7600), 2)
	want := suite.Sample{
		CPU: 1000, System: 0.25, Used: 0.9, QPS: 850, Replies: 900, Loss: 0.15, Octets: 100, Foreign: 0.2, P50: got.P50, P99: got.P99, P999: got.P999,
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
