package memstore

import (
	"github.com/dnsreg/dnsreg/store"
)

// publish makes snapshots, whose revisions rise in their order, part of the view at revision, and wakes who waits for a
// change.
func (s *Store) publish(revision store.Revision, now moment, snapshots ...*store.Snapshot) {
	for _, snapshot := range snapshots {
		s.log.note(snapshot, now.at)
	}
	s.wakeBy(s.log.oldest(s.retention))
	s.view.Store(s.View().With(revision, snapshots...))
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// propose returns the service at the next revision with live in the place of the instance of its key, or the error of
// a service that DNS could not carry then.
func (s *Store) propose(service store.Service, live store.Live) (*store.Snapshot, error) {
	view := s.View()
	next := view.Service(service).With(live)
	next.Service, next.Revision = service, view.Revision()+1
	if err := store.CheckSize(s.rules.Zone, next, view.Service(service.Sibling())); err != nil {
		return nil, err
	}
	return next, nil
}

// without returns a copy of snapshot at revision that lacks the instances of these keys.
func without(snapshot *store.Snapshot, revision store.Revision, keys ...string) *store.Snapshot {
	gone := make(map[string]bool, len(keys))
	for _, key := range keys {
		gone[key] = true
	}
	next := &store.Snapshot{Service: snapshot.Service, Revision: revision}
	if n := len(snapshot.Instances) - len(keys); n > 0 {
		next.Instances = make([]store.Live, 0, n)
	}
	for _, l := range snapshot.Instances {
		if !gone[l.Key()] {
			next.Instances = append(next.Instances, l)
		}
	}
	return next
}
