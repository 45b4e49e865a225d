package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/dnsreg/dnsreg/bench/internal/proc"
)

const (
	quietShare = 0.1             // of the cores: what others may use at the start
	quietLook  = 2 * time.Second // how long to look at them
	quietLooks = 15              // before giving up
)

// quiet waits until others leave the cores alone, and returns the share of them that others use. If they go on it is an
// error, unless the options allow for it.
func (o *options) quiet(ctx context.Context, stderr io.Writer) (float64, error) {
	for n := 1; ; n++ {
		share, err := foreign(ctx, o.cores[:], quietLook)
		if err != nil || share <= quietShare || o.noisy {
			return share, err
		}
		if n == quietLooks {
			return share, fmt.Errorf("others use %.0f%% of the cores: end what they do, or measure all the same with -noisy", 100*share)
		}
		fmt.Fprintf(stderr, "bench: others use %.0f%% of the cores; waiting\n", 100*share)
	}
}

// foreign returns the share of the cores that other processes use for a while.
func foreign(ctx context.Context, cores []int, d time.Duration) (float64, error) {
	before, err := used(cores)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	after, err := used(cores)
	return max(0, (after-before).Seconds()/time.Since(start).Seconds()/float64(len(cores))), err
}

// used returns how long the cores were busy with anything but this process.
func used(cores []int) (time.Duration, error) {
	busy, err := proc.Busy(cores...)
	if err != nil {
		return 0, err
	}
	own, err := proc.Own()
	return busy - own, err
}
