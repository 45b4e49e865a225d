package dnsserver

import "github.com/miekg/dns"

// additional writes what a client will ask for next (RFC 2782, RFC 6763 section 12) behind an answer whose first
// record's data is at offset first: whole sets, as many as fit, their owner names pointers to where the answer names
// them.
func (l *lookup) additional(r *reply, n *node, set *rrset, first int) {
	switch {
	case set.typ == dns.TypeNS:
		l.addNameServers(r, set, first)
	case n.service == nil:
	case set.typ == dns.TypeSRV:
		a := l.newExtra(r, n.service)
		a.addTargets(set, first)
	case set.typ == dns.TypePTR:
		a := l.newExtra(r, n.service)
		a.addInstances(set, first)
	}
}

func (l *lookup) addNameServers(r *reply, set *rrset, off int) {
	for i := range set.records {
		rec := set.turned(i, r.turn)
		if !r.putHost(off, &l.zone.nameServers[rec.ref]) {
			return
		}
		off += rec.len() + recordSize
	}
}

// putHost writes the addresses of a host whose name is at offset owner, and reports whether they fit.
func (r *reply) putHost(owner int, h *host) bool {
	for _, set := range [...]*rrset{h.a, h.aaaa} {
		if set != nil && r.put(additionalSection, owner, set) == 0 {
			return false
		}
	}
	return true
}

// maxExtraHosts bounds the hosts of one service of which an additional section can have addresses: no reply has room
// for more.
const maxExtraHosts = 4096

// extra is an additional section in the making.
type extra struct {
	*reply
	service   *service
	addresses *addresses
	done      [maxExtraHosts / 64]uint64 // by reference: hosts whose addresses are there
}

func (l *lookup) newExtra(r *reply, s *service) extra {
	return extra{reply: r, service: s, addresses: l.cache.addresses(l.view, s)}
}

// addTargets adds the addresses of the targets of an SRV set whose first record's data is at off.
func (e *extra) addTargets(set *rrset, off int) {
	for i := range set.records {
		rec := set.turned(i, e.turn)
		if !e.addTarget(rec, off) {
			return
		}
		off += rec.len() + recordSize
	}
}

// srvFixed is what stands in front of the target in the data of an SRV record (RFC 2782).
const srvFixed = 6

// addTarget adds the addresses of the target of an SRV record whose data is at off, unless they are there already. It
// reports whether there may be room for more.
func (e *extra) addTarget(rec *record, off int) bool {
	if rec.ref < 0 || rec.ref >= maxExtraHosts {
		return true
	}
	word, bit := rec.ref/64, uint64(1)<<(rec.ref%64)
	h := e.addresses.byRef[rec.ref]
	if h == nil || e.done[word]&bit != 0 {
		return true
	}
	e.done[word] |= bit
	return e.putHost(off+srvFixed, h)
}

// addInstances adds the SRV, TXT and address records of the instances of a PTR set whose first record's data is at off.
func (e *extra) addInstances(set *rrset, off int) {
	for i := range set.records {
		rec := set.turned(i, e.turn)
		in := &e.service.instances[rec.ref]
		srv := e.put(additionalSection, off, in.srv)
		if srv == 0 || e.put(additionalSection, off, in.txt) == 0 || !e.addTarget(&in.srv.records[0], srv) {
			return
		}
		off += rec.len() + recordSize
	}
}
