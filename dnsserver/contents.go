package dnsserver

import (
	"encoding/binary"
	"iter"
	"math"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// contents is every record of a zone, as transfers need them: the sets that answers are copied from, each at the one
// name where it is, without a question that names it. What cannot be answered is not there either.
type contents struct {
	zone  *zone
	types *types
	ttl   time.Duration // the greatest of registered records

	reverse *reverse // of a reverse zone, whose types are not asked for; else nil
}

// placed is a set at its owner's name, in wire form with the letter case of its registration.
type placed struct {
	owner []byte
	set   *rrset
}

// rr is one record of class IN. Its slices are good until the next one is asked for.
type rr struct {
	owner []byte
	typ   uint16
	ttl   uint32
	data  []byte // uncompressed
}

// all iterates over every record of a view but the SOA, each once. It builds one service at a time, so that its need of
// memory does not depend on how many there are.
func (c contents) all(view *store.View) iter.Seq[placed] {
	return func(yield func(placed) bool) {
		more := c.zone.configured(yield)
		if c.reverse != nil {
			_ = more && c.reverse.all(c.zone, view, yield)
			return
		}
		more = more && c.listed(view, yield)
		for snapshot := range view.All() {
			if more = more && c.service(view, snapshot, yield); !more {
				return
			}
		}
	}
}

// configured yields the sets that do not depend on what is registered, and reports whether to go on.
func (z *zone) configured(yield func(placed) bool) bool {
	more := yield(placed{z.wire, z.ns})
	for label, h := range z.hosts {
		more = more && h.yield(join(z.wire, label), yield)
	}
	for label, set := range z.browse {
		more = more && yield(placed{join(z.wire, label, dnssd.MetaName, "_udp"), set})
	}
	for _, cut := range z.cuts {
		more = more && yield(placed{cut.wire, cut.ns})
		for label, h := range cut.hosts {
			more = more && h.yield(join(cut.wire, label), yield)
		}
	}
	return more
}

// listed yields the list of service types, even if it is too long for a message.
func (c contents) listed(view *store.View, yield func(placed) bool) bool {
	set := c.types.compileUpTo(view, math.MaxInt).orNil()
	return set == nil || yield(placed{c.typesName(), set})
}

func (c contents) typesName() []byte {
	return join(c.zone.wire, dnssd.TypesLabel, dnssd.MetaName, "_udp")
}

// service yields the sets of a service, and with the first of the two that share a bare name those below that.
func (c contents) service(view *store.View, snapshot *store.Snapshot, yield func(placed) bool) bool {
	s := compile(c.zone, snapshot, c.ttl)
	if s == nil || s.err != nil {
		return true
	}
	label, proto := dnssd.CutService(string(snapshot.Service))
	sibling := view.Service(snapshot.Service.Sibling())
	if proto == "_udp" && sibling.Answered() {
		return s.yield(yield)
	}
	return s.yield(yield) && c.addresses(label, snapshot, sibling, yield)
}

// yield yields the sets at the service's name and below it.
func (s *service) yield(yield func(placed) bool) bool {
	more := yieldSets(s.wire, yield, s.srv, s.ptr, s.txt)
	for i := range s.instances {
		in := &s.instances[i]
		more = more && yieldSets(s.instanceName(i), yield, in.srv, in.txt)
	}
	for label, set := range s.subtypes {
		more = more && yield(placed{join(s.wire, label, dnssd.SubtypeLabel), set})
	}
	return more
}

// instanceName returns the name of the i-th instance as it was registered.
func (s *service) instanceName(i int) []byte {
	label := s.ptr.records[i].data
	return append(append(make([]byte, 0, len(label)+len(s.wire)), label...), s.wire...)
}

// addresses yields the sets at the bare name that two services share, and below it. A name server of the same name comes
// first.
func (c contents) addresses(label string, first, second *store.Snapshot, yield func(placed) bool) bool {
	bare, more := join(c.zone.wire, label), true
	if c.zone.hosts[label] == nil {
		all := bareAddresses(first, second, c.ttl)
		more = all.yield(bare, yield)
	}
	for host, h := range hostAddresses(first, second, c.ttl) {
		more = more && h.yield(join(bare, host), yield)
	}
	return more
}

func (h *host) yield(owner []byte, yield func(placed) bool) bool {
	return yieldSets(owner, yield, h.a, h.aaaa)
}

func yieldSets(owner []byte, yield func(placed) bool, sets ...*rrset) bool {
	for _, set := range sets {
		if set.orNil() != nil && !yield(placed{owner, set}) {
			return false
		}
	}
	return true
}

// join returns the name of raw labels, which are known to be short enough, in front of a name in wire form.
func join(suffix []byte, labels ...string) []byte {
	name := make([]byte, 0, dnssd.WireLen(labels...)-1+len(suffix))
	for _, label := range labels {
		name = append(append(name, byte(len(label))), label...)
	}
	return append(name, suffix...)
}

// records iterates over the records of a set in their order.
func (p placed) records() iter.Seq[rr] {
	return func(yield func(rr) bool) {
		var data []byte
		for i := range p.set.records {
			data = p.set.records[i].appendTo(data[:0], p.owner)
			if !yield(rr{p.owner, p.set.typ, p.set.ttl, data}) {
				return
			}
		}
	}
}

// appendTo appends the record's data, uncompressed; the tail is that of the owner's name.
func (r *record) appendTo(buf, owner []byte) []byte {
	buf = append(buf, r.data...)
	return append(buf, owner[len(owner)-int(r.tail):]...)
}

// soaRecord returns the SOA record at a serial.
func (z *zone) soaRecord(serial uint32) rr {
	s := z.soa.soa
	data := s.mailbox.appendTo(s.primary.appendTo(nil, z.wire), z.wire)
	data = binary.BigEndian.AppendUint32(data, serial)
	return rr{z.wire, dns.TypeSOA, z.soa.ttl, append(data, s.timers...)}
}
