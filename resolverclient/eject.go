package resolverclient

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

// maxEjection is how often the time of an ejection doubles at most.
const maxEjection = 5

// window is how long calls are counted before endpoints are compared by their shares of failures, and windowCalls of
// how many calls a share says something.
const (
	window      = 10 * time.Second
	windowCalls = 20
)

// judge counts a call's outcome and ejects the endpoint after too many failures in a row. Once it is back, the first
// failure ejects it again, for twice as long, and the first success forgets all.
func (b *Balancer) judge(s *stats, err error) {
	if err == nil {
		if b.counting.Load() {
			s.calls.Add(1)
		}
		if s.failures.Load() != 0 {
			s.failures.Store(0)
			s.ejections.Store(0)
		}
		return
	}
	if errors.Is(err, context.Canceled) {
		return
	}
	b.openWindow()
	s.calls.Add(1)
	s.failed.Add(1)
	if errors.Is(err, errOutrun) {
		return // where all are slow so are the good ones: only more often than the others speaks against an endpoint
	}
	if limit := b.entry.client.cfg.EjectAfter; limit > 0 && int(s.failures.Add(1)) >= limit {
		b.eject(s, &s.ejections)
	}
}

// eject keeps an endpoint out for a time that doubles with the ejections in a row before.
func (b *Balancer) eject(s *stats, row *atomic.Int32) {
	now, until := time.Since(b.epoch), s.ejectedUntil.Load()
	if int64(now) < until {
		return // the end of a call that began before
	}
	d := b.entry.client.cfg.EjectFor << min(row.Load(), maxEjection)
	if s.ejectedUntil.CompareAndSwap(until, int64(now+d)) {
		row.Add(1)
		b.dirty.Store(true)
		b.later(d)
	}
}

// openWindow starts to count calls by endpoint, at the first failure: while all is well there is nothing to compare.
func (b *Balancer) openWindow() {
	if b.entry.client.cfg.EjectShare < 0 || b.counting.Load() || !b.counting.CompareAndSwap(false, true) {
		return
	}
	for _, n := range b.table.Load().all() {
		n.calls.Store(0)
		n.failed.Store(0)
	}
	b.entry.client.after(window, b.closeWindow)
}

// closeWindow ejects each endpoint of which a share of calls failed that is too far above the others' share. Against a
// fixed share a service that fails everywhere would lose half of its endpoints for nothing; deviations of a mean, as
// Envoy has them, single nobody out among fewer than five.
func (b *Balancer) closeWindow() {
	b.counting.Store(false)
	var calls, failed float64
	all := b.table.Load().all()
	for _, n := range all {
		calls += float64(n.calls.Load())
		failed += float64(n.failed.Load())
	}
	for _, n := range all {
		own, bad := float64(n.calls.Load()), float64(n.failed.Load())
		switch {
		case own < windowCalls || calls-own < windowCalls:
		case bad/own > (failed-bad)/(calls-own)+b.entry.client.cfg.EjectShare:
			b.eject(n.stats, &n.outliers)
		default:
			n.outliers.Store(0)
		}
	}
}

// withoutEjected moves the ejected endpoints into a class of their own behind all others, where only Do finds them when
// all else failed. At most [Config.EjectMost] of all endpoints are kept out, those that return last: where more fail,
// the fault is hardly theirs alone, and the rest could not carry the load (the panic floor).
func (b *Balancer) withoutEjected(classes [][]node, now time.Time) [][]node {
	out := b.ejected(slices.Concat(classes...), now)
	if len(out) == 0 {
		return classes
	}
	healthy := make([][]node, 0, len(classes)+1)
	for _, class := range classes {
		isOut := func(n node) bool {
			return slices.ContainsFunc(out, func(o node) bool { return o.stats == n.stats })
		}
		healthy = append(healthy, slices.DeleteFunc(class, isOut))
	}
	healthy = append(healthy, out)
	return slices.DeleteFunc(healthy, func(class []node) bool { return len(class) == 0 })
}

// ejected returns those that are to be kept out.
func (b *Balancer) ejected(all []node, now time.Time) (out []node) {
	since := int64(now.Sub(b.epoch))
	most := int(float64(len(all)) * b.entry.client.cfg.EjectMost)
	for _, n := range all {
		if n.ejectedUntil.Load() > since {
			out = append(out, n)
		}
	}
	if len(out) <= most {
		return out
	}
	slices.SortStableFunc(out, func(a, b node) int {
		return cmp.Compare(b.ejectedUntil.Load(), a.ejectedUntil.Load())
	})
	return out[:most]
}
