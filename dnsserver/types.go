package dnsserver

import (
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// types is the list of answered service types (RFC 6763 section 9), kept for the view that was last asked.
type types struct {
	zone *zone
	ttl  time.Duration
	last atomic.Pointer[viewTypes]
}

type viewTypes struct {
	view *store.View
	set  *rrset
}

// in returns the PTR set of a view's answered service types, without records if there are none.
func (t *types) in(view *store.View) *rrset {
	if last := t.last.Load(); last != nil && last.view == view {
		return last.set
	}
	set := t.compile(view)
	t.last.Store(&viewTypes{view, set})
	return set
}

// compile stops where no reply could hold the set, which bounds its cost; such a set is never written.
func (t *types) compile(view *store.View) *rrset { return t.compileUpTo(view, maxMessageSize) }

// compileUpTo stops where the set is larger than most octets.
func (t *types) compileUpTo(view *store.View, most int) *rrset {
	set := newRRset(dns.TypePTR, t.ttl)
	if view.Answered("_tcp")+view.Answered("_udp") == 0 {
		return set
	}
	for snapshot := range view.All() {
		if ttl, ok := shortest(snapshot); ok {
			set.add(t.record(snapshot.Service), ttl)
		}
		if set.size > most {
			break
		}
	}
	return set
}

// record returns the PTR record of a service, whose labels are short enough because the store let it in.
func (t *types) record(service store.Service) record {
	name, proto := dnssd.CutService(string(service))
	data := append([]byte{byte(len(name) + 1), '_'}, name...)
	data = append(append(data, byte(len(proto))), proto...)
	return record{data: data, tail: uint8(len(t.zone.wire)), ref: noReference}
}

// shortest returns the least TTL of the answered instances, false if there are none.
func shortest(snapshot *store.Snapshot) (ttl time.Duration, ok bool) {
	for live := range snapshot.Up() {
		if !ok || live.TTL < ttl {
			ttl, ok = live.TTL, true
		}
	}
	return ttl, ok
}
