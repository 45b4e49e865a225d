package memstore

import "github.com/dnsreg/dnsreg/store"

// Stats is what a page of metrics shows of a store. The first six count since New.
type Stats struct {
	Registrations   uint64 // that changed content
	Renewals        uint64 // by heartbeats, and by registrations that changed nothing
	Deregistrations uint64 // of known instances
	Expiries        uint64
	Saves           uint64 // of the snapshot file
	SaveErrors      uint64
	Instances       int
	Services        int
	Tombstones      int
	Revision        store.Revision
}

// Stats returns the store's figures at one instant.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats, view := s.counters, s.View()
	stats.Instances = view.Instances()
	stats.Services = view.Services()
	stats.Tombstones = len(s.tombs.queue)
	stats.Revision = view.Revision()
	return stats
}
