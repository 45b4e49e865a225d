package memstore

import (
	"context"
	"fmt"

	"github.com/dnsreg/dnsreg/store"
)

// Register registers, replaces or renews an instance. See the contract in storetest.
func (s *Store) Register(ctx context.Context, service store.Service, instance store.Instance) (store.Registration, error) {
	if err := ctx.Err(); err != nil {
		return store.Registration{}, err
	}
	in, warnings, err := s.rules.Normalize(service, instance)
	if err != nil {
		return store.Registration{}, err
	}
	etag := in.ETag()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	l := s.leases[nameOf(service, in.ID)]
	created := l == nil
	var lease store.Lease
	switch {
	case created:
		lease, err = s.create(service, in, etag, now)
	case l.etag != etag:
		lease, err = s.replace(l, in, etag, now)
	default:
		lease = s.renew(l, now)
		s.counters.Renewals++
	}
	if err != nil {
		return store.Registration{}, err
	}
	return store.Registration{Instance: in, Lease: lease, Revision: s.View().Revision(), Created: created, Warnings: warnings}, nil
}

func (s *Store) create(service store.Service, in store.Instance, etag string, now moment) (store.Lease, error) {
	if len(s.leases) >= s.limit {
		return store.Lease{}, fmt.Errorf("%w: the store holds %d instances, its greatest number", store.ErrFull, len(s.leases))
	}
	snapshot, err := s.propose(service, store.Live{Instance: in})
	if err != nil {
		return store.Lease{}, err
	}
	name := nameOf(service, in.ID)
	s.tombs.forget(name)
	lease := s.open(name, etag, in.TTL, now)
	s.publish(snapshot.Revision, now, snapshot)
	s.counters.Registrations++
	return lease, nil
}

// replace gives a live instance a new content; the operator's overlay stays.
func (s *Store) replace(l *lease, in store.Instance, etag string, now moment) (store.Lease, error) {
	live := store.Live{Instance: in, Overlay: s.View().Service(l.name.service).Find(in.ID).Overlay}
	snapshot, err := s.propose(l.name.service, live)
	if err != nil {
		return store.Lease{}, err
	}
	l.etag, l.ttl = etag, in.TTL
	lease := s.renew(l, now)
	s.publish(snapshot.Revision, now, snapshot)
	s.counters.Registrations++
	return lease, nil
}

// Deregister ends an instance and remembers that it was told to. See the contract in storetest.
func (s *Store) Deregister(ctx context.Context, service store.Service, id string) (store.Revision, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := store.CheckName(service, id); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now, name := s.now(), nameOf(service, id)
	l := s.leases[name]
	if l == nil {
		s.bury(name, now)
		return 0, store.ErrUnknown
	}
	snapshot := without(s.View().Service(service), s.View().Revision()+1, name.key)
	s.drop(l)
	s.tombs.set(name, now.at, max(s.retention, 2*l.ttl))
	s.wakeBy(s.tombs.queue.first())
	s.publish(snapshot.Revision, now, snapshot)
	s.counters.Deregistrations++
	return snapshot.Revision, nil
}

// bury remembers that an instance without a lease was deregistered. Told so again, it remembers it for as long again.
func (s *Store) bury(name name, now moment) {
	if !s.tombs.repeat(name, now.at) {
		s.tombs.set(name, now.at, unknownLife)
	}
	s.wakeBy(s.tombs.queue.first())
}
