package dnsserver

import (
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/store"
)

// Transport is how a query came, which decides how large its reply may be.
type Transport uint8

const (
	// UDP replies keep to the size that the client names and Config.MaxUDPSize allows, and to 512 octets without EDNS.
	UDP Transport = iota
	// TCP replies may take 65535 octets.
	TCP
)

// String returns the transport in small letters.
func (t Transport) String() string {
	if t == UDP {
		return "udp"
	}
	return "tcp"
}

// Client is who a query comes from.
type Client struct {
	Addr      netip.Addr // in its own form, not mapped into IPv6; the zero Addr is not known, and gets no cookie
	Transport Transport
	Idle      time.Duration // how long its connection may be idle from now on; TCP only

	streams bool // it can be sent many messages in reply to one
}

// Answer is AnswerTo for a client whose address is not known.
func (s *Server) Answer(msg, buf []byte, transport Transport) []byte {
	return s.AnswerTo(Client{Transport: transport, Idle: s.idleTimeout}, msg, buf)
}

// AnswerTo appends the reply to msg to buf and returns the extended buffer, or buf as it is where the message deserves
// no reply. It is a function of its arguments, the source's current view and, for cookies, the time: it needs no socket,
// never waits and may be called from any number of goroutines. It keeps neither slice. A zone transfer, whose reply is
// many messages, is for connections alone, and refused here.
func (s *Server) AnswerTo(from Client, msg, buf []byte) []byte {
	from.streams = false
	q := query{from: from, counts: s.stats.share()}
	if !s.read(&q, msg) {
		return buf
	}
	return s.reply(&q, buf)
}

// answerOrStream is AnswerTo for clients on a connection: where the reply is a stream of messages, it returns that, which
// then has to be run, and buf as it is. It counts in c.
func (s *Server) answerOrStream(from Client, c *counters, msg, buf []byte) ([]byte, *transfer) {
	from.streams = true
	q := query{from: from, counts: c}
	if !s.read(&q, msg) {
		return buf, nil
	}
	var r reply
	s.begin(&r, &q, buf)
	s.respond(&q, &r)
	c.count(&r)
	if r.transfer != nil {
		return buf, r.transfer
	}
	return r.finish(), nil
}

// read reads msg into q and reports whether it deserves a reply. Every query of every transport passes here.
func (s *Server) read(q *query, msg []byte) bool {
	if !q.parse(msg) {
		q.counts.dropped.Add(1)
		return false
	}
	if q.question > 0 {
		q.zone = s.zones.of(q)
	}
	s.cookies.take(q)
	if s.keys.take(q); q.sig != nil {
		s.transfers.signatures.count(q.sig.fail)
	}
	return true
}

// reply appends the reply to a query that was read.
func (s *Server) reply(q *query, buf []byte) []byte {
	var r reply
	s.begin(&r, q, buf)
	s.respond(q, &r)
	q.counts.count(&r)
	return r.finish()
}

// slipped appends a reply that says no more than to ask over TCP, and is no longer than the query but for a cookie.
func (s *Server) slipped(q *query, buf []byte) []byte {
	q.nsid = false
	var r reply
	s.begin(&r, q, buf)
	r.truncate()
	return r.finish()
}

// respond decides between an error and an answer from a zone.
func (s *Server) respond(q *query, r *reply) {
	switch {
	case q.sig != nil && q.sig.fail != 0:
		r.rcode = dns.RcodeNotAuth
	case q.opcode != dns.OpcodeQuery:
		r.rcode = dns.RcodeNotImplemented
	case q.bad:
		r.rcode = dns.RcodeFormatError
	case q.version > 0:
		r.rcode = dns.RcodeBadVers
	case q.question == 0:
		r.cookieOnly(q)
	case s.chaos.answer(q, r):
	default:
		s.query(q, r)
	}
}

// query answers a question from the zone that its name is in.
func (s *Server) query(q *query, r *reply) {
	a := q.zone
	switch {
	case q.qclass != dns.ClassINET || a == nil:
		r.rcode = dns.RcodeRefused
		r.extended(dns.ExtendedErrorCodeNotAuthoritative, "")
	case q.qtype == dns.TypeAXFR || q.qtype == dns.TypeIXFR:
		a.transfer(q, r)
	default:
		a.answer(q, r)
	}
}

// cookieOnly answers a query without a question, by which a client gets or confirms a cookie (RFC 7873 section 5.4).
func (r *reply) cookieOnly(q *query) {
	switch {
	case !q.hasCookie:
		r.rcode = dns.RcodeFormatError
	case len(q.cookie) > clientCookieLen && !q.proven:
		r.rcode = dns.RcodeBadCookie
	}
}

// unavailable answers for a source that is lost: no statement about any name can be made.
func (r *reply) unavailable(view *store.View) {
	if view.Revision() == 0 {
		r.fail(dns.ExtendedErrorCodeNotReady, "the registry is not loaded yet")
		return
	}
	r.fail(dns.ExtendedErrorCodeNetworkError, "the registry's store is unreachable")
}

func (r *reply) fail(code uint16, text string) {
	r.rcode = dns.RcodeServerFailure
	r.extended(code, text)
}
