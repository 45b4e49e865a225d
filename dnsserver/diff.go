package dnsserver

import (
	"bytes"
	"encoding/binary"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// packed is records one behind another: owner, type, TTL, length of the data, data.
type packed []byte

const packedFixed = 8 // octets between the owner and the data

func (p packed) with(r rr) packed {
	p = append(p, r.owner...)
	p = binary.BigEndian.AppendUint16(p, r.typ)
	p = binary.BigEndian.AppendUint32(p, r.ttl)
	p = binary.BigEndian.AppendUint16(p, uint16(len(r.data)))
	return append(p, r.data...)
}

// next returns the first record, which there is, and what is behind it.
func (p packed) next() (rr, packed) {
	n, _ := skipName(p, 0) // as it was packed
	fixed := p[n:]
	end := packedFixed + int(binary.BigEndian.Uint16(fixed[6:]))
	return rr{
		owner: p[:n],
		typ:   binary.BigEndian.Uint16(fixed),
		ttl:   binary.BigEndian.Uint32(fixed[2:]),
		data:  fixed[packedFixed:end],
	}, fixed[end:]
}

// diff finds the records that two views differ in.
type diff struct {
	*journal
	old, view      *store.View
	removed, added packed
	full           bool // they no longer fit into the journal: nothing more is noted

	services map[*store.Snapshot]*service // what was compiled; nil: not answered
	began    []store.Service              // that are answered only in view
	ended    []store.Service              // that are answered only in old
}

func newDiff(j *journal, old, view *store.View) *diff {
	return &diff{journal: j, old: old, view: view, full: j.max < 0, services: make(map[*store.Snapshot]*service)}
}

func (d *diff) run() {
	if v := d.contents.reverse; v != nil {
		d.reverse(v)
		return
	}
	ttl := d.typesTTL()
	names := make(map[string]bool)
	for before, after := range d.view.Differences(d.old) {
		name := before
		if name == nil {
			name = after
		}
		d.noteTTL(name.Service, after)
		d.noteType(name.Service, before, after)
		label, _ := dnssd.CutService(string(name.Service))
		names[label] = true
		d.sets(d.compile(before).byName(), d.compile(after).byName())
	}
	for label := range names {
		d.sets(d.bare(d.old, label), d.bare(d.view, label))
	}
	d.types(ttl, d.typesTTL())
}

// reverse notes what the sets of a reverse zone differ in. The addresses of the old view are those of the new one, taken
// back.
func (d *diff) reverse(v *reverse) {
	after := v.pointers.at(d.view)
	back := v.pointers.edits(d.view, d.old)
	before := after.apply(back)
	for _, e := range back {
		if v.has(e.addr) {
			was, is := make(sets), make(sets)
			v.yield(d.contents.zone, before.find(e.addr), was.put)
			v.yield(d.contents.zone, after.find(e.addr), is.put)
			d.sets(was, is)
		}
	}
}

// compile returns the record sets of a service, nil if it is not answered, or cannot be.
func (d *diff) compile(snapshot *store.Snapshot) *service {
	if snapshot == nil || d.full {
		return nil
	}
	s, ok := d.services[snapshot]
	if !ok {
		if s = compile(d.contents.zone, snapshot, d.contents.ttl); s != nil && s.err != nil {
			s = nil
		}
		d.services[snapshot] = s
	}
	return s
}

// setKey tells the sets of a zone apart; letters of another case are another name.
type setKey struct {
	owner string
	typ   uint16
}

type sets map[setKey]placed

func (s sets) put(p placed) bool {
	s[setKey{string(p.owner), p.set.typ}] = p
	return true
}

// byName returns the sets at the service's name and below it, none for a nil service.
func (s *service) byName() sets {
	all := make(sets)
	if s != nil {
		s.yield(all.put)
	}
	return all
}

// bare returns the sets at a bare name in a view, and below it. As in answers, that of _tcp decides.
func (d *diff) bare(view *store.View, label string) sets {
	all := make(sets)
	tcp, udp := view.Named([]byte(label))
	first := tcp
	if !tcp.Answered() {
		first = udp
	}
	if d.compile(first) != nil {
		d.contents.addresses(label, tcp, udp, all.put)
	}
	return all
}

// sets notes what the sets of some names differ in.
func (d *diff) sets(before, after sets) {
	for key, b := range before {
		a, kept := after[key]
		switch {
		case !kept:
			d.remove(b)
		case a.set.ttl != b.set.ttl: // which is part of every record
			d.remove(b)
			d.insert(a)
		case !a.set.equal(b.set):
			d.remove(b.without(a))
			d.insert(a.without(b))
		}
	}
	for key, a := range after {
		if _, kept := before[key]; !kept {
			d.insert(a)
		}
	}
}

// equal reports whether two sets of one name have the same records in the same order.
func (s *rrset) equal(other *rrset) bool {
	if len(s.records) != len(other.records) {
		return false
	}
	for i := range s.records {
		a, b := &s.records[i], &other.records[i]
		if a.tail != b.tail || !bytes.Equal(a.data, b.data) {
			return false
		}
	}
	return true
}

// without returns the records that another set of the same name lacks.
func (p placed) without(other placed) placed {
	there := make(map[string]bool, len(other.set.records))
	for i := range other.set.records {
		there[string(other.set.records[i].data)] = true
	}
	left := &rrset{typ: p.set.typ, ttl: p.set.ttl}
	for i := range p.set.records {
		if !there[string(p.set.records[i].data)] {
			left.records = append(left.records, p.set.records[i])
		}
	}
	return placed{p.owner, left}
}

func (d *diff) remove(p placed) {
	for r := range p.records() {
		d.removed = d.note(d.removed, r)
	}
}

func (d *diff) insert(p placed) {
	for r := range p.records() {
		d.added = d.note(d.added, r)
	}
}

// note appends a record unless the journal could not hold it.
func (d *diff) note(p packed, r rr) packed {
	if d.full = d.full || len(d.removed)+len(d.added) > d.max; d.full {
		return p
	}
	return p.with(r)
}

// noteType notes whether a service begins or ends to be listed.
func (d *diff) noteType(name store.Service, before, after *store.Snapshot) {
	switch was, is := before.Answered(), after.Answered(); {
	case was && !is:
		d.ended = append(d.ended, name)
	case is && !was:
		d.began = append(d.began, name)
	}
}

// types notes what the lists of service types differ in: all of it if they have different TTLs.
func (d *diff) types(before, after uint32) {
	if before != after {
		d.ended, d.began = answered(d.old), answered(d.view)
	}
	d.remove(d.typesOf(d.ended, before))
	d.insert(d.typesOf(d.began, after))
}

func answered(view *store.View) []store.Service {
	var all []store.Service
	for snapshot := range view.All() {
		if snapshot.Answered() {
			all = append(all, snapshot.Service)
		}
	}
	return all
}

// typesOf returns the part of the list of service types that names some services.
func (d *diff) typesOf(services []store.Service, ttl uint32) placed {
	set := &rrset{typ: dns.TypePTR, ttl: ttl}
	for _, s := range services {
		set.records = append(set.records, d.contents.types.record(s))
	}
	return placed{d.contents.typesName(), set}
}
