package redisstore

import (
	"context"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// journalSize bounds how many changes are remembered.
const journalSize = 1 << 16

// journal is which service changed at which published revision, oldest first.
type journal struct {
	floor   store.Revision // what was published after it is here in full
	dropped uint64         // entries that came before the first
	entries []entry
}

type entry struct {
	revision store.Revision // of the view that had the change
	service  store.Service
}

// note remembers that services changed with the view at revision.
func (j *journal) note(revision store.Revision, changed []*store.Snapshot) {
	for _, snapshot := range changed {
		j.entries = append(j.entries, entry{revision, snapshot.Service})
	}
	if excess := len(j.entries) - journalSize; excess > journalSize/4 { // so that moving them is rare
		j.floor = j.entries[excess-1].revision
		j.dropped += uint64(excess)
		j.entries = append(j.entries[:0], j.entries[excess:]...)
	}
}

// restart forgets everything: what changed before the view at revision is unknown.
func (j *journal) restart(revision store.Revision) {
	j.floor = revision
	j.dropped += uint64(len(j.entries))
	j.entries = nil
}

// since returns the services that changed after a revision, each with the revision of its last change.
func (j *journal) since(after store.Revision) map[store.Service]store.Revision {
	services := make(map[store.Service]store.Revision)
	for i := len(j.entries) - 1; i >= 0 && j.entries[i].revision > after; i-- {
		if e := j.entries[i]; services[e.service] == 0 {
			services[e.service] = e.revision
		}
	}
	return services
}

// end is the number of the entry that comes next.
func (j *journal) end() uint64 { return j.dropped + uint64(len(j.entries)) }

// publish makes next what everybody sees, changed being what differs from the last view.
func (s *Store) publish(next *state, changed []*store.Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.current.Load()
	switch {
	case last.epoch == "":
		s.journal.restart(next.view.Revision())
	case next.view.Revision() > last.view.Revision():
		s.journal.note(next.view.Revision(), changed)
	}
	s.current.Store(next)
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// later returns a channel that the next publication closes. The caller holds mu.
func (s *Store) later() <-chan struct{} {
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// Changes waits until the revision is above after and returns what changed. See the contract in storetest.
func (s *Store) Changes(ctx context.Context, after store.Revision) (store.Delta, error) {
	return store.AwaitDelta(ctx, func() (store.Delta, <-chan struct{}) { return s.changesSince(after) })
}

// changesSince returns what changed after a revision, or, if that is the current one, a channel that the next
// publication closes.
func (s *Store) changesSince(after store.Revision) (store.Delta, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	view := s.View()
	current := view.Revision()
	if after == current {
		return store.Delta{}, s.later()
	}
	delta := store.Delta{From: after, To: current, Complete: after >= s.journal.floor && after < current}
	if !delta.Complete {
		return delta, nil
	}
	for service, revision := range s.journal.since(after) {
		snapshot := view.Service(service)
		if snapshot == nil {
			snapshot = &store.Snapshot{Service: service, Revision: revision}
		}
		delta.Services = append(delta.Services, snapshot)
	}
	return delta, nil
}

// showTimeout bounds how long a caller waits for the view to show what it changed.
const showTimeout = 500 * time.Millisecond

// shown waits until the view has what was written at a revision of an epoch, and reports whether it has. It returns
// early when ctx ends.
func (s *Store) shown(ctx context.Context, epoch string, revision store.Revision, within time.Duration) bool {
	if s.has(epoch, revision) {
		return true
	}
	signal(s.rung)
	timeout := time.NewTimer(within)
	defer timeout.Stop()
	for {
		s.mu.Lock()
		later := s.later()
		s.mu.Unlock()
		if s.has(epoch, revision) {
			return true
		}
		select {
		case <-later:
		case <-timeout.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

func (s *Store) has(epoch string, revision store.Revision) bool {
	current := s.current.Load()
	return current.epoch == epoch && current.applied >= revision
}

// changedSince returns the services of the entries from number seen on, which have not been dropped.
func (j *journal) changedSince(seen uint64) []store.Service {
	var services []store.Service
	for _, e := range j.entries[seen-j.dropped:] {
		services = append(services, e.service)
	}
	return services
}
