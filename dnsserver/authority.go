package dnsserver

import (
	"slices"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/store"
)

// authority answers for one zone. What a server has once for all its zones is the Server's.
type authority struct {
	source Source
	zone   *zone
	cache  cache
	types  types
}

// newAuthority returns the authority for the zone of a config that has been completed and checked.
func newAuthority(c Config) (*authority, error) {
	z, err := newZone(c)
	if err != nil {
		return nil, err
	}
	return &authority{
		source: c.Source,
		zone:   z,
		cache:  cache{zone: z, ttl: c.TTL, logger: c.Logger},
		types:  types{zone: z, ttl: c.TTL},
	}, nil
}

// answer answers a question within the zone from the current view, as far as that can be trusted.
func (a *authority) answer(q *query, r *reply) {
	view := a.source.View()
	switch a.source.Freshness() {
	case store.Synced:
	case store.Stale:
		r.extended(dns.ExtendedErrorCodeStaleAnswer, "")
	default:
		r.unavailable(view)
		return
	}
	r.serial = view.Revision().Serial()
	l := lookup{authority: a, view: view}
	n := l.find(q)
	switch set := n.pick(q.qtype); {
	case n.broken != "":
		r.fail(dns.ExtendedErrorCodeOther, n.broken)
	case set == nil:
		r.negative(a.zone, n.exists)
	default:
		l.write(r, &n, set)
	}
}

// authorities is the zones of a server, each at the number of labels that its name has: those with most come first. It
// is immutable.
type authorities []level

// level is the zones whose names have the same number of labels, by their wire form.
type level struct {
	labels int
	zones  map[string]*authority
}

// newAuthorities returns the zones of a list, no two of which have the same name.
func newAuthorities(list ...*authority) authorities {
	var all authorities
	for _, a := range list {
		i := slices.IndexFunc(all, func(l level) bool { return l.labels == a.zone.labels })
		if i < 0 {
			i = len(all)
			all = append(all, level{a.zone.labels, make(map[string]*authority)})
		}
		all[i].zones[string(a.zone.wire)] = a
	}
	slices.SortFunc(all, func(a, b level) int { return b.labels - a.labels })
	return all
}

// of returns the authority for the question's name, that of the zone with the longest name that the question's ends in,
// and notes in q how many labels are below it. It returns nil if the name is in no zone. It costs one look for each
// length that a zone's name has.
func (all authorities) of(q *query) *authority {
	for i := range all {
		l := &all[i]
		if q.labels < l.labels {
			continue
		}
		if a := l.zones[string(q.suffix(l.labels))]; a != nil {
			q.depth = q.labels - l.labels
			return a
		}
	}
	return nil
}
