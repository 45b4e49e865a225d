package dnsserver

import (
	"encoding/binary"

	"github.com/miekg/dns"
)

// maxTransferMessage is how large the messages of a transfer get: every name in them can be pointed to (RFC 5936
// section 3.4), and none is much larger than what a connection's buffers hold.
const maxTransferMessage = maxPointer + 1

// packer writes records into one message, their names compressed (RFC 1035 section 4.1.4) as far as the case of their
// letters is the same.
type packer struct {
	buf   []byte
	max   int            // octets of a message
	names map[string]int // where each name, down from any of its labels, is in the message
	count uint16         // of answers
	asks  bool           // there is a question
}

// start begins a message after what it is to have in front of the answers: its header, and the question if there is
// one, whose name is not compressed.
func (p *packer) start(head []byte, question bool) {
	p.buf = append(p.buf[:0], head...)
	p.count, p.asks = 0, question
	if p.names == nil {
		p.names = make(map[string]int)
	}
	clear(p.names)
	if question {
		end, _ := skipName(head, headerLen) // it was read before
		name := head[headerLen:end]
		p.note(name, len(name)-1, headerLen)
	}
}

// finish writes the counts of the question and of the answers, and returns the message, which is good until the next
// one is started.
func (p *packer) finish() []byte {
	if p.asks {
		p.buf[5] = 1
	}
	binary.BigEndian.PutUint16(p.buf[6:], p.count)
	return p.buf
}

// put writes a record into the answer section, or nothing if it does not fit, which it reports: then the message is
// full, and the next one is to be started.
func (p *packer) put(r rr) bool {
	size := len(p.buf)
	p.putName(r.owner)
	p.buf = binary.BigEndian.AppendUint16(p.buf, r.typ)
	p.buf = binary.BigEndian.AppendUint16(p.buf, dns.ClassINET)
	p.buf = binary.BigEndian.AppendUint32(p.buf, r.ttl)
	p.buf = append(p.buf, 0, 0)
	start := len(p.buf)
	p.putData(r)
	if len(p.buf) > p.max {
		p.buf = p.buf[:size]
		return false
	}
	binary.BigEndian.PutUint16(p.buf[start-2:], uint16(len(p.buf)-start))
	p.count++
	return true
}

// putData writes the data of a record. Names are compressed only where RFC 1035 defined the type (RFC 3597 section 4).
func (p *packer) putData(r rr) {
	data, names := r.data, 0
	switch r.typ {
	case dns.TypePTR, dns.TypeNS:
		names = 1
	case dns.TypeSOA:
		names = 2
	}
	for range names {
		end, _ := skipName(data, 0) // made here, and whole
		p.putName(data[:end])
		data = data[end:]
	}
	p.buf = append(p.buf, data...)
}

// putName writes a name, the longest end of it that the message has already as a pointer.
func (p *packer) putName(name []byte) {
	start, off := len(p.buf), 0
	at, known := 0, false
	for ; name[off] != 0; off += 1 + int(name[off]) {
		if at, known = p.names[string(name[off:])]; known {
			break
		}
	}
	p.note(name, off, start)
	p.buf = append(p.buf, name[:off]...)
	if known {
		p.buf = binary.BigEndian.AppendUint16(p.buf, 0xc000|uint16(at))
		return
	}
	p.buf = append(p.buf, 0)
}

// note remembers the names that begin within the first n octets of name, which is written at an offset.
func (p *packer) note(name []byte, n, at int) {
	for off := 0; off < n && at+off <= maxPointer; off += 1 + int(name[off]) {
		p.names[string(name[off:])] = at + off
	}
}
