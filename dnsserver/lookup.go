package dnsserver

import (
	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// node is what stands at one name.
type node struct {
	exists bool
	broken bool  // it cannot be answered
	form   *form // the answer, where its sets are not kept; else of sets
	sets   [3]*rrset
	size   int // how many of sets there are

	pair    *pair    // that sets belong to, nil for none
	service *service // the same, of instances and subtypes
}

// set returns the set to answer a question of a type with, nil if there is none. For ANY that is the smallest one
// (RFC 8482 section 4.1).
func (n *node) set(qtype uint16) *rrset {
	var smallest *rrset
	for _, set := range n.sets[:n.size] {
		switch {
		case set.typ == qtype:
			return set
		case qtype == dns.TypeANY && (smallest == nil || set.size < smallest.size):
			smallest = set
		}
	}
	return smallest
}

// setsNode is a name that exists exactly if it has a set (RFC 4592 section 2.2.2).
func setsNode(sets ...*rrset) node {
	var n node
	for _, set := range sets {
		if set = set.orNil(); set != nil {
			n.sets[n.size] = set
			n.size++
		}
	}
	n.exists = n.size > 0
	return n
}

// lookup finds nodes in one view.
type lookup struct {
	*authority
	*cut
}

// pick returns the answer to a type at a node, which is that of the question's name; nil if there is none. A set is
// packed when it is first asked for.
func (l *lookup) pick(n *node, q *query) *form {
	if n.form != nil {
		return n.form
	}
	set := n.set(q.qtype)
	if set == nil {
		return nil
	}
	if f := set.form.Load(); f != nil {
		return f
	}
	p := newPacking(set, q.nameLen)
	switch {
	case n.service != nil:
		p.addOf(set, n.service, l.hostsBelow(n.pair))
	case set.typ == dns.TypeNS:
		p.addNameServers(set, l.zone.nameServers)
	}
	f := p.finish()
	set.form.Store(f)
	return f
}

// find returns the node of the question's name. The names are those of RFC 6763 sections 4, 7 and 9, the host names
// below a bare service name, and what lies between them and the zone.
func (l *lookup) find(q *query) node {
	if q.depth == 0 {
		return setsNode(l.zone.soa, l.zone.ns)
	}
	if l.reverse != nil {
		return l.reverse.find(l, q)
	}
	switch string(q.below(1)) {
	case "_tcp", "_udp":
		return l.underProtocol(q)
	default:
		return l.address(q)
	}
}

func (l *lookup) underProtocol(q *query) node {
	proto := string(q.below(1))
	switch {
	case q.depth == 1: // _udp always has the browsing names below it
		return node{exists: proto == "_udp" || l.view.Answered(proto) > 0}
	case proto == "_udp" && string(q.below(2)) == dnssd.MetaName:
		return l.discovery(q)
	default:
		return l.underService(q)
	}
}

// discovery answers the names below _dns-sd._udp.
func (l *lookup) discovery(q *query) node {
	switch q.depth {
	case 2:
		return node{exists: true}
	case 3:
		switch string(q.below(3)) {
		case "b", "db", "lb":
			return setsNode(l.zone.browse[string(q.below(3))])
		case dnssd.TypesLabel:
			return setsNode(l.types.in(l.view))
		}
	}
	return node{}
}

// underService answers a service's name and those below it.
func (l *lookup) underService(q *query) node {
	label := q.below(2)
	if label[0] != '_' {
		return node{}
	}
	proto := protoTCP
	if string(q.below(1)) == "_udp" {
		proto = protoUDP
	}
	f := l.pair(label[1:])
	switch {
	case f == nil || !f.services[proto].answered:
		return node{}
	case f.services[proto].broken:
		return node{broken: true}
	case q.depth == 2:
		return node{exists: true, form: l.form(f, proto, q.qtype)}
	}
	s := l.setsBelow(f, proto)
	var n node
	if string(q.below(3)) == dnssd.SubtypeLabel {
		n = subtype(q, s)
	} else if in := s.find(q.below(3)); in != nil && q.depth == 3 {
		n = setsNode(in.srv, in.txt)
	}
	n.pair, n.service = f, s
	return n
}

func subtype(q *query, s *service) node {
	switch q.depth {
	case 3:
		return node{exists: len(s.subtypes) > 0}
	case 4:
		return setsNode(s.subtypes[string(q.below(4))])
	default:
		return node{}
	}
}

// address answers a name server's name, a bare service name and the hosts below it.
func (l *lookup) address(q *query) node {
	if q.depth > 2 {
		return node{}
	}
	if server := l.zone.hosts[string(q.below(1))]; server != nil && q.depth == 1 {
		return setsNode(server.a, server.aaaa)
	}
	f := l.pair(q.below(1))
	if f == nil {
		return node{}
	}
	first, ok := f.bare()
	switch {
	case !ok:
		return node{}
	case f.services[first].broken:
		return node{broken: true}
	case q.depth == 1:
		all := l.bareForms(f)
		return node{exists: *all != bareForms{}, form: all.pick(q.qtype)}
	}
	if h := l.hostsBelow(f)[string(q.below(2))]; h != nil {
		return setsNode(h.a, h.aaaa)
	}
	return node{}
}
