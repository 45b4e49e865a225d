package resolverclient

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"
)

// maxEjection is how often the time of an ejection doubles at most.
const maxEjection = 5

// judge counts a call's outcome and ejects the endpoint after too many failures in a row. Once it is back, the first
// failure ejects it again, for twice as long, and the first success forgets all.
func (b *Balancer) judge(s *stats, err error) {
	limit := b.entry.client.cfg.EjectAfter
	switch {
	case err == nil:
		if s.failures.Load() != 0 {
			s.failures.Store(0)
			s.ejections.Store(0)
		}
		return
	case limit < 0 || errors.Is(err, context.Canceled):
		return
	case int(s.failures.Add(1)) < limit:
		return
	}
	now, until := time.Since(b.epoch), s.ejectedUntil.Load()
	if int64(now) < until {
		return // the end of a call that began before
	}
	d := b.entry.client.cfg.EjectFor << min(s.ejections.Load(), maxEjection)
	if s.ejectedUntil.CompareAndSwap(until, int64(now+d)) {
		s.ejections.Add(1)
		b.dirty.Store(true)
		b.later(d)
	}
}

// withoutEjected moves the ejected endpoints into a class of their own behind all others, where only Do finds them when
// all else failed. At most half of all endpoints are kept out, those that return last: where more fail, the fault is
// hardly theirs alone, and the rest could not carry the load (the panic floor).
func (b *Balancer) withoutEjected(classes [][]*node, now time.Time) [][]*node {
	out := b.ejected(slices.Concat(classes...), now)
	if len(out) == 0 {
		return classes
	}
	healthy := make([][]*node, 0, len(classes)+1)
	for _, class := range classes {
		isOut := func(n *node) bool { return slices.Contains(out, n) }
		healthy = append(healthy, slices.DeleteFunc(class, isOut))
	}
	healthy = append(healthy, out)
	return slices.DeleteFunc(healthy, func(class []*node) bool { return len(class) == 0 })
}

// ejected returns those that are to be kept out.
func (b *Balancer) ejected(all []*node, now time.Time) (out []*node) {
	since := int64(now.Sub(b.epoch))
	most := len(all) / 2
	for _, n := range all {
		if n.ejectedUntil.Load() > since {
			out = append(out, n)
		}
	}
	if len(out) <= most {
		return out
	}
	slices.SortStableFunc(out, func(a, b *node) int {
		return cmp.Compare(b.ejectedUntil.Load(), a.ejectedUntil.Load())
	})
	return out[:most]
}
