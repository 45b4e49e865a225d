package dnsserver

import (
	"encoding/binary"
	"hash"
	"time"

	"github.com/miekg/dns"
)

// signer signs the messages of one reply, or of a request. A nil one signs nothing.
type signer struct {
	sig    signature // of the next message
	prior  []byte    // the MAC of the message before, which the next one is chained to
	stream bool      // a message was signed, so that of the variables only the timers follow (RFC 8945 section 5.3.1)
}

// newSigner returns what signs the reply to a query: not at all if that had no TSIG record, without a MAC where the key
// or the signature was wrong (RFC 8945 section 5.3.2).
func newSigner(q *query) *signer {
	if q.sig == nil {
		return nil
	}
	s := &signer{sig: signature{name: q.sig.name, algorithm: q.sig.algorithm, errcode: q.sig.fail}, prior: q.sig.mac}
	if q.sig.fail != dns.RcodeBadKey && q.sig.fail != dns.RcodeBadSig {
		s.sig.key = q.sig.key
	}
	if q.sig.fail == dns.RcodeBadTime {
		s.sig.time = q.sig.time
		s.sig.other = binary.BigEndian.AppendUint64(nil, uint64(time.Now().Unix()))[2:]
	}
	return s
}

// size returns the octets that sign adds.
func (s *signer) size() int {
	if s == nil {
		return 0
	}
	n := len(s.sig.name) + recordFixed + len(s.sig.algorithm) + tsigFixed + len(s.sig.other)
	if s.sig.key != nil {
		n += s.sig.key.size
	}
	return n
}

// sign appends the TSIG record to the message that starts at base of buf, and counts it.
func (s *signer) sign(buf []byte, base int) []byte {
	if s == nil {
		return buf
	}
	msg := buf[base:]
	binary.BigEndian.PutUint16(msg[10:], binary.BigEndian.Uint16(msg[10:])+1)
	s.sig.original = binary.BigEndian.Uint16(msg)
	s.sig.fudge = tsigFudge
	if s.sig.errcode != dns.RcodeBadTime {
		s.sig.time = uint64(time.Now().Unix())
	}
	s.sig.mac = nil
	if s.sig.key != nil {
		s.sig.mac = s.sig.key.mac(msg, s.sig.original, s.prior, s.variables)
		s.prior, s.stream = s.sig.mac, true
	}
	return s.sig.append(buf)
}

func (s *signer) variables(h hash.Hash) {
	if s.stream {
		h.Write(s.sig.timers())
		return
	}
	s.sig.hashVariables(h)
}

// append appends the record (RFC 8945 section 4.2).
func (s *signature) append(buf []byte) []byte {
	buf = append(buf, s.name...)
	buf = binary.BigEndian.AppendUint16(buf, dns.TypeTSIG)
	buf = binary.BigEndian.AppendUint16(buf, tsigClass)
	buf = append(buf, 0, 0, 0, 0)
	buf = binary.BigEndian.AppendUint16(buf, uint16(len(s.algorithm)+tsigFixed+len(s.mac)+len(s.other)))
	buf = append(append(buf, s.algorithm...), s.timers()...)
	buf = append(binary.BigEndian.AppendUint16(buf, uint16(len(s.mac))), s.mac...)
	buf = binary.BigEndian.AppendUint16(buf, s.original)
	buf = binary.BigEndian.AppendUint16(buf, s.errcode)
	buf = binary.BigEndian.AppendUint16(buf, uint16(len(s.other)))
	return append(buf, s.other...)
}
