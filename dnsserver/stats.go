package dnsserver

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/miekg/dns"
)

// Stats is what a server has counted since it was made.
type Stats struct {
	Requests   []RequestCount // replies, each combination that occurred once, in a fixed order
	Dropped    uint64         // queries without a reply: shorter than a header, or responses
	Truncated  uint64         // replies with TC set, those beyond the rate limit not included
	Limited    uint64         // queries beyond the rate limit that got no reply
	Slipped    uint64         // queries beyond the rate limit that got a truncated one; not among Requests
	SendErrors uint64         // replies that could not be sent
	Times      [2]Times       // that replies took, by Transport

	Signatures SignatureStats
	Transfers  TransferStats
	Notifies   NotifyStats

	TCPOpen     int    // connections now open
	TCPAccepted uint64 // connections ever accepted, refused ones not included
	TCPEvicted  uint64 // idle connections closed to make room for new ones
	TCPRefused  uint64 // connections closed at once because a limit was reached and none was idle
}

// RequestCount is how many queries of one kind were replied to.
type RequestCount struct {
	Transport Transport
	Type      string // mnemonic of the query type: "SRV", or "other"
	Rcode     string // mnemonic of the response code: "NOERROR", or "other"
	Count     uint64
}

// Query types and response codes that are counted apart; index 0 stands for all others.
var (
	countedTypes = [...]uint16{
		0, dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeTXT, dns.TypePTR, dns.TypeSOA, dns.TypeNS,
		dns.TypeANY, dns.TypeAXFR, dns.TypeIXFR, dns.TypeHTTPS, dns.TypeSVCB,
	}
	countedRcodes = [...]int{
		-1, dns.RcodeSuccess, dns.RcodeFormatError, dns.RcodeServerFailure, dns.RcodeNameError,
		dns.RcodeNotImplemented, dns.RcodeRefused, dns.RcodeNotAuth, dns.RcodeBadVers, dns.RcodeBadCookie,
	}
)

// counters is what one worker counts, apart from all others' cache lines. Any goroutine may read it.
type counters struct {
	_                  [cacheLine]byte
	requests           [2][len(countedTypes)][len(countedRcodes)]atomic.Uint64
	dropped, truncated atomic.Uint64
	limited, slipped   atomic.Uint64
	sendErrors         atomic.Uint64
	times              [2]times
	_                  [cacheLine]byte
}

// cacheLine is what a processor takes from another's cache at once, in octets: two lines of 64 on amd64, whose
// prefetcher takes pairs.
const cacheLine = 128

// stats is the counters behind Stats.
type stats struct {
	tcpAccepted           atomic.Uint64
	tcpEvicted, tcpRefuse atomic.Uint64

	shared [sharedCounters]counters // of answers that no worker gives
	turn   atomic.Uint32            // of the next who has none of its own

	mu      sync.Mutex // guards workers
	workers []*counters
}

// sharedCounters is how many connections may count at a time without meeting in a cache line.
const sharedCounters = 8

// worker returns counters for one worker alone.
func (s *stats) worker() *counters {
	c := new(counters)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.workers = append(s.workers, c)
	return c
}

// share returns counters that others use too.
func (s *stats) share() *counters { return &s.shared[s.turn.Add(1)%sharedCounters] }

// all returns the counters of all.
func (s *stats) all() []*counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.workers)
	for i := range s.shared {
		all = append(all, &s.shared[i])
	}
	return all
}

// count notes a finished reply. A query whose question could not be read has no type, so it counts under other.
func (c *counters) count(r *reply) {
	typ, code := 0, 0
	for i := 1; i < len(countedTypes); i++ {
		if countedTypes[i] == r.qtype {
			typ = i
			break
		}
	}
	for i := 1; i < len(countedRcodes); i++ {
		if countedRcodes[i] == r.rcode {
			code = i
			break
		}
	}
	c.requests[r.transport][typ][code].Add(1)
	if r.tc {
		c.truncated.Add(1)
	}
}

// Stats returns the counters. Those of queries that are being answered meanwhile may or may not be included.
func (s *Server) Stats() Stats {
	all := s.stats.all()
	out := Stats{
		Requests:    requests(all),
		Signatures:  s.transfers.signatures.stats(),
		Transfers:   s.transfers.stats(s.zones),
		Notifies:    s.transfers.notifies.stats(),
		TCPOpen:     s.conns.len(),
		TCPAccepted: s.stats.tcpAccepted.Load(),
		TCPEvicted:  s.stats.tcpEvicted.Load(),
		TCPRefused:  s.stats.tcpRefuse.Load(),
	}
	for _, c := range all {
		out.Dropped += c.dropped.Load()
		out.Truncated += c.truncated.Load()
		out.Limited += c.limited.Load()
		out.Slipped += c.slipped.Load()
		out.SendErrors += c.sendErrors.Load()
		for transport := range out.Times {
			c.times[transport].addTo(&out.Times[transport])
		}
	}
	return out
}

// requests sums up how many queries of each kind were replied to.
func requests(all []*counters) []RequestCount {
	var list []RequestCount
	for _, transport := range []Transport{UDP, TCP} {
		for typ := range countedTypes {
			for code := range countedRcodes {
				n := uint64(0)
				for _, c := range all {
					n += c.requests[transport][typ][code].Load()
				}
				if n > 0 {
					list = append(list, RequestCount{transport, typeName(typ), rcodeName(code), n})
				}
			}
		}
	}
	return list
}

func typeName(i int) string {
	if i == 0 {
		return "other"
	}
	return dns.TypeToString[countedTypes[i]]
}

func rcodeName(i int) string {
	switch {
	case i == 0:
		return "other"
	case countedRcodes[i] == dns.RcodeBadVers: // whose number is also that of BADSIG
		return "BADVERS"
	default:
		return dns.RcodeToString[countedRcodes[i]]
	}
}
