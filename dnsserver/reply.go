package dnsserver

import (
	"encoding/binary"

	"github.com/miekg/dns"
)

// reply is one message in the making at the end of a caller's buffer. The header, truncation and the OPT record each
// have their one place here.
type reply struct {
	asked
	transport Transport
	buf       []byte
	base      int // where in buf the reply starts
	body      int // where in buf the sections behind the question start
	max       int // octets that the reply may take
	limit     int // the same, with the OPT record and what is asked of it set aside
	turn      int // by how much sets are rotated
	srv       int // where the SRV record is that was added last
	serial    uint32
	options   options
	signer    *signer   // nil: the reply is not signed
	transfer  *transfer // is the reply in place of this one; nil: this one is

	rcode  int
	aa, tc bool
	counts [3]uint16 // of the answer, authority and additional sections
}

// Sections of a reply behind the question, as reply.counts numbers them.
const (
	answerSection = iota
	authoritySection
	additionalSection
)

const (
	plainUDPSize   = 512   // RFC 1035 section 4.2.1
	maxMessageSize = 65535 // RFC 1035 section 4.2.2
	maxPointer     = 0x3fff
)

// begin makes r, which is zero, a reply to q with the question as it was asked, letter for letter.
func (s *Server) begin(r *reply, q *query, buf []byte) {
	r.asked = q.asked
	r.transport = q.from.Transport
	r.base = len(buf)
	r.max = maxMessageSize
	r.turn = int(q.id)
	if r.transport == UDP {
		r.max = min(max(q.size, plainUDPSize), s.maxUDPSize)
	}
	if q.sig != nil {
		r.sign(q)
	}
	r.limit = r.max
	if q.opt {
		s.offer(&r.options, q)
		r.limit -= optLen + r.options.size()
	}
	r.buf = append(buf, q.msg[:headerLen+q.question]...)
	r.body = len(r.buf)
	if r.opt && r.body-r.base > r.limit { // beside a signature, what was asked for may have no room
		r.options = options{udpSize: uint16(s.maxUDPSize)}
	}
}

// sign sets aside room for a signature. The record that names a wrong key is left out where it would be too long.
func (r *reply) sign(q *query) {
	r.signer = newSigner(q)
	n := r.signer.size()
	if headerLen+q.question+optLen+n > r.max {
		r.signer, n = nil, 0
	}
	r.max -= n
}

// len returns the octets of the reply so far.
func (r *reply) len() int { return len(r.buf) - r.base }

// answer copies a form into the reply, its records turned, and as much of the additional section as fits behind them.
func (r *reply) answer(f *form) {
	r.aa = true
	if r.len()+int(f.size) > r.limit {
		r.overflow()
		return
	}
	turn := 0
	if f.count > 1 {
		turn = r.turn % int(f.count)
	}
	start := f.place(turn)
	r.buf = append(append(r.buf, f.wire[start.at:f.size]...), f.wire[:start.at]...)
	r.counts[answerSection] = f.count
	if f.serial > 0 {
		binary.BigEndian.PutUint32(r.buf[r.body+int(f.serial):], r.serial)
	}
	room := true
	for i := int(start.extra); i < int(f.extras) && room; i++ {
		room = r.add(f, i, turn, start)
	}
	for i := 0; i < int(start.extra) && room; i++ {
		room = r.add(f, i, turn, start)
	}
}

// overflow leaves a set that does not fit to TCP. One that is too large even there is an error, since a part of a set
// would pass for the whole (RFC 2181 section 5.1).
func (r *reply) overflow() {
	if r.transport == UDP {
		r.truncate()
		return
	}
	r.aa = false
	r.fail(dns.ExtendedErrorCodeOther, "the answer does not fit in 64 KiB")
}

// add copies the i-th set for the additional section, its owner a pointer to where the reply names it, and reports
// whether there may be room for more. The answer's records are turned by turn, so that they begin with the one at start.
func (r *reply) add(f *form, i, turn int, start place) bool {
	e := f.extra(i)
	before, off := int(e.record)-turn, int(f.place(int(e.record)).at)-int(start.at)
	if before < 0 {
		before, off = before+int(f.count), off+int(f.size)
	}
	if before >= int(e.gap) {
		return true
	}
	owner := r.body - r.base + off + int(e.owner)
	if e.inSRV {
		owner = r.srv + int(e.owner)
	}
	if r.len()+int(e.size) > r.limit || owner > maxPointer {
		return false
	}
	if e.srv {
		r.srv = r.len()
	}
	at, length := len(r.buf), int(e.size)
	wire := f.wire[e.start:][:length]
	if e.count > 1 {
		length /= int(e.count)
		split := r.turn % int(e.count) * length
		r.buf = append(r.buf, wire[split:]...)
		wire = wire[:split]
	}
	r.buf = append(r.buf, wire...)
	for ; at < len(r.buf); at += length {
		binary.BigEndian.PutUint16(r.buf[at:], uint16(0xc000|owner))
	}
	r.counts[additionalSection] += e.count
	return true
}

// negative says that a name, or the type at the name, does not exist (RFC 2308 section 2).
func (r *reply) negative(z *zone, exists bool) {
	if !exists {
		r.rcode = dns.RcodeNameError
	}
	r.aa = true
	f := z.negative
	if r.len()+int(f.size) > r.limit {
		r.truncate()
		return
	}
	start := len(r.buf)
	r.buf = append(r.buf, f.wire...)
	soa, below := r.buf[start:], uint16(r.nameLen-len(z.wire))
	for _, at := range f.pointer[:f.pointers] {
		binary.BigEndian.PutUint16(soa[at:], binary.BigEndian.Uint16(soa[at:])+below)
	}
	binary.BigEndian.PutUint32(soa[f.serial:], r.serial)
	r.counts[authoritySection] = 1
}

// truncate gives up what was written behind the question and tells the client to ask over TCP (RFC 2181 section 9).
func (r *reply) truncate() {
	r.buf = r.buf[:r.body]
	r.counts = [3]uint16{}
	r.tc = true
}

// finish writes the OPT record, the header and the signature, and returns the buffer with the whole reply at its end.
func (r *reply) finish() []byte {
	if r.opt {
		r.putOPT()
	}
	head := r.buf[r.base:]
	head[2] = 0x80 | byte(r.opcode)<<3
	if r.rd && r.opcode == dns.OpcodeQuery {
		head[2] |= 0x01
	}
	if r.aa {
		head[2] |= 0x04
	}
	if r.tc {
		head[2] |= 0x02
	}
	head[3] = byte(r.rcode & 0xf)
	questions := uint16(0)
	if r.question > 0 {
		questions = 1
	}
	binary.BigEndian.PutUint16(head[4:], questions)
	for i, n := range r.counts {
		binary.BigEndian.PutUint16(head[6+2*i:], n)
	}
	return r.signer.sign(r.buf, r.base)
}
