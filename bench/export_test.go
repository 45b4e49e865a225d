package main

import (
	"context"
	"io"

	"github.com/dnsreg/dnsreg/bench/internal/suite"
)

// What the tests call.
var (
	Run      = run
	Model    = model
	Virtual  = virtual
	Machine  = machine
	Versions = versions

	Disturbance = disturbance
	Foreign     = foreign
)

// Judge decides about verdicts with or without -gate.
func Judge(gate bool, verdicts []suite.Verdict) error { return (&options{gate: gate}).judge(verdicts) }

// Quiet waits for quiet cores, or does not if noise is allowed for.
func Quiet(ctx context.Context, cores [2]int, noisy bool, stderr io.Writer) (float64, error) {
	return (&options{cores: cores, noisy: noisy}).quiet(ctx, stderr)
}
