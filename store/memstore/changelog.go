package memstore

import (
	"container/list"
	"context"
	"slices"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// changelog holds the last state of every service that has instances, and of those that lost their last one lately, in
// the order of their revisions.
type changelog struct {
	maxGone   int
	floor     store.Revision // what changed after it is here in full
	byService map[store.Service]*change
	order     *list.List // of *change
	gone      *list.List // of *change: those whose snapshot is empty
}

// change is one entry, with its places in the lists.
type change struct {
	snapshot *store.Snapshot
	at       time.Duration
	order    *list.Element
	gone     *list.Element // nil while it has instances
}

func newChangelog(floor store.Revision, maxGone int) changelog {
	return changelog{
		maxGone:   maxGone,
		floor:     floor,
		byService: make(map[store.Service]*change),
		order:     list.New(),
		gone:      list.New(),
	}
}

// note makes snapshot the last state of its service. Its revision is above all that were noted before.
func (c *changelog) note(snapshot *store.Snapshot, now time.Duration) {
	c.remove(c.byService[snapshot.Service])
	entry := &change{snapshot: snapshot, at: now}
	entry.order = c.order.PushBack(entry)
	c.byService[snapshot.Service] = entry
	if len(snapshot.Instances) > 0 {
		return
	}
	entry.gone = c.gone.PushBack(entry)
	if c.gone.Len() > c.maxGone {
		c.forgetOldest()
	}
}

func (c *changelog) remove(entry *change) {
	if entry == nil {
		return
	}
	c.order.Remove(entry.order)
	if entry.gone != nil {
		c.gone.Remove(entry.gone)
	}
	delete(c.byService, entry.snapshot.Service)
}

// forgetOldest forgets the service that has been without instances for longest. Who knows less than its end must start
// over, since nothing here tells of it any more.
func (c *changelog) forgetOldest() {
	entry := c.gone.Front().Value.(*change)
	c.floor = entry.snapshot.Revision
	c.remove(entry)
}

// trim forgets the services that have had no instances since before the given time, or just since then.
func (c *changelog) trim(before time.Duration) {
	for c.gone.Len() > 0 && c.gone.Front().Value.(*change).at <= before {
		c.forgetOldest()
	}
}

// oldest returns when the first entry is due to be trimmed, idle where there is none.
func (c *changelog) oldest(retention time.Duration) time.Duration {
	if c.gone.Len() == 0 {
		return idle
	}
	return c.gone.Front().Value.(*change).at + retention
}

// since returns the last state of every service that changed after a revision, in the order of their revisions.
func (c *changelog) since(after store.Revision) []*store.Snapshot {
	var snapshots []*store.Snapshot
	for e := c.order.Back(); e != nil; e = e.Prev() {
		snapshot := e.Value.(*change).snapshot
		if snapshot.Revision <= after {
			break
		}
		snapshots = append(snapshots, snapshot)
	}
	slices.Reverse(snapshots)
	return snapshots
}

// Changes waits until the revision is above after and returns what changed. See the contract in storetest.
func (s *Store) Changes(ctx context.Context, after store.Revision) (store.Delta, error) {
	return store.AwaitDelta(ctx, func() (store.Delta, <-chan struct{}) { return s.changesSince(after) })
}

// changesSince returns what changed after a revision, or, if that is the current one, a channel that the next change
// closes.
func (s *Store) changesSince(after store.Revision) (store.Delta, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	current := s.View().Revision()
	if after == current {
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		return store.Delta{}, s.changed
	}
	delta := store.Delta{From: after, To: current, Complete: after >= s.log.floor && after < current}
	if delta.Complete {
		delta.Services = s.log.since(after)
	}
	return delta, nil
}
