package memstore

import (
	"context"

	"github.com/dnsreg/dnsreg/store"
)

// SetOverlay sets what an operator wants of an instance. See the contract in storetest.
func (s *Store) SetOverlay(ctx context.Context, service store.Service, id string, change store.Overlay) (store.Revision, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := checkOverlay(service, id, change); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.View().Service(service).Find(id)
	if old == nil {
		return 0, store.ErrUnknown
	}
	live := store.Live{Instance: old.Instance, Overlay: old.Overlay.Merge(clone(change))}
	if live.Overlay.Equal(old.Overlay) {
		return s.View().Revision(), nil
	}
	snapshot, err := s.propose(service, live)
	if err != nil {
		return 0, err
	}
	s.publish(snapshot.Revision, s.now(), snapshot)
	return snapshot.Revision, nil
}

func checkOverlay(service store.Service, id string, change store.Overlay) error {
	if err := store.CheckName(service, id); err != nil {
		return err
	}
	if s := change.State; s != nil && *s != store.Up && *s != store.Draining {
		return &store.InvalidError{Fields: []store.FieldError{store.NewFieldError("state", string(*s), `must be "up" or "draining"`)}}
	}
	return nil
}

// clone returns an overlay that shares nothing with the caller's.
func clone(o store.Overlay) store.Overlay {
	var c store.Overlay
	if o.State != nil {
		c.State = new(*o.State)
	}
	if o.Weight != nil {
		c.Weight = new(*o.Weight)
	}
	return c
}
