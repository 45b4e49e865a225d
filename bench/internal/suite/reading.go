package suite

import (
	"time"

	"github.com/dnsreg/dnsreg/bench/internal/load"
	"github.com/dnsreg/dnsreg/bench/internal/proc"
)

// reading is what a server, this process and the cores of both have used up to a moment.
type reading struct {
	at           time.Time
	cpu          time.Duration
	user, system time.Duration // the same in two parts, less exact
	own          time.Duration
	busy         time.Duration // of all cores in use
}

func read(tree proc.Tree, cores []int) (reading, error) {
	r := reading{at: time.Now()}
	var err error
	if r.cpu, err = tree.CPU(); err != nil {
		return r, err
	}
	if r.user, r.system, err = tree.Times(); err != nil {
		return r, err
	}
	if r.own, err = proc.Own(); err != nil {
		return r, err
	}
	r.busy, err = proc.Busy(cores...)
	return r, err
}

// figures returns the sample of a run between two readings of so many cores.
func figures(result load.Result, before, after reading, cores int) Sample {
	cpu := after.cpu - before.cpu
	user, system := after.user-before.user, after.system-before.system
	foreign := after.busy - before.busy - cpu - (after.own - before.own)
	replies := float64(result.Answered + result.Late) // a late one has cost as much
	s := Sample{
		CPU:     float64(cpu.Nanoseconds()) / 1e3 / replies,
		Used:    cpu.Seconds() / result.Elapsed.Seconds(),
		QPS:     result.QPS(),
		Replies: replies,
		Octets:  float64(result.Octets) / replies,
		Foreign: max(0, foreign.Seconds()/after.at.Sub(before.at).Seconds()/float64(cores)),
	}
	if user+system > 0 {
		s.System = float64(system) / float64(user+system)
	}
	if result.Sent > 0 {
		s.Loss = float64(result.Lost) / float64(result.Sent)
	}
	if h := result.Latency; h != nil {
		s.P50 = float64(h.ValueAtQuantile(50)) / 1e3
		s.P99 = float64(h.ValueAtQuantile(99)) / 1e3
		s.P999 = float64(h.ValueAtQuantile(99.9)) / 1e3
	}
	return s
}
