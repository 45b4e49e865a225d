package main_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	bench "github.com/dnsreg/dnsreg/bench"
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
