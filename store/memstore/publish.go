package memstore

import (
	"cmp"
	"slices"

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
	next := with(view.Service(service), live)
	next.Service, next.Revision = service, view.Revision()+1
	if err := store.CheckSize(s.rules.Zone, next, view.Service(service.Sibling())); err != nil {
		return nil, err
	}
	return next, nil
}

// with returns a copy of snapshot, which may be nil, with live put in by its key.
func with(snapshot *store.Snapshot, live store.Live) *store.Snapshot {
	if snapshot == nil {
		return &store.Snapshot{Instances: []store.Live{live}}
	}
	old := snapshot.Instances
	i, found := slices.BinarySearchFunc(old, live.Key(), func(l store.Live, key string) int { return cmp.Compare(l.Key(), key) })
	rest := old[i:]
	if found {
		rest = old[i+1:]
	}
	return &store.Snapshot{Instances: slices.Concat(old[:i], []store.Live{live}, rest)}
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
