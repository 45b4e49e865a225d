package resolverclient

import (
	"slices"
	"sync/atomic"
	"time"
)

// node is an endpoint in a table, with what the balancer knows of it: two lines of memory, 128 octets.
type node struct {
	picked Picked // what a pick returns, copied as a whole: untimed
	weight uint64 // the endpoint's, in parts of what slow start leaves of it
	*stats
}

// stats is what a balancer knows of an endpoint. It outlives tables. Times count from the balancer's epoch. It must
// not be larger than a line of memory, 64 octets, so that calls of different endpoints do not disturb each other.
type stats struct {
	outstanding atomic.Int64
	latency     atomic.Uint64 // moving average in nanoseconds, as bits of a float64
	// the time of it in half-lives, less 1: now - observed is 1 + its age, by which cost divides; as bits of a float64
	observed     atomic.Uint64
	ejectedUntil atomic.Int64
	since        time.Duration // when the endpoint was first seen; long ago for those of the first table
	failures     atomic.Int32  // in a row
	ejections    atomic.Int32  // in a row, for failures in a row
	outliers     atomic.Int32  // ejections in a row for a share of failures
	calls        atomic.Uint32 // in the present window, if one is open
	failed       atomic.Uint32 // of them
}

// longAgo is the age of what was there from the start.
const longAgo = time.Duration(-1 << 62)

// table is what Pick reads: the usable endpoints of a set, immutable.
type table struct {
	set     *set
	classes [][]node // in the order of preference, each with an endpoint at least
	best    []node   // the first of them
	picker  picker   // over best
}

// all returns the nodes of every class.
func (t *table) all() []node { return slices.Concat(t.classes...) }

// build makes the table of a set. b.mu is held.
func (b *Balancer) build(s *set, now time.Time) *table {
	t := &table{set: s}
	known := b.nodes
	b.nodes = make(map[identity]*stats, len(s.endpoints))
	for _, class := range s.classes() {
		for _, group := range b.options.arrange(class) {
			nodes := make([]node, len(group))
			for i, e := range group {
				nodes[i] = b.node(e, known, now)
			}
			t.classes = append(t.classes, nodes)
		}
	}
	t.classes = b.withoutEjected(t.classes, now)
	if len(t.classes) > 0 {
		t.best = t.classes[0]
		b.warmUp(t.best, now)
		t.picker = b.strategy.newPicker(t.best, b)
	}
	return t
}

// node returns the node of an endpoint, with the stats that are known of it.
func (b *Balancer) node(e Endpoint, known map[identity]*stats, now time.Time) node {
	s := known[e.identity()]
	if s == nil {
		s = &stats{since: longAgo}
		if known != nil {
			s.since = now.Sub(b.epoch)
		}
	}
	b.nodes[e.identity()] = s
	return node{picked: Picked{e, b, s, untimed}, weight: uint64(e.Weight), stats: s}
}

// warmUpSteps is in how many steps slow start raises a weight.
const warmUpSteps = 10

// warmUp lowers the weights of endpoints that are new, as [SlowStart] says.
func (b *Balancer) warmUp(class []node, now time.Time) {
	window := b.options.slowStart
	if window <= 0 {
		return
	}
	warming := false
	steps := make([]uint64, len(class))
	for i, n := range class {
		steps[i] = warmUpSteps
		if age := now.Sub(b.epoch) - n.since; age < window {
			warming = true
			steps[i] = 1 + uint64(age*(warmUpSteps-1)/window)
		}
	}
	if !warming {
		return
	}
	for i := range class {
		class[i].weight *= steps[i]
	}
	b.later(window / warmUpSteps)
}
