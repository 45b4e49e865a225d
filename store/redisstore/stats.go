package redisstore

import (
	"sync/atomic"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// counters are what the parts of a store count.
type counters struct {
	registrations, renewals, deregistrations, failures          atomic.Uint64
	polls, troubles, bells, missed, loads, compares, recoveries atomic.Uint64
	reaps, expiries, clamps, broken                             atomic.Uint64
	visible                                                     atomic.Int64 // ns from the last bell to the view
}

// Stats is what a page of metrics shows of a store. Counters count since New.
type Stats struct {
	Registrations   uint64 // accepted, those that changed nothing included
	Renewals        uint64 // by heartbeats
	Deregistrations uint64 // of known instances
	Failures        uint64 // calls that ended in ErrUnavailable

	RoundTrip time.Duration // of a batch of renewals, smoothed

	Freshness store.Freshness
	Age       time.Duration // since the last good look at Redis; negative before the first
	Revision  store.Revision
	Instances int
	Services  int

	Epoch      string // of the data; empty before the first look
	Recovering bool   // a loss of data is being made good
	ReadOnly   bool   // Redis denies this server to write
	Broken     uint64 // records that could not be read

	Bell       string        // "off", "down", "up"
	Bells      uint64        // notifications heard
	Missed     uint64        // times that the poll found what no bell had told
	Visible    time.Duration // from the last bell to the view that shows the change
	Polls      uint64
	Troubles   uint64 // looks at Redis that failed
	Loads      uint64 // of the whole zone
	Compares   uint64 // of the whole log
	Recoveries uint64

	Reaper   string // "off", "standby", "active"
	Reaps    uint64 // leases looked at
	Expiries uint64 // records removed
	Clamps   uint64 // leases shortened that a clock had made too long
	Due      int    // services that the reaper watches
}

// Stats returns the store's figures, each at some instant during the call.
func (s *Store) Stats() Stats {
	current, c := s.current.Load(), &s.stats
	age := time.Duration(-1)
	if synced := time.Duration(s.syncedAt.Load()); synced >= 0 {
		age = s.now() - synced
	}
	return Stats{
		Registrations:   c.registrations.Load(),
		Renewals:        c.renewals.Load(),
		Deregistrations: c.deregistrations.Load(),
		Failures:        c.failures.Load(),
		RoundTrip:       s.RoundTrip(),
		Freshness:       s.Freshness(),
		Age:             age,
		Revision:        current.view.Revision(),
		Instances:       current.view.Instances(),
		Services:        current.view.Services(),
		Epoch:           current.epoch,
		Recovering:      current.recovering,
		ReadOnly:        s.readOnly.Load(),
		Broken:          c.broken.Load(),
		Bell:            s.bell.state(),
		Bells:           c.bells.Load(),
		Missed:          c.missed.Load(),
		Visible:         time.Duration(c.visible.Load()),
		Polls:           c.polls.Load(),
		Troubles:        c.troubles.Load(),
		Loads:           c.loads.Load(),
		Compares:        c.compares.Load(),
		Recoveries:      c.recoveries.Load(),
		Reaper:          s.reaper.state(),
		Reaps:           c.reaps.Load(),
		Expiries:        c.expiries.Load(),
		Clamps:          c.clamps.Load(),
		Due:             int(s.reaper.watched.Load()),
	}
}

// RoundTrip returns what a batch of renewals takes, smoothed over the last few: whoever paces heartbeats sees by it that
// Redis, or the way there, is busy. It is far below a second even then, since no call takes longer.
func (s *Store) RoundTrip() time.Duration { return s.renewals.latency() }
