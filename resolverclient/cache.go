package resolverclient

import (
	"context"
	"slices"
	"sync"
	"time"
	"weak"

	"github.com/miekg/dns"
)

// maxSpellings bounds how many spellings of a name the cache knows by heart.
const maxSpellings = 4

// cache holds the entries by their first question, at most max of them.
type cache struct {
	max int

	mu      sync.Mutex
	entries map[question]*slot
	spelled map[question]*slot // by the service as callers spell it
	clock   uint64             // counts uses
	evicted []weak.Pointer[entry]
	closed  bool
}

// slot is an entry's place in the cache.
type slot struct {
	entry     *entry
	used      uint64 // the clock at its last use
	spellings []question
}

// recall returns the entry that was asked for under this spelling before, or nil.
func (c *cache) recall(spelled question) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.spelled[spelled]
	if s == nil {
		return nil
	}
	c.clock++
	s.used = c.clock
	return s.entry
}

// entry returns the entry of a question, made by the function where there is none, and remembers how it was spelled. In a
// full cache the one used longest ago makes room; whoever still holds it, as a balancer does, keeps it alive and
// renewed. After close it fails with [ErrClosed].
func (c *cache) entry(asked, spelled question, create func() *entry) (*entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed // nobody would close a new one
	}
	c.clock++
	s := c.entries[asked]
	if s == nil {
		if len(c.entries) >= c.max {
			c.evict()
		}
		s = &slot{entry: create()}
		c.entries[asked] = s
	}
	s.used = c.clock
	if len(s.spellings) < maxSpellings && c.spelled[spelled] == nil {
		s.spellings = append(s.spellings, spelled)
		c.spelled[spelled] = s
	}
	return s.entry, nil
}

// evict removes the entry used longest ago. It looks at all of them: the cache is small beside the lookup that
// follows.
func (c *cache) evict() {
	var oldest question
	least := c.clock + 1
	for asked, s := range c.entries {
		if s.used < least {
			oldest, least = asked, s.used
		}
	}
	c.evicted = slices.DeleteFunc(c.evicted, func(e weak.Pointer[entry]) bool { return e.Value() == nil })
	c.evicted = append(c.evicted, weak.Make(c.entries[oldest].entry))
	for _, spelled := range c.entries[oldest].spellings {
		delete(c.spelled, spelled)
	}
	delete(c.entries, oldest)
}

// close closes every entry, and those that made room and that somebody still holds.
func (c *cache) close() {
	c.mu.Lock()
	c.closed = true
	var all []*entry
	for _, s := range c.entries {
		all = append(all, s.entry)
	}
	for _, e := range c.evicted {
		if e := e.Value(); e != nil {
			all = append(all, e)
		}
	}
	c.mu.Unlock()
	for _, e := range all {
		e.close()
	}
}

// Lookup returns the endpoints of a service in the order of RFC 2782, from the cache where it can. The service is
// "web" or "_web._tcp" in the zone of the client, or an absolute name with a dot at its end.
//
// It fails with [ErrNotFound], [ErrNotOffered], [ErrNoAnswer] or [ErrClosed], with the context's error, or with
// another that says what is wrong with the name or the replies. An answer may name endpoints without an address.
func (c *Client) Lookup(ctx context.Context, service string) (Answer, error) {
	e, err := c.entry(service, dns.TypeSRV)
	if err != nil {
		return Answer{}, err
	}
	return e.answer(ctx)
}

// ttl returns how much longer the answer holds.
func (s *state) ttl() time.Duration {
	if s.err != nil {
		return 0
	}
	return max(0, time.Until(s.expires))
}

// answer returns what is known, in a fresh order.
func (e *entry) answer(ctx context.Context) (Answer, error) {
	s, err := e.current(ctx)
	if err != nil {
		return Answer{}, err
	}
	return Answer{
		Name:      e.asked.name,
		Endpoints: s.set.ordered(),
		TTL:       s.ttl(),
		Stale:     s.err,
	}, nil
}
