package memstore

import (
	"context"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// lease keeps one instance alive. Its slot's due is a lower bound of deadline: a renewal only moves the deadline, and
// whoever finds the slot due puts it where it belongs.
type lease struct {
	slot
	name     name
	etag     string
	ttl      time.Duration
	deadline time.Duration
}

// open begins the lease of an instance that has none.
func (s *Store) open(name name, etag string, ttl time.Duration, now moment) store.Lease {
	l := &lease{name: name, etag: etag, ttl: ttl, deadline: now.at + ttl}
	s.leases[name] = l
	s.due.add(l, l.deadline)
	s.wakeBy(l.due)
	return l.read(now)
}

// renew gives a lease its whole ttl from now on.
func (s *Store) renew(l *lease, now moment) store.Lease {
	l.deadline = now.at + l.ttl
	if l.deadline < l.due { // the ttl was shortened
		s.due.move(l, l.deadline)
		s.wakeBy(l.due)
	}
	return l.read(now)
}

// drop forgets a lease.
func (s *Store) drop(l *lease) {
	delete(s.leases, l.name)
	s.due.remove(l)
}

// read returns the lease as callers see it.
func (l *lease) read(now moment) store.Lease {
	return store.Lease{TTL: l.ttl, ExpiresAt: now.wall.Add(l.deadline - now.at)}
}

// renewBatch bounds how many renewals hold the lock at a stretch, to some tens of microseconds.
const renewBatch = 256

// RenewAll renews leases and returns as many results, in the same order. See the contract in storetest.
func (s *Store) RenewAll(ctx context.Context, renewals []store.Renewal) ([]store.Renewed, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	results := make([]store.Renewed, len(renewals))
	for i := 0; i < len(renewals); i += renewBatch {
		end := min(i+renewBatch, len(renewals))
		s.renewEach(renewals[i:end], results[i:end])
	}
	return results, nil
}

func (s *Store) renewEach(renewals []store.Renewal, results []store.Renewed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for i, r := range renewals {
		results[i] = s.renewOne(r, now)
	}
}

func (s *Store) renewOne(r store.Renewal, now moment) store.Renewed {
	name := nameOf(r.Service, r.ID)
	l := s.leases[name]
	switch {
	case l == nil && s.tombs.has(name, now.at):
		return store.Renewed{Err: store.ErrDeregistered}
	case l == nil:
		return store.Renewed{Err: store.ErrGone}
	case r.ETag != "" && r.ETag != l.etag:
		return store.Renewed{Err: store.ErrConflict}
	}
	s.counters.Renewals++
	return store.Renewed{Lease: s.renew(l, now)}
}

// Leases returns the leases of a service by [store.Instance.Key].
func (s *Store) Leases(ctx context.Context, service store.Service) (map[string]store.Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	leases := make(map[string]store.Lease)
	if snapshot := s.View().Service(service); snapshot != nil {
		for i := range snapshot.Instances {
			key := snapshot.Instances[i].Key()
			leases[key] = s.leases[name{service, key}].read(now)
		}
	}
	return leases, nil
}
