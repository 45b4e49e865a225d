package dnsserver

import (
	"bytes"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/store"
)

// authority answers for one zone. What a server has once for all its zones is the Server's.
type authority struct {
	source Source
	zone   *zone
	ttl    time.Duration // the greatest that a registered record may have
	logger *slog.Logger
	index  *index
	last   atomic.Pointer[cut]
	types  types

	transfers transfers
	reverse   *reverse // of a reverse zone, else nil

	below map[string]bool // names in the zone, in wire form, at or below which another zone of the server begins
}

// newAuthority returns the authority for one zone of a config that has been completed and checked.
func newAuthority(c Config, pool *transferPool, config Zone) (*authority, error) {
	z, err := newZone(config, c.NegativeTTL)
	if err != nil {
		return nil, err
	}
	a := &authority{
		source: config.Source,
		zone:   z,
		ttl:    c.TTL,
		logger: c.Logger,
		index:  newIndex(),
		types:  types{zone: z, ttl: c.TTL},
	}
	a.transfers = pool.newTransfers(a, c, config.Transfer)
	return a, nil
}

// answer answers a question within the zone from the current view, as far as that can be trusted.
func (a *authority) answer(q *query, r *reply) {
	freshness := a.source.Freshness() // before the view, which may be newer but not older than what it says
	view := a.source.View()
	switch freshness {
	case store.Synced:
	case store.Stale:
		r.extended(dns.ExtendedErrorCodeStaleAnswer, "")
	default:
		r.unavailable(view)
		return
	}
	r.serial = view.Revision().Serial()
	l := lookup{authority: a, cut: a.cut(view)}
	n := l.find(q)
	switch f := l.pick(&n, q); {
	case n.broken:
		r.fail(dns.ExtendedErrorCodeOther, "a name of the service cannot be encoded")
	case f == nil:
		r.negative(a.zone, n.exists || a.below[string(q.name[:q.nameLen])])
	default:
		r.answer(f)
	}
}

// cut is a view with a number of its own, by which what was seen to belong to it can be told without holding on to it.
type cut struct {
	view   *store.View
	number uint64 // from 1; a view that another has taken turns with may get several
}

// cut returns the number of a view, a new one unless it is that of the last query.
func (a *authority) cut(view *store.View) *cut {
	for {
		last := a.last.Load()
		if last != nil && last.view == view {
			return last
		}
		next := &cut{view: view, number: 1}
		if last != nil {
			next.number += last.number
		}
		if a.last.CompareAndSwap(last, next) {
			return next
		}
	}
}

// authorities is the zones of a server, each at the number of labels that its name has: those with most come first. It
// is immutable.
type authorities []level

// level is the zones whose names have the same number of labels, by their wire form.
type level struct {
	labels int
	first  *authority // of zones, mostly the only one: compared before it is looked for
	zones  map[string]*authority
}

func (l *level) named(wire []byte) *authority {
	if bytes.Equal(l.first.zone.wire, wire) {
		return l.first
	}
	return l.zones[string(wire)]
}

// newAuthorities returns the zones of a config that has been completed and checked.
func newAuthorities(c Config, pool *transferPool) (authorities, error) {
	var all authorities
	for _, config := range c.Zones {
		a, err := newAuthority(c, pool, config)
		if err != nil {
			return nil, err
		}
		list, err := newReverse(c, pool, config)
		if err != nil {
			return nil, err
		}
		for _, a := range append(list, a) {
			all = all.with(a)
		}
	}
	for _, level := range all {
		for _, a := range level.zones {
			all.delegate(a)
		}
	}
	return all, nil
}

func (all authorities) with(a *authority) authorities {
	i := slices.IndexFunc(all, func(l level) bool { return l.labels <= a.zone.labels })
	if i < 0 {
		i = len(all)
	}
	if i == len(all) || all[i].labels < a.zone.labels {
		all = slices.Insert(all, i, level{a.zone.labels, a, make(map[string]*authority)})
	}
	all[i].zones[string(a.zone.wire)] = a
	return all
}

// delegate has the zone above a lower one, if there is one, know of the names down to the latter's: they exist (RFC 8020
// section 2).
func (all authorities) delegate(lower *authority) {
	var below []string
	for name := lower.zone.wire; len(name) > 1; name = name[1+name[0]:] {
		if a := all.named(name); a != nil && a != lower {
			a.take(lower, below)
			return
		}
		below = append(below, string(name))
	}
}

// take notes a zone within the authority's own, and the names down to it.
func (a *authority) take(lower *authority, names []string) {
	a.zone.cuts = append(a.zone.cuts, lower.zone)
	if a.reverse != nil && lower.reverse != nil {
		a.reverse.cuts = append(a.reverse.cuts, lower.reverse.prefix)
	}
	if a.below == nil {
		a.below = make(map[string]bool)
	}
	for _, name := range names {
		a.below[name] = true
	}
}

func (all authorities) named(wire []byte) *authority {
	for i := range all {
		if a := all[i].named(wire); a != nil {
			return a
		}
	}
	return nil
}

// of returns the authority for the question's name, that of the zone with the longest name that the question's ends in,
// and notes in q how many labels are below it. It returns nil if the name is in no zone. It costs one look for each
// length that a zone's name has. A zone's DS records are those of the zone above it (RFC 4035 section 3.1.4.1).
func (all authorities) of(q *query) *authority {
	var cut *authority
	for i := range all {
		l := &all[i]
		if q.labels < l.labels {
			continue
		}
		a := l.named(q.suffix(l.labels))
		switch {
		case a == nil:
		case q.qtype == dns.TypeDS && q.labels == l.labels:
			cut = a
		default:
			q.depth = q.labels - l.labels
			return a
		}
	}
	return cut
}

// followers returns one authority for each zone that has reverse zones.
func (all authorities) followers() []*authority {
	seen := make(map[*pointers]bool)
	var list []*authority
	for _, level := range all {
		for _, a := range level.zones {
			if a.reverse != nil && !seen[a.reverse.pointers] {
				seen[a.reverse.pointers] = true
				list = append(list, a)
			}
		}
	}
	return list
}
