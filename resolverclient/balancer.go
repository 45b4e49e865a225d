package resolverclient

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/miekg/dns"
)

// Balancer picks endpoints of one service by one strategy. It has no goroutine and needs no closing; make one and keep
// it, for its turns and counts are its own.
type Balancer struct {
	entry    *entry
	strategy Strategy
	turn     *turns
	table    atomic.Pointer[table]

	mu    sync.Mutex // guards nodes, and building a table
	nodes map[identity]*node
}

// node is an endpoint with what the balancer knows of it; it outlives changes of the set.
type node struct {
	endpoint    Endpoint
	outstanding *atomic.Int64
}

// table is what Pick reads: the usable endpoints of a set, immutable.
type table struct {
	set     *set
	classes [][]*node // by priority, each with an endpoint at least
	picker  picker    // over the first
}

// Picked is a picked endpoint. It is a value that may be copied.
type Picked struct {
	// Endpoint is the instance to call.
	Endpoint Endpoint

	outstanding *atomic.Int64
}

// Done tells the balancer that the call has ended, with its error or nil. Call it once for each pick.
func (p Picked) Done(error) {
	if p.outstanding != nil {
		p.outstanding.Add(-1)
	}
}

// Balancer returns a balancer over the endpoints of a service, named as for [Client.Lookup]. Nothing is looked up
// before the first pick.
func (c *Client) Balancer(service string, strategy Strategy) (*Balancer, error) {
	e, err := c.entry(service, dns.TypeSRV)
	if err != nil {
		return nil, err
	}
	if !strategy.valid() {
		return nil, fmt.Errorf("balancer of %s: %v is not a strategy", e.asked.name, strategy)
	}
	return newBalancer(e, strategy), nil
}

func newBalancer(e *entry, strategy Strategy) *Balancer {
	return &Balancer{entry: e, strategy: strategy, turn: newTurns()}
}

// Pick chooses an endpoint among the usable ones of the lowest priority. While the answer is fresh or stale it neither
// waits nor allocates; otherwise it waits for a lookup and fails as [Client.Lookup] does, or with [ErrNoEndpoint].
func (b *Balancer) Pick(ctx context.Context) (Picked, error) {
	t, err := b.current(ctx)
	if err != nil {
		return Picked{}, err
	}
	return t.classes[0][t.picker.pick()].picked(), nil
}

func (n *node) picked() Picked {
	n.outstanding.Add(1)
	return Picked{Endpoint: n.endpoint, outstanding: n.outstanding}
}

// current returns the table of the current set.
func (b *Balancer) current(ctx context.Context) (*table, error) {
	b.entry.touch()
	s, t := b.entry.state.Load(), b.table.Load()
	if t != nil && s.set == t.set && !s.lapsed {
		return t, nil
	}
	s, err := b.entry.current(ctx)
	if err != nil {
		return nil, err
	}
	return b.rebuild(s.set)
}

// rebuild returns the table of a set, made where it is not the present one. While another caller makes one, the old
// one is good enough.
func (b *Balancer) rebuild(s *set) (*table, error) {
	old := b.table.Load()
	if old == nil {
		b.mu.Lock()
	} else if old.set == s || !b.mu.TryLock() {
		return old, nil
	}
	defer b.mu.Unlock()
	if t := b.table.Load(); t != nil && t.set == s {
		return t, nil
	}
	t := b.build(s)
	if len(t.classes) == 0 {
		return nil, fmt.Errorf("pick of %s: %w: %d without a port or an address", b.entry.asked.name, ErrNoEndpoint, len(s.endpoints))
	}
	b.table.Store(t)
	return t, nil
}

// build makes the table of a set. b.mu is held.
func (b *Balancer) build(s *set) *table {
	t := &table{set: s}
	nodes := make(map[identity]*node, len(s.endpoints))
	for _, class := range s.classes() {
		var usable []*node
		for _, e := range class {
			if e.usable() {
				n := b.node(e)
				nodes[e.identity()] = n
				usable = append(usable, n)
			}
		}
		if len(usable) > 0 {
			t.classes = append(t.classes, usable)
		}
	}
	b.nodes = nodes
	if len(t.classes) > 0 {
		t.picker = b.strategy.newPicker(t.classes[0], b.turn)
	}
	return t
}

// node returns the node of an endpoint, with the counts of the one before it.
func (b *Balancer) node(e Endpoint) *node {
	if old := b.nodes[e.identity()]; old != nil {
		return &node{e, old.outstanding}
	}
	return &node{e, new(atomic.Int64)}
}
