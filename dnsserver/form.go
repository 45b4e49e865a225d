package dnsserver

import (
	"encoding/binary"

	"github.com/miekg/dns"
)

// form is a set packed as the answer at one name, with the sets that the additional section may have behind it. What is
// left to the reply is how far the records are rotated, the pointers that move with them, and the SOA's serial. It is
// immutable.
type form struct {
	wire    []byte  // the answer's records, then the additional sets
	size    int     // octets of the answer; one that no message can hold is not in wire
	records []place // of the answer, and one more where they end
	extras  []extra // in the order of the records that they belong to

	pointers []int // where in wire the pointers of an SOA record are, and its serial; else none, and 0
	serial   int
}

// place is where a record of the answer is.
type place struct {
	at    uint16 // in wire
	extra uint16 // index of the first set that belongs to it, or to a record behind it
}

// extra is a set of the additional section.
type extra struct {
	start, size uint32 // in wire
	count       uint16 // records, all of the same length
	record      uint16 // of the answer that it belongs to
	owner       uint16 // offset of the owner's name in that record, or in the SRV record written last
	inSRV       bool
	srv         bool

	// In a reply the set is there once: not if at least so many records stand before this one, since they include the
	// last one that brings the same set.
	gap uint16
}

// newForm packs a set as the answer at a name of nameLen octets.
func newForm(set *rrset, nameLen int) *form {
	f := &form{size: set.size}
	if set.size > maxMessageSize {
		return f
	}
	f.wire = make([]byte, 0, set.size)
	if set.soa != nil {
		f.records = []place{{}, {}}
		f.putSOA(set, nameLen)
		return f
	}
	f.records = make([]place, 0, len(set.records)+1)
	for i := range set.records {
		f.records = append(f.records, place{at: uint16(len(f.wire))})
		f.putRecord(set, &set.records[i], nameLen)
	}
	f.records = append(f.records, place{at: uint16(len(f.wire))})
	return f
}

// putRecord writes a record whose owner is the question's name.
func (f *form) putRecord(set *rrset, rec *record, nameLen int) {
	f.putHeader(set, rec.len())
	f.putData(rec, nameLen)
}

func (f *form) putHeader(set *rrset, length int) {
	f.wire = append(f.wire,
		0xc0, headerLen,
		byte(set.typ>>8), byte(set.typ),
		0, set.class,
		byte(set.ttl>>24), byte(set.ttl>>16), byte(set.ttl>>8), byte(set.ttl),
		byte(length>>8), byte(length))
}

func (f *form) putData(rec *record, nameLen int) {
	f.wire = append(f.wire, rec.data...)
	if rec.tail > 0 {
		f.wire = binary.BigEndian.AppendUint16(f.wire, uint16(0xc000|headerLen+nameLen-int(rec.tail)))
	}
}

func (f *form) putSOA(set *rrset, nameLen int) {
	f.pointers = []int{0}
	f.putHeader(set, set.size-recordSize)
	for _, rec := range []*record{&set.soa.primary, &set.soa.mailbox} {
		f.putData(rec, nameLen)
		if rec.tail > 0 {
			f.pointers = append(f.pointers, len(f.wire)-pointerLen)
		}
	}
	f.serial = len(f.wire)
	f.wire = append(append(f.wire, 0, 0, 0, 0), set.soa.timers...)
}

// begin makes the sets that are added from now on those of the answer's i-th record.
func (f *form) begin(i int) { f.records[i].extra = uint16(len(f.extras)) }

// end ends adding.
func (f *form) end() { f.begin(len(f.records) - 1) }

// add adds a set that belongs to the answer's record e.record. It has no pointers but its owner.
func (f *form) add(set *rrset, e extra) {
	e.start, e.size = uint32(len(f.wire)), uint32(set.size)
	e.count, e.srv = uint16(len(set.records)), set.typ == dns.TypeSRV
	for i := range set.records {
		f.putRecord(set, &set.records[i], 0)
	}
	f.extras = append(f.extras, e)
}

// addHost adds the addresses of a host, nil for none.
func (f *form) addHost(h *host, e extra) {
	if h == nil {
		return
	}
	for _, set := range [...]*rrset{h.a, h.aaaa} {
		if set != nil {
			f.add(set, e)
		}
	}
}

// addNameServers adds the addresses of the targets of NS records.
func (f *form) addNameServers(set *rrset, servers []host) {
	for i := range set.records {
		f.begin(i)
		f.addHost(&servers[set.records[i].ref], extra{record: uint16(i), owner: recordSize, gap: uint16(len(set.records))})
	}
	f.end()
}

// addOf adds what belongs to a set of a service (RFC 2782, RFC 6763 section 12).
func (f *form) addOf(set *rrset, s *service, all hosts) {
	switch {
	case f.wire == nil:
	case set.typ == dns.TypeSRV:
		f.addTargets(set, s, all)
	case set.typ == dns.TypePTR:
		f.addInstances(set, s, all)
	}
}

// srvFixed is what stands in front of the target in the data of an SRV record (RFC 2782).
const srvFixed = 6

// addTargets adds the addresses of the targets of SRV records.
func (f *form) addTargets(set *rrset, s *service, all hosts) {
	targets := newTargets(set, func(r *record) int32 { return r.ref }, s, all)
	f.grow(len(targets), sizeOf(targets))
	for i, t := range targets {
		f.begin(i)
		f.addHost(t.host, extra{record: uint16(i), owner: recordSize + srvFixed, gap: t.gap})
	}
	f.end()
}

// addInstances adds the SRV, TXT and address records of the instances that PTR records name.
func (f *form) addInstances(set *rrset, s *service, all hosts) {
	targets := newTargets(set, func(r *record) int32 { return s.instances[r.ref].srv.records[0].ref }, s, all)
	size := sizeOf(targets)
	for i := range set.records {
		in := &s.instances[set.records[i].ref]
		size += in.srv.size + in.txt.size
	}
	f.grow(3*len(targets), size)
	for i, t := range targets {
		f.begin(i)
		in := &s.instances[set.records[i].ref]
		own := extra{record: uint16(i), owner: recordSize, gap: uint16(len(targets))}
		f.add(in.srv, own)
		f.add(in.txt, own)
		f.addHost(t.host, extra{record: uint16(i), owner: recordSize + srvFixed, inSRV: true, gap: t.gap})
	}
	f.end()
}

// grow makes room for sets of so many octets in all.
func (f *form) grow(sets, octets int) {
	f.wire = append(make([]byte, 0, len(f.wire)+octets), f.wire...)
	f.extras = make([]extra, 0, sets)
}

// target is the host that a record of an answer leads to.
type target struct {
	*host
	gap uint16 // for how many records further ahead, in the round, is the last one of the same host; all if there is none
}

// newTargets returns the targets of a set's records, whose references to hosts ref returns.
func newTargets(set *rrset, ref func(*record) int32, s *service, all hosts) []target {
	n := len(set.records)
	targets := make([]target, n)
	last := make([]int, len(s.hosts))
	for i := range 2 * n {
		h := ref(&set.records[i%n])
		if i < n {
			targets[i].host = all.of(s, h)
		}
		targets[i%n].gap = uint16(i - last[h])
		last[h] = i
	}
	return targets
}

func sizeOf(targets []target) int {
	n := 0
	for _, t := range targets {
		if t.host != nil {
			n += t.size()
		}
	}
	return n
}
