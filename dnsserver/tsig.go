package dnsserver

import (
	"crypto/hmac"
	"encoding/binary"
	"hash"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// Parts of a TSIG record (RFC 8945 section 4.2), in octets.
const (
	tsigTimers = 8                    // time signed and fudge
	tsigFixed  = tsigTimers + 2*4     // and the lengths of the MAC and of other data, original id, error
	tsigTime   = 6                    // other data of BADTIME
	minMAC     = 10                   // a truncated MAC is longer than that, and than half of a whole one
	tsigFudge  = uint64(5 * 60)       // seconds that a signature of ours is good for, before and after
	tsigClass  = uint16(dns.ClassANY) // of every TSIG record
)

// signature is the TSIG record of a query, and what came of it. Its slices belong to the query.
type signature struct {
	name      []byte // of the key, in wire form, small letters
	algorithm []byte // the same
	time      uint64 // when it was signed, in seconds of Unix time
	fudge     uint64
	mac       []byte
	original  uint16 // id that was signed
	errcode   uint16 // that the record carries
	other     []byte

	key  *tsigKey // nil: not known, or its algorithm is not the one named
	fail uint16   // 0: the signature is good; else the error that it is in (RFC 8945 section 5.2)
}

// verified returns the key that signed the query, nil if none did.
func (q *query) verified() *tsigKey {
	if q.sig == nil || q.sig.fail != 0 {
		return nil
	}
	return q.sig.key
}

// take reads and judges the TSIG record of q, if there is one: a form that is in error makes the query bad, everything
// else is noted in q.sig.
func (k tsigKeys) take(q *query) {
	if q.tsigAt == 0 || q.bad {
		return
	}
	sig, ok := parseTSIG(q.msg, q.tsigAt)
	if !ok {
		q.bad = true
		return
	}
	if sig.key = k[string(sig.name)]; sig.key != nil && string(sig.key.algorithm) != string(sig.algorithm) {
		sig.key = nil
	}
	if sig.key != nil && !sig.key.plausible(len(sig.mac)) {
		q.bad = true // RFC 8945 section 5.2.2.1
		return
	}
	sig.fail = sig.judge(q.msg[:q.tsigAt], nil, time.Now())
	q.sig = sig
}

// parseTSIG reads the TSIG record that ends a message, of which the part in front of its data is known to be there.
func parseTSIG(msg []byte, start int) (*signature, bool) {
	name, off, ok := readName(msg, start)
	if !ok || off+recordFixed > len(msg) {
		return nil, false
	}
	class, ttl := binary.BigEndian.Uint16(msg[off+2:]), binary.BigEndian.Uint32(msg[off+4:])
	s := &signature{name: name}
	data := msg[off+recordFixed:]
	if s.algorithm, off, ok = readName(data, 0); !ok || class != tsigClass || ttl != 0 { // from 0 no pointer leads back
		return nil, false
	}
	return s, s.parseData(data[off:])
}

// parseData reads what stands behind the algorithm.
func (s *signature) parseData(data []byte) bool {
	if len(data) < tsigFixed {
		return false
	}
	s.time = binary.BigEndian.Uint64(data) >> 16
	s.fudge = uint64(binary.BigEndian.Uint16(data[tsigTime:]))
	n := int(binary.BigEndian.Uint16(data[tsigTimers:]))
	data = data[tsigTimers+2:]
	if len(data) < n+6 {
		return false
	}
	s.mac, data = data[:n], data[n:]
	s.original = binary.BigEndian.Uint16(data)
	s.errcode = binary.BigEndian.Uint16(data[2:])
	s.other = data[6:]
	return len(s.other) == int(binary.BigEndian.Uint16(data[4:]))
}

// plausible reports whether a MAC of n octets may be one of the key's.
func (k *tsigKey) plausible(n int) bool { return n <= k.size && n >= minMAC && n >= k.size/2 }

// judge checks the signature over msg, which is the message up to the record, and the MAC of the message that it
// replies to, if it does. The order of the checks is that of RFC 8945 section 5.2. Truncated MACs are not taken, but
// told apart from wrong ones.
func (s *signature) judge(msg, request []byte, now time.Time) uint16 {
	if s.key == nil {
		return dns.RcodeBadKey
	}
	mac := s.key.mac(msg, s.original, request, func(h hash.Hash) { s.hashVariables(h) })
	at := uint64(now.Unix())
	switch {
	case !hmac.Equal(mac[:len(s.mac)], s.mac):
		return dns.RcodeBadSig
	case max(at, s.time)-min(at, s.time) > s.fudge:
		return dns.RcodeBadTime
	case len(s.mac) < s.key.size:
		return dns.RcodeBadTrunc
	}
	return 0
}

// mac returns the MAC of msg, which ends where its TSIG record starts but counts it in the header: there it is taken off
// and the id is the one given (RFC 8945 section 4.3). A prior MAC comes first.
func (k *tsigKey) mac(msg []byte, id uint16, prior []byte, variables func(hash.Hash)) []byte {
	h := hmac.New(k.hash, k.secret)
	if prior != nil {
		writeSized(h, prior)
	}
	var header [headerLen]byte
	copy(header[:], msg)
	binary.BigEndian.PutUint16(header[:], id)
	binary.BigEndian.PutUint16(header[10:], binary.BigEndian.Uint16(header[10:])-1)
	h.Write(header[:])
	h.Write(msg[headerLen:])
	variables(h)
	return h.Sum(nil)
}

// writeSized writes octets behind their count.
func writeSized(h hash.Hash, b []byte) {
	h.Write(binary.BigEndian.AppendUint16(nil, uint16(len(b))))
	h.Write(b)
}

// hashVariables writes what is signed of the record itself (RFC 8945 section 4.3.3).
func (s *signature) hashVariables(h hash.Hash) {
	h.Write(s.name)
	h.Write([]byte{byte(tsigClass >> 8), byte(tsigClass & 0xff), 0, 0, 0, 0}) // class and TTL
	h.Write(s.algorithm)
	h.Write(s.timers())
	h.Write(binary.BigEndian.AppendUint16(nil, s.errcode))
	writeSized(h, s.other)
}

func (s *signature) timers() []byte {
	return binary.BigEndian.AppendUint64(nil, s.time<<16|s.fudge)
}

// readName returns the name at off with its pointers followed and ASCII capitals folded, and where it ends in msg. Each
// pointer has to lead further back than the last, so that none leads in a circle.
func readName(msg []byte, off int) (name []byte, end int, ok bool) {
	back := off
	for off < len(msg) {
		n := int(msg[off])
		next := off + 1 + n
		switch {
		case n >= 0xc0 && off+1 < len(msg):
			if end == 0 {
				end = off + 2
			}
			if off = int(binary.BigEndian.Uint16(msg[off:])) & maxPointer; off >= back {
				return nil, 0, false
			}
			back = off
			continue
		case n > dnssd.MaxLabel || next > len(msg) || len(name)+1+n > dnssd.MaxName:
			return nil, 0, false
		}
		name = append(name, msg[off:next]...)
		if n == 0 {
			if end == 0 {
				end = next
			}
			fold(name, name)
			return name, end, true
		}
		off = next
	}
	return nil, 0, false
}
