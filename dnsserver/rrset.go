package dnsserver

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// rrset is the records of one name and type. It is immutable once built. Its owner name is not part of it: in a reply that
// is always a pointer.
type rrset struct {
	typ     uint16
	class   byte
	ttl     uint32 // in seconds, of every record (RFC 2181 section 5.2)
	size    int    // octets of all records in a reply
	records []record
	soa     *soa // in place of records

	form atomic.Pointer[form] // packed, once it was asked for; several names have one set only of TXT, whose form is for any
}

// record is the data of one record in wire form.
type record struct {
	data []byte
	tail uint8 // 0, or the length of the suffix of the question's name that ends the data, as a pointer to it
	ref  int32 // what the additional section adds for this record, an index that depends on the set; -1 for nothing
}

const (
	pointerLen  = 2
	recordSize  = pointerLen + recordFixed // without its data
	noReference = -1
)

// len returns how many octets the record's data takes in a reply.
func (r *record) len() int {
	if r.tail > 0 {
		return len(r.data) + pointerLen
	}
	return len(r.data)
}

// newRRset returns a set without records, to which add is then called. The TTL is the greatest one it may have.
func newRRset(typ uint16, ttl time.Duration) *rrset {
	return &rrset{typ: typ, class: dns.ClassINET, ttl: seconds(ttl)}
}

// seconds returns a TTL in whole seconds, at least 1: a TTL of 0 would make every cache ask each time.
func seconds(ttl time.Duration) uint32 { return uint32(max(ttl/time.Second, 1)) }

// add appends a record whose own TTL is ttl. The set's TTL is the least of them.
func (s *rrset) add(r record, ttl time.Duration) {
	s.records = append(s.records, r)
	s.size += recordSize + r.len()
	s.ttl = min(s.ttl, seconds(ttl))
}

// addDistinct adds a record unless an equal one is there; its TTL counts all the same. It compares with every record of
// the set.
func (s *rrset) addDistinct(r record, ttl time.Duration) {
	if slices.ContainsFunc(s.records, func(other record) bool { return bytes.Equal(other.data, r.data) }) {
		s.ttl = min(s.ttl, seconds(ttl))
		return
	}
	s.add(r, ttl)
}

// content is what makes two records of one name the same.
type content struct {
	typ  uint16
	data string
}

// distinctRecords is the records that the sets of one name have already (RFC 2181 section 5).
type distinctRecords map[content]bool

// add adds a record to a set unless it is there; its TTL counts all the same.
func (d distinctRecords) add(set *rrset, r record, ttl time.Duration) {
	key := content{set.typ, string(r.data)}
	if d[key] {
		set.ttl = min(set.ttl, seconds(ttl))
		return
	}
	d[key] = true
	set.add(r, ttl)
}

// orNil returns s, nil if it is empty: an empty set does not exist.
func (s *rrset) orNil() *rrset {
	if s == nil || len(s.records) == 0 && s.soa == nil {
		return nil
	}
	return s
}

// soa is the data of the SOA record, of which the serial is written into each reply.
type soa struct {
	primary, mailbox record
	timers           []byte // refresh, retry, expire, minimum
}

func newSOA(s *soa, ttl uint32) *rrset {
	return &rrset{
		typ:   dns.TypeSOA,
		class: dns.ClassINET,
		ttl:   ttl,
		size:  recordSize + s.primary.len() + s.mailbox.len() + 4 + len(s.timers),
		soa:   s,
	}
}

var errNameTooLong = errors.New("the name is too long")

// appendName appends the name of raw labels in front of suffix, which is a name in wire form.
func appendName(buf []byte, suffix []byte, labels ...string) ([]byte, error) {
	if n := dnssd.WireLen(labels...) - 1 + len(suffix); n > dnssd.MaxName {
		return nil, fmt.Errorf("%w: %d octets", errNameTooLong, n)
	}
	for _, label := range labels {
		if len(label) == 0 || len(label) > dnssd.MaxLabel {
			return nil, fmt.Errorf("%w: a label of %d octets", errNameTooLong, len(label))
		}
		buf = append(append(buf, byte(len(label))), label...)
	}
	return append(buf, suffix...), nil
}

// wireName returns the wire form of a name in presentation form.
func wireName(name string) ([]byte, error) {
	labels, err := dnssd.Split(name)
	if err != nil {
		return nil, err
	}
	return appendName(nil, []byte{0}, labels...)
}

func appendSRV(buf []byte, priority, weight, port uint16) []byte {
	buf = binary.BigEndian.AppendUint16(buf, priority)
	buf = binary.BigEndian.AppendUint16(buf, weight)
	return binary.BigEndian.AppendUint16(buf, port)
}
