package dnsserver

import (
	"encoding/binary"
	"time"

	"github.com/miekg/dns"
)

// options is what the OPT record of a reply says (RFC 6891 section 6.1.2). Room for what was asked for is set aside; an
// extended error has to do with what is left.
type options struct {
	udpSize   uint16
	cookie    cookie // if hasCookie
	hasCookie bool
	nsid      []byte // nil: not asked for, or not configured
	idle      uint16 // in units of 100 ms, if hasIdle (RFC 7828 section 3.1)
	hasIdle   bool

	hasEDE  bool
	ede     uint16 // info code of an extended DNS error (RFC 8914)
	edeText string
}

const (
	idleUnit   = 100 * time.Millisecond // of edns-tcp-keepalive
	idleLen    = 2
	edeCodeLen = 2
)

// offer sets o, which is zero, to what a query with an OPT record asks for, as far as that is offered.
func (s *Server) offer(o *options, q *query) {
	o.udpSize = uint16(s.maxUDPSize)
	if q.hasCookie {
		o.cookie, o.hasCookie = q.proof, true
	}
	if q.nsid {
		o.nsid = s.nsid
	}
	if q.keepalive && q.from.Transport == TCP {
		o.idle, o.hasIdle = uint16(min(q.from.Idle/idleUnit, 0xffff)), true
	}
}

// size returns the octets to set aside.
func (o *options) size() int {
	n := 0
	if o.hasCookie {
		n += optionHeaderLen + len(o.cookie)
	}
	if o.hasIdle {
		n += optionHeaderLen + idleLen
	}
	if o.nsid != nil {
		n += optionHeaderLen + len(o.nsid)
	}
	return n
}

// extended attaches an extended DNS error to the reply (RFC 8914), which only clients with EDNS get to see.
func (r *reply) extended(code uint16, text string) {
	r.options.hasEDE, r.options.ede, r.options.edeText = true, code, text
}

// putOPT writes the OPT record, for which there always is room, with the extended error if that fits too.
func (r *reply) putOPT() {
	o := &r.options
	flags := byte(0)
	if r.do {
		flags = 0x80 // RFC 3225 section 3: copied
	}
	r.buf = append(r.buf,
		0, 0, byte(dns.TypeOPT), byte(o.udpSize>>8), byte(o.udpSize),
		byte(r.rcode>>4), 0, flags, 0,
		0, 0)
	start := len(r.buf)
	r.putOptions(o)
	binary.BigEndian.PutUint16(r.buf[start-2:], uint16(len(r.buf)-start))
	r.counts[additionalSection]++
}

func (r *reply) putOptions(o *options) {
	if o.hasCookie {
		r.putOption(dns.EDNS0COOKIE, len(o.cookie))
		r.buf = append(r.buf, o.cookie[:]...)
	}
	if o.hasIdle {
		r.putOption(dns.EDNS0TCPKEEPALIVE, idleLen)
		r.buf = binary.BigEndian.AppendUint16(r.buf, o.idle)
	}
	if o.nsid != nil {
		r.putOption(dns.EDNS0NSID, len(o.nsid))
		r.buf = append(r.buf, o.nsid...)
	}
	n := edeCodeLen + len(o.edeText)
	if o.hasEDE && len(r.buf)-r.base+optionHeaderLen+n <= r.max {
		r.putOption(dns.EDNS0EDE, n)
		r.buf = binary.BigEndian.AppendUint16(r.buf, o.ede)
		r.buf = append(r.buf, o.edeText...)
	}
}

func (r *reply) putOption(code uint16, length int) {
	r.buf = binary.BigEndian.AppendUint16(r.buf, code)
	r.buf = binary.BigEndian.AppendUint16(r.buf, uint16(length))
}
