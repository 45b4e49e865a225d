package dnsserver

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// cache keeps the record sets of the services that were asked for, by snapshot: a service that changed has a new
// snapshot, so nothing in it is ever out of date. It holds at most about two entries for each service that the zone had
// when it last grew: what has gone since stays until another service is asked for the first time.
type cache struct {
	zone   *zone
	ttl    time.Duration
	logger *slog.Logger

	entries  sync.Map // *store.Snapshot to *service, which is nil where no instance is answered
	size     atomic.Int64
	sweeping sync.Mutex
}

// service returns the record sets of a service, nil where it is not answered.
func (c *cache) service(view *store.View, name store.Service) *service {
	snapshot := view.Service(name)
	if snapshot == nil {
		return nil
	}
	entry, ok := c.entries.Load(snapshot)
	if !ok {
		entry = c.add(view, snapshot)
	}
	s, _ := entry.(*service)
	return s
}

func (c *cache) add(view *store.View, snapshot *store.Snapshot) any {
	s := compile(c.zone, snapshot, c.ttl)
	if s != nil && s.err != nil {
		c.logger.Error("service cannot be answered", "service", snapshot.Service, "error", s.err)
	}
	entry, loaded := c.entries.LoadOrStore(snapshot, s)
	if !loaded && c.size.Add(1) > slack+2*int64(view.Services()) {
		c.sweep(view)
	}
	return entry
}

// slack is how many entries beyond two for each service may stand before the cache is swept.
const slack = 64

// sweep drops the entries of snapshots that are no longer current. It leaves at most one entry for each service, so that
// its cost is spread over at least as many changes as it looks at entries.
func (c *cache) sweep(view *store.View) {
	if !c.sweeping.TryLock() {
		return
	}
	defer c.sweeping.Unlock()
	c.entries.Range(func(key, _ any) bool {
		snapshot, ok := key.(*store.Snapshot)
		if ok && view.Service(snapshot.Service) != snapshot {
			c.entries.Delete(snapshot)
			c.size.Add(-1)
		}
		return true
	})
}

// addresses returns the addresses of the bare name of a service.
func (c *cache) addresses(view *store.View, s *service) *addresses {
	sibling := view.Service(s.sibling)
	if a := s.addresses.Load(); a != nil && a.sibling == sibling {
		return a
	}
	a := compileAddresses(s, sibling, c.ttl)
	s.addresses.Store(a)
	return a
}
