package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/dnsreg/dnsreg/bench/internal/stats"
	"github.com/dnsreg/dnsreg/bench/internal/suite"
)

// machine says where and when a measurement is made.
func machine() string {
	info, _ := os.ReadFile("/proc/cpuinfo") // without it the model stays unknown
	load, _ := os.ReadFile("/proc/loadavg")
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%s: %d cores of %s, %s; Linux %s; load at the start %s; %s", time.Now().UTC().Format("2006-01-02 15:04 MST"),
		runtime.NumCPU(), model(string(info)), virtual(string(info)), strings.TrimSpace(string(release)), first(string(load)), runtime.Version())
}

// model returns what the processor calls itself.
func model(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown model"
}

// virtual says whether the cores are a hypervisor's, and so shared with others.
func virtual(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if strings.HasPrefix(line, "flags") && strings.Contains(line+" ", " hypervisor ") {
			return "shared virtual ones"
		}
	}
	return "not virtual"
}

func first(text string) string {
	word, _, _ := strings.Cut(text, " ")
	return word
}

// method says how a measurement is made.
func (o *options) method() string {
	return fmt.Sprintf("Medians of %d rounds (least–greatest) of %v each; every round asks all servers in turn. Server on core %d, load on core %d.",
		o.runs, o.each, o.cores[0], o.cores[1])
}

// disturbance says how much of the cores neither servers nor load used.
func disturbance(start float64, rows []suite.Row) string {
	var all []float64
	for _, row := range rows {
		for _, s := range row.Samples {
			all = append(all, s.Foreign)
		}
	}
	during := stats.Of(all)
	return fmt.Sprintf("others used %.0f%% of both cores at the start, %.0f%% (%.0f–%.0f) in the samples",
		100*start, 100*during.Median, 100*during.Min, 100*during.Max)
}

// versions lists the version of each subject that has one.
func versions(rows []suite.Row) string {
	var list []string
	seen := make(map[suite.Subject]bool)
	for _, row := range rows {
		if row.Version != "" && !seen[row.Subject] {
			seen[row.Subject] = true
			list = append(list, string(row.Subject)+" "+row.Version)
		}
	}
	return strings.Join(list, ", ")
}
