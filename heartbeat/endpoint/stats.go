package endpoint

import (
	"maps"
	"sync"

	"github.com/dnsreg/dnsreg/heartbeat"
)

// Results in [Stats] besides those of heartbeats: see heartbeat.ResultRenewed and the others.
const (
	resultCreated = "created" // there was no live lease before
	resultUpdated = "updated" // replaced or renewed
	resultInvalid = "invalid" // refused for what the caller sent
	resultFull    = "full"
	resultFailed  = "failed" // the store was out of reach
)

// Request is what requests are counted by: the route, such as "GET /v1/services" or "other", and the reply's status.
type Request struct {
	Route  string
	Status int
}

// Stats are counts since the server was made.
type Stats struct {
	Registrations map[string]uint64 // by result: created, updated, invalid, full, failed
	Heartbeats    map[string]uint64 // by result, items of a batch one by one: renewed, gone, changed, deregistered, failed
	Requests      map[Request]uint64
}

// Stats returns the counts so far. The caller owns the maps. It is safe for concurrent use.
func (s *Server) Stats() Stats {
	return Stats{
		Registrations: s.counters.registrations.read(),
		Heartbeats:    s.counters.heartbeats.read(),
		Requests:      s.counters.requests.read(),
	}
}

type counters struct {
	registrations counter[string]
	heartbeats    counter[string]
	requests      counter[Request]
}

// newCounters returns counters that show a result before it has happened for the first time.
func newCounters() *counters {
	c := &counters{}
	for _, result := range []string{resultCreated, resultUpdated, resultInvalid, resultFull, resultFailed} {
		c.registrations.addN(result, 0)
	}
	for _, result := range []string{heartbeat.ResultRenewed, heartbeat.ResultGone, heartbeat.ResultChanged, heartbeat.ResultDeregistered, resultFailed} {
		c.heartbeats.addN(result, 0)
	}
	return c
}

// counter counts by keys of which there are few: none comes from outside.
type counter[K comparable] struct {
	mu     sync.Mutex
	counts map[K]uint64 // guarded by mu
}

func (c *counter[K]) add(key K) { c.addN(key, 1) }

func (c *counter[K]) addN(key K, n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = make(map[K]uint64)
	}
	c.counts[key] += n
}

func (c *counter[K]) read() map[K]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.counts)
}
