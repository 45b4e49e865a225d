package dnsserver

import (
	"encoding/binary"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// Sizes of a DNS message's fixed parts, in octets (RFC 1035 sections 4.1.1 to 4.1.3, RFC 6891 section 6.1.2).
const (
	headerLen       = 12
	questionTail    = 4  // type and class
	recordFixed     = 10 // type, class, TTL, length of the data
	optLen          = 1 + recordFixed
	optionHeaderLen = 4
)

// soughtOPT is how far from the end of a message that cannot be read an OPT record is looked for.
const soughtOPT = 512

// asked is what a reply depends on beside the answer.
type asked struct {
	id       uint16
	opcode   int
	rd       bool
	nameLen  int    // of the question's name; 0: no question was read
	question int    // octets of the question section to echo, 0 for none
	qtype    uint16 // 0 without a question

	opt       bool // there is an OPT record
	size      int  // that the client can take over UDP; 0 without OPT
	do        bool
	nsid      bool // the server's identity is asked for
	keepalive bool // so is the idle timeout
}

// query is what the server needs to know of one incoming message. It is filled from the wire in one pass that allocates
// nothing and believes no count: every record that a count claims must be there.
type query struct {
	asked
	msg     []byte
	from    Client
	counts  *counters // of who answers it
	cut     bool      // msg is not all of it
	bad     bool      // its form is in error
	qclass  uint16
	version byte // of EDNS

	cookie    []byte // data of the first COOKIE option, nil without one
	proof     cookie // to reply with, if hasCookie
	hasCookie bool
	proven    bool // the cookie shows that the query comes from the address that it names

	tsigAt int        // where the TSIG record starts, which is the last one; 0: there is none
	sig    *signature // what it says, nil without one

	name   [dnssd.MaxName]byte     // of the question, in wire form, ASCII capitals folded
	starts [dnssd.MaxName / 2]byte // where each label of name starts
	labels int
	zone   *authority // that the name is in, nil for none
	depth  int        // how many of labels stand in front of the zone's name
}

// parse reads msg and reports whether it deserves a reply: shorter messages cannot be answered, and answering a response
// could start a loop.
func (q *query) parse(msg []byte) bool {
	if len(msg) < headerLen || msg[2]&0x80 != 0 {
		return false
	}
	q.msg = msg
	q.id = binary.BigEndian.Uint16(msg)
	q.opcode = int(msg[2] >> 3 & 0xf)
	q.rd = msg[2]&0x01 != 0
	switch q.opcode {
	case dns.OpcodeQuery, dns.OpcodeNotify, dns.OpcodeUpdate:
		q.bad = !q.parseBody() || q.cut
	default: // whose body may have any form
		q.bad = true
	}
	if q.bad && !q.opt {
		q.findOPT()
	}
	return true
}

func (q *query) count(section int) int {
	return int(binary.BigEndian.Uint16(q.msg[4+2*section:]))
}

// parseBody reads the sections, the question first. It reads on after a wrong number of questions, since the error
// reply has to carry an OPT record if the query does. No question at all is for clients that want a cookie (RFC 7873
// section 5.4).
func (q *query) parseBody() bool {
	off, ok := headerLen, true
	if q.count(0) == 1 {
		off, ok = q.parseQuestion()
	} else {
		for i := 0; i < q.count(0) && ok; i++ {
			off, ok = skipName(q.msg, off)
			off += questionTail
		}
	}
	if !ok || !q.parseRecords(off) {
		return false
	}
	return q.count(0) == 1 || q.count(0) == 0 && q.cookie != nil
}

// parseQuestion reads the one question. Its name has nothing before it that a pointer could lead to, so it may not be
// compressed.
func (q *query) parseQuestion() (int, bool) {
	off := headerLen
	for off < len(q.msg) {
		n := int(q.msg[off])
		start, next := off-headerLen, off+1+n
		if n == 0 {
			q.nameLen = start + 1
			fold(q.name[:q.nameLen], q.msg[headerLen:])
			return q.parseType(next)
		}
		if n > dnssd.MaxLabel || next-headerLen >= dnssd.MaxName {
			return 0, false
		}
		q.starts[q.labels] = byte(start)
		q.labels++
		off = next
	}
	return 0, false
}

func (q *query) parseType(off int) (int, bool) {
	if off+questionTail > len(q.msg) {
		return 0, false
	}
	q.qtype = binary.BigEndian.Uint16(q.msg[off:])
	q.qclass = binary.BigEndian.Uint16(q.msg[off+2:])
	q.question = off + questionTail - headerLen
	return off + questionTail, true
}

// fold copies len(dst) octets of src, ASCII capitals as small letters and every other octet as it is (RFC 4343
// section 3). The lengths of labels are no letters.
func fold(dst, src []byte) {
	src = src[:len(dst)]
	for len(dst) >= 8 {
		binary.LittleEndian.PutUint64(dst, foldEight(binary.LittleEndian.Uint64(src)))
		dst, src = dst[8:], src[8:]
	}
	for i, c := range src {
		if c-'A' < 26 {
			c += 'a' - 'A'
		}
		dst[i] = c
	}
}

// foldEight folds eight octets at once. The highest bit of an octet of each sum says whether that octet is at least 'A',
// or beyond 'Z'.
func foldEight(x uint64) uint64 {
	const each, high = 0x0101010101010101, 0x8080808080808080
	low := x &^ high
	fromA, beyondZ := low+(0x80-'A')*each, low+(0x7f-'Z')*each
	return x | (fromA&^beyondZ&^x&high)>>2
}

// parseRecords walks over the records behind the questions, which must end where the message ends, and reads the OPT
// record among them. It stops at the first error.
func (q *query) parseRecords(off int) bool {
	for section := 1; section <= 3; section++ {
		for range q.count(section) {
			next, ok := q.parseRecord(off, section)
			if !ok {
				return false
			}
			off = next
		}
	}
	return off == len(q.msg)
}

// parseRecord reads one record and returns where the next one starts.
func (q *query) parseRecord(start, section int) (int, bool) {
	off, ok := skipName(q.msg, start)
	if !ok || off+recordFixed > len(q.msg) || q.tsigAt > 0 { // behind TSIG there is nothing (RFC 8945 section 5.1)
		return 0, false
	}
	end := off + recordFixed + int(binary.BigEndian.Uint16(q.msg[off+8:]))
	switch binary.BigEndian.Uint16(q.msg[off:]) {
	case dns.TypeOPT:
	case dns.TypeTSIG:
		q.tsigAt = start
		return end, end <= len(q.msg) && section == 3
	default:
		return end, end <= len(q.msg)
	}
	first := !q.opt
	q.parseOPT(off)
	ok = first && section == 3 && q.msg[start] == 0 && end <= len(q.msg)
	return end, ok && (q.version > 0 || q.parseOptions(q.msg[off+recordFixed:end]))
}

// parseOPT reads the fixed part of an OPT record behind its name (RFC 6891 section 6.1.3).
func (q *query) parseOPT(off int) {
	q.opt = true
	q.size = int(binary.BigEndian.Uint16(q.msg[off+2:]))
	q.version = q.msg[off+5]
	q.do = q.msg[off+6]&0x80 != 0
}

// parseOptions notes the options that are known and reports whether data is a row of whole options. The form of another
// EDNS version's data is unknown, so this is for version 0.
func (q *query) parseOptions(data []byte) bool {
	for len(data) > 0 {
		if len(data) < optionHeaderLen {
			return false
		}
		n := optionHeaderLen + int(binary.BigEndian.Uint16(data[2:]))
		if n > len(data) {
			return false
		}
		q.parseOption(binary.BigEndian.Uint16(data), data[optionHeaderLen:n])
		data = data[n:]
	}
	return true
}

func (q *query) parseOption(code uint16, data []byte) {
	switch code {
	case dns.EDNS0NSID: // whatever it says (RFC 5001 section 2.1)
		q.nsid = true
	case dns.EDNS0TCPKEEPALIVE:
		q.keepalive = true
	case dns.EDNS0COOKIE:
		if q.cookie == nil { // further ones do not count (RFC 7873 section 5.2)
			q.cookie = data
		}
	}
}

// findOPT looks for an OPT record at the very end of a message whose records cannot be counted up to there, so that the
// error reply can have one too (RFC 6891 section 7). What is not whole, or not of version 0, is not taken for one.
func (q *query) findOPT() {
	if q.count(3) == 0 {
		return
	}
	first := max(headerLen, len(q.msg)-soughtOPT)
	for start := len(q.msg) - optLen; start >= first; start-- {
		rest := q.msg[start:]
		if rest[0] != 0 || binary.BigEndian.Uint16(rest[1:]) != dns.TypeOPT || int(binary.BigEndian.Uint16(rest[9:])) != len(rest)-optLen {
			continue
		}
		if rest[6] == 0 && q.parseOptions(rest[optLen:]) {
			q.parseOPT(start + 1)
		}
		return
	}
}

// skipName returns where the name at off ends. It follows no pointer.
func skipName(msg []byte, off int) (int, bool) {
	for off < len(msg) {
		switch n := int(msg[off]); {
		case n == 0:
			return off + 1, true
		case n >= 0xc0:
			return off + 2, off+2 <= len(msg)
		case n > dnssd.MaxLabel:
			return 0, false
		default:
			off += 1 + n
		}
	}
	return 0, false
}

// suffix returns the last n labels of the question's name, with the root; there are that many.
func (q *query) suffix(n int) []byte {
	if n == 0 {
		return q.name[q.nameLen-1 : q.nameLen]
	}
	return q.name[q.starts[q.labels-n]:q.nameLen]
}

// below returns the n-th label below the zone, counted from 1 next to it, without its length.
func (q *query) below(n int) []byte {
	start := int(q.starts[q.depth-n])
	return q.name[start+1 : start+1+int(q.name[start])]
}
