package resolverclient

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// partRetry is how long an answer is kept of which a part could not be had.
const partRetry = 5 * time.Second

// found is what a lookup brought.
type found struct {
	set     *set
	ttl     time.Duration // as the records have it, not bounded
	missing error         // why a part could not be had; nil where the answer is whole
	lent    loans
}

// loans are the records of the answer before that stand in for those that could not be had anew, by their type and the
// target or instance that they belong to, and when the TTL of the answer ends in which a server gave them last.
type loans map[question]time.Time

// first returns the earliest end of a TTL among them, the zero time where there are none.
func (l loans) first() (first time.Time) {
	for _, expires := range l {
		first = sooner(expires, first)
	}
	return first
}

// sooner returns the earlier of two times, the second of which may be the zero time for never.
func sooner(a, b time.Time) time.Time {
	if !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// lender is the answer before, and for how long after its TTL it lends.
type lender struct {
	*state
	maxStale time.Duration
}

// due reports whether a record was lent whose time is over.
func (l lender) due(of string, kind uint16) bool {
	expires, lent := l.lent[question{of, kind}]
	return lent && !time.Now().Before(expires.Add(max(0, l.maxStale)))
}

// repaid returns the set without the lent records whose time is over; nil where none are left.
func (l lender) repaid() *set {
	if l.set == nil || len(l.lent) == 0 {
		return l.set
	}
	out := new(set)
	for _, e := range l.set.endpoints {
		if l.due(e.Instance, dns.TypeSRV) {
			continue
		}
		if l.due(e.Instance, dns.TypeTXT) {
			e.TXT = nil
		}
		dueAddress := func(addr netip.Addr) bool { return l.due(e.Target, kindOf(addr)) }
		e.Addresses = slices.DeleteFunc(slices.Clone(e.Addresses), dueAddress)
		out.endpoints = append(out.endpoints, e)
	}
	switch {
	case len(out.endpoints) == 0:
		return nil
	case out.equal(l.set):
		return l.set
	}
	return out
}

// expiry returns when the TTL of the records that answer a question ended, and whether they may still be lent.
func (l lender) expiry(q question) (expires time.Time, ok bool) {
	if l.set == nil {
		return expires, false
	}
	expires, again := l.lent[q]
	if !again {
		expires = l.expires
	}
	return expires, time.Now().Before(expires.Add(max(0, l.maxStale)))
}

// miss notes that the records of a question could not be had, and reports whether those of the answer before may stand
// in for them, of which there are so many.
func (d *draft) miss(q question, err error, known int) bool {
	d.missing = append(d.missing, err)
	expires, ok := d.before.expiry(q)
	if !ok || known == 0 {
		return false
	}
	if d.lent == nil {
		d.lent = loans{}
	}
	d.lent[q] = expires
	return true
}

// borrowAddresses puts addresses of the answer before in the place of those that could not be learnt. It fails where no
// host's addresses are known; that a host has none is known too.
func (d *draft) borrowAddresses(hosts map[string]*host) error {
	before := d.before.addresses()
	known := 0
	for name, h := range hosts {
		for _, f := range h.failed {
			var old []netip.Addr
			for _, addr := range before[name] {
				if kindOf(addr) == f.question.kind {
					old = append(old, addr)
				}
			}
			if d.miss(f.question, f.err, len(old)) {
				h.addresses = append(h.addresses, old...)
			}
		}
		h.sort()
		if len(h.addresses) > 0 || len(h.failed) == 0 {
			known++
		}
	}
	if known == 0 {
		return fmt.Errorf("no address can be learnt: %w", d.missing[0])
	}
	return nil
}

// addresses returns those of each target in the answer before.
func (l lender) addresses() map[string][]netip.Addr {
	if l.set == nil {
		return nil
	}
	out := make(map[string][]netip.Addr, len(l.set.endpoints))
	for _, e := range l.set.endpoints {
		out[e.Target] = e.Addresses
	}
	return out
}
