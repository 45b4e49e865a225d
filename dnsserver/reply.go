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
	serial    uint32
	options   options

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

// begin starts a reply to q with the question as it was asked, letter for letter.
func (s *Server) begin(q *query, buf []byte) reply {
	r := reply{
		asked:     q.asked,
		transport: q.from.Transport,
		base:      len(buf),
		max:       maxMessageSize,
		turn:      int(q.id),
	}
	if r.transport == UDP {
		r.max = min(max(q.size, plainUDPSize), s.maxUDPSize)
	}
	r.limit = r.max
	if q.opt {
		r.options = s.optionsFor(q)
		r.limit -= optLen + r.options.size()
	}
	r.buf = append(buf, q.msg[:headerLen+q.question]...)
	r.body = len(r.buf)
	return r
}

// put writes a whole set into a section, its owner name as a pointer to offset owner of the reply. It returns the offset
// of the first record's data. If the set does not fit or its owner is out of a pointer's reach, it writes nothing and
// returns 0.
func (r *reply) put(section, owner int, set *rrset) int {
	if len(r.buf)-r.base+set.size > r.limit || owner > maxPointer {
		return 0
	}
	first := len(r.buf) - r.base + recordSize
	if set.soa != nil {
		r.putSOA(owner, set)
		r.counts[section]++
		return first
	}
	for i := range set.records {
		rec := set.turned(i, r.turn)
		r.putHeader(owner, set, rec.len())
		r.putData(rec)
	}
	r.counts[section] += uint16(len(set.records))
	return first
}

func (r *reply) putHeader(owner int, set *rrset, length int) {
	r.buf = append(r.buf,
		0xc0|byte(owner>>8), byte(owner),
		byte(set.typ>>8), byte(set.typ),
		0, set.class,
		byte(set.ttl>>24), byte(set.ttl>>16), byte(set.ttl>>8), byte(set.ttl),
		byte(length>>8), byte(length))
}

func (r *reply) putData(rec *record) {
	r.buf = append(r.buf, rec.data...)
	if rec.tail > 0 {
		r.buf = binary.BigEndian.AppendUint16(r.buf, 0xc000|uint16(r.suffix(int(rec.tail))))
	}
}

func (r *reply) putSOA(owner int, set *rrset) {
	r.putHeader(owner, set, set.size-recordSize)
	r.putData(&set.soa.primary)
	r.putData(&set.soa.mailbox)
	r.buf = binary.BigEndian.AppendUint32(r.buf, r.serial)
	r.buf = append(r.buf, set.soa.timers...)
}

// suffix returns the offset of the last n octets of the question's name.
func (r *reply) suffix(n int) int { return headerLen + r.nameLen - n }

// truncate gives up what was written behind the question and tells the client to ask over TCP (RFC 2181 section 9).
func (r *reply) truncate() {
	r.buf = r.buf[:r.body]
	r.counts = [3]uint16{}
	r.tc = true
}

// finish writes the OPT record and the header, and returns the buffer with the whole reply at its end.
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
	return r.buf
}
