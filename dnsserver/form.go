package dnsserver

import (
	"encoding/binary"

	"github.com/miekg/dns"
)

// form is a set packed as the answer at one name, with the sets that the additional section may have behind it. What is
// left to the reply is how far the records are rotated, the pointers that move with them, and the SOA's serial. It is
// immutable, and lies in one piece with what it refers to, so that copying it waits for memory once.
type form struct {
	tables []byte // a place for each record of the answer and one for where they end, then the extras
	wire   []byte // the answer's records, then the additional sets; nil if no message can hold the answer
	size   int32  // octets of the answer
	count  uint16 // of its records
	extras uint16

	serial   uint16    // where in wire an SOA record's serial is, 0 for none
	pointers uint8     // how many pointers an SOA record has
	pointer  [3]uint16 // where in wire
}

// place is where a record of the answer is.
type place struct {
	at    uint16 // in wire
	extra uint16 // index of the first set that belongs to it, or to a record behind it
}

// extra is a set of the additional section.
type extra struct {
	start  uint32 // in wire
	size   uint16
	count  uint16 // records, all of the same length
	record uint16 // of the answer that it belongs to

	// In a reply the set is there once: not if at least so many records stand before this one, since they include the
	// last one that brings the same set.
	gap uint16

	owner uint8 // offset of the owner's name in that record, or in the SRV record written last
	inSRV bool
	srv   bool
}

// Octets in the tables of a form.
const (
	placeLen = 4
	extraLen = 16
)

func (f *form) place(i int) place {
	b := f.tables[placeLen*i:]
	return place{binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])}
}

func (f *form) extra(i int) extra {
	b := f.tables[placeLen*(int(f.count)+1)+extraLen*i:][:extraLen]
	return extra{
		start:  binary.LittleEndian.Uint32(b),
		size:   binary.LittleEndian.Uint16(b[4:]),
		count:  binary.LittleEndian.Uint16(b[6:]),
		record: binary.LittleEndian.Uint16(b[8:]),
		gap:    binary.LittleEndian.Uint16(b[10:]),
		owner:  b[12],
		inSRV:  b[13] != 0,
		srv:    b[14] != 0,
	}
}

// packing is a form in the making.
type packing struct {
	form
	places []place
	sets   []extra
}

// newForm packs a set as the answer at a name of nameLen octets.
func newForm(set *rrset, nameLen int) *form {
	p := newPacking(set, nameLen)
	return p.finish()
}

// newPacking begins with a set as the answer at a name of nameLen octets.
func newPacking(set *rrset, nameLen int) *packing {
	p := &packing{form: form{size: int32(set.size)}}
	if set.size > maxMessageSize {
		return p
	}
	p.wire = make([]byte, 0, set.size)
	if set.soa != nil {
		p.places = []place{{}, {}}
		p.putSOA(set, nameLen)
		return p
	}
	p.places = make([]place, 0, len(set.records)+1)
	for i := range set.records {
		p.places = append(p.places, place{at: uint16(len(p.wire))})
		p.putRecord(set, &set.records[i], nameLen)
	}
	p.places = append(p.places, place{at: uint16(len(p.wire))})
	return p
}

// finish returns the form.
func (p *packing) finish() *form {
	tables := placeLen*len(p.places) + extraLen*len(p.sets)
	f, room := newRoom(tables + len(p.wire))
	*f = p.form
	f.count, f.extras = uint16(max(len(p.places)-1, 0)), uint16(len(p.sets))
	for _, at := range p.places {
		room = binary.LittleEndian.AppendUint16(room, at.at)
		room = binary.LittleEndian.AppendUint16(room, at.extra)
	}
	for i := range p.sets {
		room = p.sets[i].appendTo(room)
	}
	room = append(room, p.wire...)
	f.tables, f.wire = room[:tables:tables], room[tables:]
	return f
}

func (e *extra) appendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, e.start)
	for _, n := range [...]uint16{e.size, e.count, e.record, e.gap} {
		b = binary.LittleEndian.AppendUint16(b, n)
	}
	return append(b, e.owner, flag(e.inSRV), flag(e.srv), 0)
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// newRoom returns a form that is zero, and room for n octets, which is part of the same piece of memory if n is not
// large.
func newRoom(n int) (*form, []byte) {
	switch {
	case n <= 64:
		o := new(struct {
			form
			room [64]byte
		})
		return &o.form, o.room[:0]
	case n <= 192:
		o := new(struct {
			form
			room [192]byte
		})
		return &o.form, o.room[:0]
	case n <= 448:
		o := new(struct {
			form
			room [448]byte
		})
		return &o.form, o.room[:0]
	case n <= 704:
		o := new(struct {
			form
			room [704]byte
		})
		return &o.form, o.room[:0]
	case n <= 960:
		o := new(struct {
			form
			room [960]byte
		})
		return &o.form, o.room[:0]
	case n <= 1216:
		o := new(struct {
			form
			room [1216]byte
		})
		return &o.form, o.room[:0]
	default:
		return new(form), make([]byte, 0, n)
	}
}

// putRecord writes a record whose owner is the question's name.
func (p *packing) putRecord(set *rrset, rec *record, nameLen int) {
	p.putHeader(set, rec.len())
	p.putData(rec, nameLen)
}

func (p *packing) putHeader(set *rrset, length int) {
	p.wire = append(p.wire,
		0xc0, headerLen,
		byte(set.typ>>8), byte(set.typ),
		0, set.class,
		byte(set.ttl>>24), byte(set.ttl>>16), byte(set.ttl>>8), byte(set.ttl),
		byte(length>>8), byte(length))
}

func (p *packing) putData(rec *record, nameLen int) {
	p.wire = append(p.wire, rec.data...)
	if rec.tail > 0 {
		p.wire = binary.BigEndian.AppendUint16(p.wire, uint16(0xc000|headerLen+nameLen-int(rec.tail)))
	}
}

func (p *packing) putSOA(set *rrset, nameLen int) {
	p.note(0)
	p.putHeader(set, set.size-recordSize)
	for _, rec := range [...]*record{&set.soa.primary, &set.soa.mailbox} {
		p.putData(rec, nameLen)
		if rec.tail > 0 {
			p.note(len(p.wire) - pointerLen)
		}
	}
	p.serial = uint16(len(p.wire))
	p.wire = append(append(p.wire, 0, 0, 0, 0), set.soa.timers...)
}

// note notes where a pointer is.
func (p *packing) note(at int) {
	p.pointer[p.pointers] = uint16(at)
	p.pointers++
}

// begin makes the sets that are added from now on those of the answer's i-th record.
func (p *packing) begin(i int) { p.places[i].extra = uint16(len(p.sets)) }

// end ends adding.
func (p *packing) end() { p.begin(len(p.places) - 1) }

// add adds a set that belongs to the answer's record e.record. It has no pointers but its owner.
func (p *packing) add(set *rrset, e extra) {
	e.start, e.size = uint32(len(p.wire)), uint16(min(set.size, maxMessageSize))
	e.count, e.srv = uint16(len(set.records)), set.typ == dns.TypeSRV
	for i := range set.records {
		p.putRecord(set, &set.records[i], 0)
	}
	p.sets = append(p.sets, e)
}

// addHost adds the addresses of a host, nil for none.
func (p *packing) addHost(h *host, e extra) {
	if h == nil {
		return
	}
	for _, set := range [...]*rrset{h.a, h.aaaa} {
		if set != nil {
			p.add(set, e)
		}
	}
}

// addNameServers adds the addresses of the targets of NS records.
func (p *packing) addNameServers(set *rrset, servers []host) {
	for i := range set.records {
		p.begin(i)
		p.addHost(&servers[set.records[i].ref], extra{record: uint16(i), owner: recordSize, gap: uint16(len(set.records))})
	}
	p.end()
}

// addOf adds what belongs to a set of a service (RFC 2782, RFC 6763 section 12).
func (p *packing) addOf(set *rrset, s *service, all hosts) {
	switch {
	case p.wire == nil:
	case set.typ == dns.TypeSRV:
		p.addTargets(set, s, all)
	case set.typ == dns.TypePTR:
		p.addInstances(set, s, all)
	}
}

// srvFixed is what stands in front of the target in the data of an SRV record (RFC 2782).
const srvFixed = 6

// addTargets adds the addresses of the targets of SRV records.
func (p *packing) addTargets(set *rrset, s *service, all hosts) {
	targets := newTargets(set, func(r *record) int32 { return r.ref }, s, all)
	p.grow(len(targets), sizeOf(targets))
	for i, t := range targets {
		p.begin(i)
		p.addHost(t.host, extra{record: uint16(i), owner: recordSize + srvFixed, gap: t.gap})
	}
	p.end()
}

// addInstances adds the SRV, TXT and address records of the instances that PTR records name.
func (p *packing) addInstances(set *rrset, s *service, all hosts) {
	targets := newTargets(set, func(r *record) int32 { return s.instances[r.ref].srv.records[0].ref }, s, all)
	size, starts := sizeOf(targets), make(map[*rrset]uint32)
	for i := range set.records {
		in := &s.instances[set.records[i].ref]
		size += in.srv.size
		if _, counted := starts[in.txt]; !counted {
			starts[in.txt] = 0
			size += in.txt.size
		}
	}
	p.grow(3*len(targets), size)
	for i, t := range targets {
		p.begin(i)
		in := &s.instances[set.records[i].ref]
		own := extra{record: uint16(i), owner: recordSize, gap: uint16(len(targets))}
		p.add(in.srv, own)
		p.addShared(in.txt, own, starts)
		p.addHost(t.host, extra{record: uint16(i), owner: recordSize + srvFixed, inSRV: true, gap: t.gap})
	}
	p.end()
}

// addShared is add for a set that several owners have: starts has where in wire it is, 0, where the answer is, while it is
// not there.
func (p *packing) addShared(set *rrset, e extra, starts map[*rrset]uint32) {
	if e.start = starts[set]; e.start == 0 {
		starts[set] = uint32(len(p.wire))
		p.add(set, e)
		return
	}
	e.size, e.count = uint16(set.size), uint16(len(set.records))
	p.sets = append(p.sets, e)
}

// grow makes room for sets of so many octets in all.
func (p *packing) grow(sets, octets int) {
	p.wire = append(make([]byte, 0, len(p.wire)+octets), p.wire...)
	p.sets = make([]extra, 0, sets)
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
