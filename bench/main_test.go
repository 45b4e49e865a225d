package main_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	bench "github.com/dnsreg/dnsreg/bench"
	"github.com/dnsreg/dnsreg/bench/internal/proc"
	"github.com/dnsreg/dnsreg/bench/internal/suite"
)

func TestUsage(t *testing.T) {
	for _, test := range []struct {
		name   string
		args   []string
		code   int
		stderr string
	}{
		{"unknown flag", []string{"-fast"}, 2, "-fast"},
		{"argument", []string{"srv"}, 2, "srv"},
		{"help names the scenarios", []string{"-h"}, 2, "growth: few many"},
		{"no runs", []string{"-runs", "-1"}, 2, "-runs"},
		{"no binary", []string{"-dnsreg", "/nowhere/dnsreg"}, 1, "/nowhere/dnsreg"},
		{"unknown scenario", []string{"-dnsreg", "/bin/true", "-only", "srv,nonsense"}, 1, `"nonsense"`},
		{"unknown child", []string{"child", "bind", "127.0.0.1:0"}, 1, `"bind"`},
		{"child without address", []string{"child", "echo"}, 1, "address"},
	} {
		var stdout, stderr bytes.Buffer
		if code := bench.Run(context.Background(), test.args, &stdout, &stderr); code != test.code {
			t.Errorf("%s: code %d, want %d", test.name, code, test.code)
		}
		if !strings.Contains(stderr.String(), test.stderr) || stdout.Len() > 0 {
			t.Errorf("%s: stderr %q, stdout %q", test.name, stderr.String(), stdout.String())
		}
	}
}

func TestMissingPackagesAreNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var stdout, stderr bytes.Buffer
	code := bench.Run(context.Background(), []string{"-dnsreg", "/bin/true"}, &stdout, &stderr)
	if code != 1 || !strings.Contains(stderr.String(), "apt-get install knot nsd dnsperf util-linux") {
		t.Errorf("code %d, stderr %q", code, stderr.String())
	}
}

func TestAbout(t *testing.T) {
	const cpuinfo = "processor\t: 0\nmodel name\t: A CPU\nflags\t\t: fpu hypervisor sse\n"
	if got := bench.Model(cpuinfo); got != "A CPU" {
		t.Errorf("model %q", got)
	}
	if got := bench.Model(""); got != "unknown model" {
		t.Errorf("model of nothing %q", got)
	}
	if got := bench.Virtual(cpuinfo); got != "shared virtual ones" {
		t.Errorf("virtual: %q", got)
	}
	if got := bench.Virtual("flags\t: fpu\n"); got != "not virtual" {
		t.Errorf("not virtual: %q", got)
	}
	if got := bench.Machine(); !strings.Contains(got, "cores of") || !strings.HasPrefix(got, time.Now().UTC().Format("2006-")) {
		t.Errorf("machine %q", got)
	}
}

func TestVersionsNamesEachServerOnce(t *testing.T) {
	got := bench.Versions([]suite.Row{
		{Subject: suite.Knot, Version: "3.2"}, {Subject: suite.Echo}, {Subject: suite.NSD, Version: "4.6"}, {Subject: suite.Knot, Version: "3.2"},
	})
	if want := "Knot 3.2, NSD 4.6"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDisturbance(t *testing.T) {
	got := bench.Disturbance(0.5, []suite.Row{{Samples: []suite.Sample{{Foreign: 0.1}, {Foreign: 0.3}}}, {Samples: []suite.Sample{{Foreign: 0.2}}}})
	if want := "others used 50% of both cores at the start, 20% (10–30) in the samples"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestJudge(t *testing.T) {
	verdicts := make([]suite.Verdict, suite.Gates()) // 0 of at most 0
	for _, test := range []struct {
		name string
		gate bool
		in   []suite.Verdict
		want string
	}{
		{"all kept", true, verdicts, ""},
		{"one not measured", true, verdicts[1:], "10 of 11 bounds are kept"},
		{"one not kept", true, append([]suite.Verdict{{Bound: -1}}, verdicts[1:]...), "10 of 11 bounds are kept"},
		{"no gate", false, nil, ""},
	} {
		err := bench.Judge(test.gate, test.in)
		if (err == nil) != (test.want == "") || err != nil && err.Error() != test.want {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
	}
}

// TestForeignIsNotOwn: what this process burns is its own affair.
func TestForeignIsNotOwn(t *testing.T) {
	cores, err := proc.Cores()
	if err != nil {
		t.Fatal(err)
	}
	share, err := bench.Foreign(t.Context(), cores, 50*time.Millisecond)
	if err != nil || share < 0 || share > 1.5 { // counted in hundredths of a second
		t.Errorf("others use %v, error %v", share, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := bench.Foreign(ctx, cores, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v of an ended context", err)
	}
	if _, err := bench.Foreign(t.Context(), []int{1 << 20}, 0); err == nil {
		t.Error("a core that is not there: no error")
	}
}

func TestQuietDoesNotInsist(t *testing.T) {
	cores, err := proc.Cores()
	if err != nil || len(cores) < 2 {
		t.Fatalf("cores %v, error %v; two are needed", cores, err)
	}
	var stderr bytes.Buffer
	if _, err := bench.Quiet(t.Context(), [2]int(cores[:2]), true, &stderr); err != nil || stderr.Len() > 0 {
		t.Errorf("error %v, stderr %q", err, stderr.String())
	}
}
