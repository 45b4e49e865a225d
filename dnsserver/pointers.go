package dnsserver

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// pointers is the host names of a zone's addresses, for its reverse zones. It follows the zone from view to view, so that
// a change costs what has changed. Who first asks for a view brings it up to date while others who ask for it wait.
type pointers struct {
	prefixes []netip.Prefix // of the reverse zones

	mu   sync.Mutex // held while last is followed by another
	last atomic.Pointer[addressed]
}

// addressed is the addresses of one view. It is immutable.
type addressed struct {
	view *store.View
	addressList
}

// at returns the addresses of a view.
func (p *pointers) at(view *store.View) addressList {
	if last := p.last.Load(); last != nil && last.view == view {
		return last.addressList
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	last := p.last.Load()
	if last == nil {
		last = new(addressed)
	}
	if last.view != view {
		last = &addressed{view, last.apply(p.edits(last.view, view))}
		p.last.Store(last)
	}
	return last.addressList
}

// edits returns what has become of the addresses from one view to another, in their order.
func (p *pointers) edits(old, view *store.View) []*edit {
	edits := make(map[netip.Addr]*edit)
	at := func(addr netip.Addr) *edit {
		if edits[addr] == nil {
			edits[addr] = &edit{addr: addr}
		}
		return edits[addr]
	}
	for before, after := range view.Differences(old) {
		service := cmp.Or(after, before).Service
		for gone, come := range differing(before, after) {
			for addr, o := range p.owned(service, gone) {
				at(addr).gone = append(at(addr).gone, o)
			}
			for addr, o := range p.owned(service, come) {
				at(addr).come = append(at(addr).come, o)
			}
		}
	}
	list := make([]*edit, 0, len(edits))
	for _, e := range edits {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b *edit) int { return a.addr.Compare(b.addr) })
	return list
}

// owned iterates over the addresses within the prefixes of an instance that is answered; of nil there are none.
func (p *pointers) owned(service store.Service, live *store.Live) iter.Seq2[netip.Addr, owner] {
	return func(yield func(netip.Addr, owner) bool) {
		if live == nil || live.State() != store.Up || dnssd.IsExternal(live.Host) {
			return
		}
		for _, addr := range live.Addresses {
			within := slices.ContainsFunc(p.prefixes, func(prefix netip.Prefix) bool { return prefix.Contains(addr) })
			if within && !yield(addr, owner{service, live.Key(), live.Host, live.TTL}) {
				return
			}
		}
	}
}

// differing iterates over the instances whose addresses are not the same in two snapshots of a service: the one before
// and the one after, nil where there is none. Both snapshots are in the order of their instances' keys; nil has none.
func differing(before, after *store.Snapshot) iter.Seq2[*store.Live, *store.Live] {
	return func(yield func(gone, come *store.Live) bool) {
		a, b := instancesOf(before), instancesOf(after)
		for len(a) > 0 || len(b) > 0 {
			var gone, come *store.Live
			order := compareFirst(a, b)
			if order <= 0 {
				gone, a = &a[0], a[1:]
			}
			if order >= 0 {
				come, b = &b[0], b[1:]
			}
			if order == 0 && sameOwner(gone, come) {
				continue
			}
			if !yield(gone, come) {
				return
			}
		}
	}
}

func instancesOf(s *store.Snapshot) []store.Live {
	if s == nil {
		return nil
	}
	return s.Instances
}

// compareFirst compares the keys of the first of two lists of which one is not empty; none comes last.
func compareFirst(a, b []store.Live) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	default:
		return cmp.Compare(a[0].Key(), b[0].Key())
	}
}

// sameOwner reports whether two states of an instance are the same to those who ask whose an address is.
func sameOwner(a, b *store.Live) bool {
	return a.State() == b.State() && a.Host == b.Host && a.TTL == b.TTL && slices.Equal(a.Addresses, b.Addresses)
}

// owner is an instance that has an address. It holds on to no snapshot.
type owner struct {
	service store.Service
	key     string // of the instance
	host    string
	ttl     time.Duration
}

func (o owner) compare(other owner) int {
	return cmp.Or(cmp.Compare(o.service, other.service), cmp.Compare(o.key, other.key))
}

// edit is what has become of the owners of one address.
type edit struct {
	addr       netip.Addr
	gone, come []owner
}

// apply returns the owners after the edit, in order.
func (e *edit) apply(owners []owner) []owner {
	slices.SortFunc(e.gone, owner.compare)
	left := slices.DeleteFunc(slices.Clone(owners), func(o owner) bool {
		_, gone := slices.BinarySearchFunc(e.gone, o, owner.compare)
		return gone
	})
	left = append(left, e.come...)
	slices.SortFunc(left, owner.compare)
	return left
}
