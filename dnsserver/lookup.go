package dnsserver

import (
	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// node is what stands at one name.
type node struct {
	exists  bool
	broken  string // why it cannot be answered
	sets    [3]*rrset
	size    int      // how many of sets there are
	service *service // whose sets they are
}

// pick returns the set to answer a question of a type with, nil if there is none. For ANY that is the smallest one
// (RFC 8482 section 4.1).
func (n *node) pick(qtype uint16) *rrset {
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
	view *store.View
}

// find returns the node of the question's name. The names are those of RFC 6763 sections 4, 7 and 9, the host names
// below a bare service name, and what lies between them and the zone.
func (l *lookup) find(q *query) node {
	if q.depth == 0 {
		return setsNode(l.zone.soa, l.zone.ns)
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
			return setsNode(l.zone.browse)
		case dnssd.TypesLabel:
			return setsNode(l.types.in(l.view))
		}
	}
	return node{}
}

// underService answers a service's name and those below it.
func (l *lookup) underService(q *query) node {
	s := l.service(q.below(2), q.below(1))
	switch {
	case s == nil:
		return node{}
	case s.err != nil:
		return node{broken: "a name of the service cannot be encoded"}
	}
	var n node
	switch {
	case q.depth == 2:
		n = setsNode(s.srv, s.ptr, s.txt)
	case string(q.below(3)) == dnssd.SubtypeLabel:
		n = subtype(q, s)
	case q.depth == 3:
		if in := s.find(q.below(3)); in != nil {
			n = setsNode(in.srv, in.txt)
		}
	}
	n.service = s
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
	s := l.bareService(q.below(1))
	switch {
	case s == nil:
		return node{}
	case s.err != nil:
		return node{broken: "a name of the service cannot be encoded"}
	}
	all := l.cache.addresses(l.view, s)
	if q.depth == 1 {
		return setsNode(all.all.a, all.all.aaaa)
	}
	if h := all.hosts[string(q.below(2))]; h != nil {
		return setsNode(h.a, h.aaaa)
	}
	return node{}
}

// bareService returns one of the services that share a bare name, nil if neither is answered.
func (l *lookup) bareService(label []byte) *service {
	var buf [1 + dnssd.MaxLabel]byte
	name := append(append(buf[:0], '_'), label...)
	for _, proto := range [...]string{"_tcp", "_udp"} {
		if s := l.service(name, []byte(proto)); s != nil {
			return s
		}
	}
	return nil
}

// service returns the service of a name label and a protocol label, nil if it is not answered.
func (l *lookup) service(name, proto []byte) *service {
	var buf [2*dnssd.MaxLabel + 1]byte
	full := append(append(append(buf[:0], name...), '.'), proto...)
	return l.cache.service(l.view, store.Service(full))
}
