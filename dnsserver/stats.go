package dnsserver

import (
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

// stats is the counters behind Stats; all of them may be raised from any goroutine.
type stats struct {
	requests              [2][len(countedTypes)][len(countedRcodes)]atomic.Uint64
	dropped, truncated    atomic.Uint64
	limited, slipped      atomic.Uint64
	sendErrors            atomic.Uint64
	tcpAccepted           atomic.Uint64
	tcpEvicted, tcpRefuse atomic.Uint64
}

// count notes a finished reply. A query whose question could not be read has no type, so it counts under other.
func (s *stats) count(r *reply) {
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
	s.requests[r.transport][typ][code].Add(1)
	if r.tc {
		s.truncated.Add(1)
	}
}

// Stats returns the counters. Those of queries that are being answered meanwhile may or may not be included.
func (s *Server) Stats() Stats {
	c := &s.stats
	out := Stats{
		Dropped:     c.dropped.Load(),
		Truncated:   c.truncated.Load(),
		Limited:     c.limited.Load(),
		Slipped:     c.slipped.Load(),
		SendErrors:  c.sendErrors.Load(),
		Signatures:  s.transfers.signatures.stats(),
		Transfers:   s.transfers.stats(s.zones),
		Notifies:    s.transfers.notifies.stats(),
		TCPOpen:     s.conns.len(),
		TCPAccepted: c.tcpAccepted.Load(),
		TCPEvicted:  c.tcpEvicted.Load(),
		TCPRefused:  c.tcpRefuse.Load(),
	}
	for _, transport := range []Transport{UDP, TCP} {
		for typ := range countedTypes {
			for code := range countedRcodes {
				if n := c.requests[transport][typ][code].Load(); n > 0 {
					out.Requests = append(out.Requests, RequestCount{transport, typeName(typ), rcodeName(code), n})
				}
			}
		}
	}
	return out
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
