package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/dnsreg/dnsreg/bench/internal/suite"
)

// machine says where and when a measurement is made.
func machine() string {
	info, _ := os.ReadFile("/proc/cpuinfo") // without it the model stays unknown
	load, _ := os.ReadFile("/proc/loadavg")
	return fmt.Sprintf("%s: %d cores of %s, %s; load at the start %s; %s", time.Now().UTC().Format("2006-01-02 15:04 MST"),
		runtime.NumCPU(), model(string(info)), virtual(string(info)), first(string(load)), runtime.Version())
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
	return fmt.Sprintf("Medians of %d rounds (least to greatest), %v each; every round asks all servers in turn. Server on core 0, load on core 1; "+
		"CPU is user and system time of the server's whole process tree; others is what else ran on its core. A window of 1,000 queries, over TCP of 200 on 20 connections by dnsperf.", o.runs, o.each)
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
