package dnsserver

import (
	"sync/atomic"

	"github.com/miekg/dns"
)

// SignatureStats is how many queries had a TSIG record, by what came of checking it.
type SignatureStats struct {
	Good     uint64
	BadKey   uint64 // signed with a key that is not known
	BadSig   uint64 // the signature is wrong
	BadTime  uint64 // it is too old, or the clocks differ
	BadTrunc uint64 // it is too short
}

// TransferStats is how many zone transfers were asked for, on all zones, by what was answered.
type TransferStats struct {
	Full        uint64 // the whole zone
	Incremental uint64 // changes
	Unchanged   uint64 // the client has the current version
	Refused     uint64 // the client may not have it
	Crowded     uint64 // too many transfers were running
	Broken      uint64 // not taken to its end
	Octets      uint64 // of all messages of streams

	JournalSteps  int // changes that are kept for IXFR now
	JournalOctets int // and how large they are
}

// NotifyStats is how many messages told secondaries of changes, and what came of that.
type NotifyStats struct {
	Sent         uint64 // messages, repeated ones too
	Acknowledged uint64 // changes that a secondary was told of
	Refused      uint64 // those that it answered with an error
	Failed       uint64 // those that it never answered
}

// signatureCounts is the counters behind SignatureStats.
type signatureCounts struct {
	good, badKey, badSig, badTime, badTrunc atomic.Uint64
}

func (c *signatureCounts) count(fail uint16) {
	switch fail {
	case 0:
		c.good.Add(1)
	case dns.RcodeBadKey:
		c.badKey.Add(1)
	case dns.RcodeBadSig:
		c.badSig.Add(1)
	case dns.RcodeBadTime:
		c.badTime.Add(1)
	case dns.RcodeBadTrunc:
		c.badTrunc.Add(1)
	}
}

func (c *signatureCounts) stats() SignatureStats {
	return SignatureStats{
		Good: c.good.Load(), BadKey: c.badKey.Load(), BadSig: c.badSig.Load(), BadTime: c.badTime.Load(), BadTrunc: c.badTrunc.Load(),
	}
}

// transferCounts is the counters behind TransferStats.
type transferCounts struct {
	full, incremental, unchanged atomic.Uint64
	refused, crowded, broken     atomic.Uint64
	octets                       atomic.Uint64
}

func (p *transferPool) stats(zones authorities) TransferStats {
	c := &p.counts
	out := TransferStats{
		Full: c.full.Load(), Incremental: c.incremental.Load(), Unchanged: c.unchanged.Load(),
		Refused: c.refused.Load(), Crowded: c.crowded.Load(), Broken: c.broken.Load(), Octets: c.octets.Load(),
	}
	for _, level := range zones {
		for _, a := range level.zones {
			steps, octets := a.transfers.journal.state()
			out.JournalSteps += steps
			out.JournalOctets += octets
		}
	}
	return out
}

// notifyCounts is the counters behind NotifyStats.
type notifyCounts struct {
	sent, acknowledged, refused, failed atomic.Uint64
}

func (c *notifyCounts) stats() NotifyStats {
	return NotifyStats{Sent: c.sent.Load(), Acknowledged: c.acknowledged.Load(), Refused: c.refused.Load(), Failed: c.failed.Load()}
}
