package resolverclient

import (
	"context"
	"sync"
	"time"
)

// cache holds the entries by owner name, at most max of them.
type cache struct {
	max int

	mu      sync.Mutex
	entries map[string]*slot
	clock   uint64 // counts uses
}

// slot is an entry's place in the cache.
type slot struct {
	entry *entry
	used  uint64 // the clock at its last use
}

// entry returns the entry of a name, made by the function where there is none. In a full cache the one used longest
// ago makes room; whoever still holds it, as a balancer does, keeps it alive and renewed.
func (c *cache) entry(name string, make func() *entry) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock++
	if s := c.entries[name]; s != nil {
		s.used = c.clock
		return s.entry
	}
	if len(c.entries) >= c.max {
		c.evict()
	}
	if c.entries == nil {
		c.entries = map[string]*slot{}
	}
	e := make()
	c.entries[name] = &slot{e, c.clock}
	return e
}

// evict removes the entry used longest ago. It looks at all of them: the cache is small beside the lookup that
// follows.
func (c *cache) evict() {
	var oldest string
	least := c.clock + 1
	for name, s := range c.entries {
		if s.used < least {
			oldest, least = name, s.used
		}
	}
	delete(c.entries, oldest)
}

// close closes every entry.
func (c *cache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.entries {
		s.entry.close()
	}
}

// Lookup returns the endpoints of a service in the order of RFC 2782, from the cache where it can. The service is
// "web" or "_web._tcp" in the zone of the client, or an absolute name with a dot at its end.
//
// It fails with [ErrNotFound], [ErrNotOffered], [ErrNoAnswer] or [ErrClosed], with the context's error, or with
// another that says what is wrong with the name or the replies. An answer may name endpoints without an address.
func (c *Client) Lookup(ctx context.Context, service string) (Answer, error) {
	e, err := c.entry(service)
	if err != nil {
		return Answer{}, err
	}
	s, err := e.current(ctx)
	if err != nil {
		return Answer{}, err
	}
	return Answer{
		Name:      e.name,
		Endpoints: s.set.ordered(),
		TTL:       max(0, time.Until(s.expires)),
		Stale:     s.err,
	}, nil
}
