package resolverclient

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// Balancer picks endpoints of one service by one strategy. It has no goroutine and needs no closing; make one and keep
// it, for its turns, counts and ejections are its own.
type Balancer struct {
	entry    *entry
	strategy Strategy
	options  options
	turn     *turns
	budget   budget
	epoch    time.Time // times of picks count from here
	table    atomic.Pointer[table]
	load     atomic.Int64 // picks that are not done, where the strategy needs it
	dirty    atomic.Bool  // the table is to be built anew from the same set
	counting atomic.Bool  // a window is open in which calls and failures are compared

	mu    sync.Mutex // guards nodes, and building a table
	nodes map[identity]*stats
}

// Balancer returns a balancer over the endpoints of a service, named as for [Client.Lookup]. Nothing is looked up
// before the first pick.
func (c *Client) Balancer(service string, strategy Strategy, opts ...Option) (*Balancer, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("balancer of %s: %w", service, err)
	}
	if !strategy.valid() {
		return nil, fmt.Errorf("balancer of %s: %v is not a strategy", service, strategy)
	}
	kind := dns.TypeSRV
	if o.metadata {
		kind = dns.TypePTR
	}
	if o.subtype != "" {
		name, err := c.name(service)
		if err != nil {
			return nil, err
		}
		service = subtypeName(o.subtype, name)
	}
	e, err := c.entry(service, kind)
	if err != nil {
		return nil, err
	}
	return newBalancer(e, strategy, o), nil
}

func newBalancer(e *entry, strategy Strategy, o options) *Balancer {
	b := &Balancer{entry: e, strategy: strategy, options: o, turn: newTurns(), epoch: time.Now()}
	b.budget.open(e.client.cfg.RetryShare)
	return b
}

// Picked is a picked endpoint. It is a value that may be copied.
type Picked struct {
	// Endpoint is the instance to call.
	Endpoint Endpoint

	balancer *Balancer
	stats    *stats
	start    time.Duration // since the balancer's epoch, or untimed
}

// Done tells the balancer that the call has ended: with nil, or with an error that speaks against the instance, such
// as a refused connection or a timeout. [Config.EjectAfter] such errors in a row, or a share of them that is
// [Config.EjectShare] above the others', keep the instance out for a while; context.Canceled does not count. Call it
// once for each pick.
func (p Picked) Done(err error) {
	if p.stats == nil {
		return
	}
	p.stats.outstanding.Add(-1)
	switch p.balancer.strategy {
	case PeakEWMA:
		if p.start != untimed {
			now := time.Since(p.balancer.epoch)
			p.stats.observe(now, now-p.start, err)
		}
	case ConsistentHash:
		p.balancer.load.Add(-1)
	}
	p.balancer.judge(p.stats, err)
}

// Pick chooses an endpoint among the usable ones of the lowest priority. While the answer is fresh or stale it neither
// waits nor allocates; otherwise it waits for a lookup and fails as [Client.Lookup] does, or with [ErrNoEndpoint].
func (b *Balancer) Pick(ctx context.Context) (p Picked, err error) {
	t, err := b.current(ctx)
	if err != nil {
		return p, err
	}
	now := b.now(t)
	b.take(&p, &t.best[t.picker.pick(now)], now)
	return p, nil
}

// PickKey is Pick for a call that belongs to a key: [ConsistentHash] takes the same endpoint for the same key. Other
// strategies ignore the key.
func (b *Balancer) PickKey(ctx context.Context, key string) (p Picked, err error) {
	t, err := b.current(ctx)
	if err != nil {
		return p, err
	}
	now := b.now(t)
	if m, ok := t.picker.(*maglev); ok {
		b.take(&p, &t.best[m.pickHash(hash(key))], now)
	} else {
		b.take(&p, &t.best[t.picker.pick(now)], now)
	}
	return p, nil
}

// untimed is the start of a call whose latency decides nothing.
const untimed = time.Duration(-1)

// now returns the time since the epoch where the strategy is timed and has a choice. Elsewhere the reading of the clock is
// saved, which costs as much as the rest of a pick; time.Since reads the monotonic clock alone, at half of time.Now's cost.
func (b *Balancer) now(t *table) time.Duration {
	if b.strategy != PeakEWMA || len(t.best) == 1 {
		return untimed
	}
	return time.Since(b.epoch)
}

// take makes p a pick of a node. It fills in the caller's value, for copies of it would cost more than the pick.
func (b *Balancer) take(p *Picked, n *node, now time.Duration) {
	*p = n.picked
	if now != untimed {
		p.start = now
	}
	n.outstanding.Add(1)
	if b.strategy == ConsistentHash {
		b.load.Add(1)
	}
}

// current returns the table of the current set.
func (b *Balancer) current(ctx context.Context) (*table, error) {
	b.entry.touch()
	s, t := b.entry.state.Load(), b.table.Load()
	if t != nil && s.set == t.set && len(t.classes) > 0 && !s.lapsed && !b.dirty.Load() && !b.entry.client.closed.Load() {
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
	} else if !b.mu.TryLock() {
		return b.unlessEmpty(old)
	}
	defer b.mu.Unlock()
	dirty := b.dirty.Swap(false)
	if t := b.table.Load(); t != nil && t.set == s && !dirty {
		return b.unlessEmpty(t)
	}
	t := b.build(s, time.Now())
	b.table.Store(t)
	return b.unlessEmpty(t)
}

// unlessEmpty returns the table, or [ErrNoEndpoint] where it has nothing to pick.
func (b *Balancer) unlessEmpty(t *table) (*table, error) {
	if len(t.classes) == 0 {
		return nil, fmt.Errorf("pick of %s: %w: none of %d has a port and an address and passes the filters",
			b.entry.asked.name, ErrNoEndpoint, len(t.set.endpoints))
	}
	return t, nil
}

// later has the table built anew at the next pick after d.
func (b *Balancer) later(d time.Duration) {
	b.entry.client.after(d, func() { b.dirty.Store(true) })
}
