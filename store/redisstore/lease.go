package redisstore

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dnsreg/dnsreg/store"
)

// Leases returns the leases of a service by [store.Instance.Key]. One that has ended, of an instance that is still held,
// has just expired. See the contract in storetest.
func (s *Store) Leases(ctx context.Context, service store.Service) (map[string]store.Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	leases := make(map[string]store.Lease)
	snapshot := s.View().Service(service)
	if snapshot == nil {
		return leases, nil
	}
	bounded, cancel := call(ctx)
	defer cancel()
	pipe := s.redis.Pipeline()
	left := make([]*redis.DurationCmd, len(snapshot.Instances))
	for i := range snapshot.Instances {
		left[i] = pipe.PTTL(bounded, s.keys.lease(name{service, snapshot.Instances[i].Key()}))
	}
	if _, err := pipe.Exec(bounded); err != nil {
		return nil, s.unavailable(ctx, "leases of "+string(service), err)
	}
	now := time.Now()
	for i := range snapshot.Instances {
		in := &snapshot.Instances[i]
		leases[in.Key()] = store.Lease{TTL: in.TTL, ExpiresAt: now.Add(max(left[i].Val(), 0))}
	}
	return leases, nil
}
