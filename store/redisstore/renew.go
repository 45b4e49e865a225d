package redisstore

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/dnsreg/dnsreg/store"
)

const (
	renewPause = 5 * time.Millisecond // the least time between two batches of renewals that are not full
	renewMost  = 2500                 // a quarter of the largest call, and 5 ms of Redis' time
	renewLimit = 200_000              // pending, which Redis renews in half a second
)

// renewing is one renewal on its way.
type renewing struct {
	*outcome
	store.Renewal
	name    name
	ttl     time.Duration // as the view has it; 0: the view lacks it
	begin   time.Time
	renewed store.Renewed // once it is settled

	lease  *redis.StringCmd // of the first round
	script *redis.Cmd       // instead, where the view lacks it
	tomb   *redis.IntCmd    // of the second round
	fix    *redis.BoolCmd
}

// RenewAll renews leases and returns as many results, in the same order. See the contract in storetest.
func (s *Store) RenewAll(ctx context.Context, all []store.Renewal) ([]store.Renewed, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	items := make([]*renewing, len(all))
	pending := make([]*renewing, 0, len(all))
	view := s.View()
	for i, r := range all {
		items[i] = &renewing{outcome: newOutcome(), Renewal: r, name: nameOf(r.Service, r.ID)}
		if items[i].find(view) {
			pending = append(pending, items[i])
		}
	}
	if err := s.awaitRenewals(ctx, pending); err != nil {
		return nil, s.unavailable(ctx, "renew", err)
	}
	results := make([]store.Renewed, len(all))
	for i, item := range items {
		results[i] = item.renewed
	}
	return results, nil
}

// find looks up what is to be renewed, and reports whether there can be such an instance.
func (r *renewing) find(view *store.View) bool {
	if live := view.Service(r.Service).Find(r.ID); live != nil {
		r.ttl = live.TTL
		return true
	}
	r.renewed.Err = store.ErrGone
	return store.CheckName(r.Service, r.ID) == nil
}

// awaitRenewals sends renewals and waits for them, through as many slots as there are.
func (s *Store) awaitRenewals(ctx context.Context, items []*renewing) error {
	if err := s.renewals.add(items...); err != nil {
		return err
	}
	ctx, cancel := call(ctx)
	defer cancel()
	if len(items) <= batchSize {
		return s.renewals.await(ctx, items...)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(batchSlots)
	for chunk := range slices.Chunk(items, batchSize) {
		group.Go(func() error { return s.renewals.await(ctx, chunk...) })
	}
	return group.Wait()
}

// sendRenewals renews a batch in one round trip, and settles in a second what the first left open.
func (s *Store) sendRenewals(ctx context.Context, batch []*renewing) error {
	epoch, err := s.epoch(ctx, "")
	if err != nil {
		return err
	}
	begin := time.Now()
	err = s.round(ctx, func(pipe redis.Pipeliner) {
		for _, r := range batch {
			r.begin = begin
			lease := s.keys.lease(r.name)
			if r.ttl > 0 {
				r.lease = pipe.GetEx(ctx, lease, r.ttl)
			} else {
				r.script = pipe.Eval(ctx, s.scripts.renew.source, []string{s.keys.meta, s.keys.rec(r.name.service), lease}, epoch, r.name.key)
			}
		}
	})
	if err != nil {
		return err
	}
	err = s.round(ctx, func(pipe redis.Pipeliner) {
		for _, r := range batch {
			s.judgeRenewal(ctx, pipe, r)
		}
	})
	if err != nil {
		return err
	}
	for _, r := range batch {
		r.finish()
	}
	return nil
}

// round sends what fill puts into a pipeline, if anything. Errors that Redis answers are left to the commands.
func (s *Store) round(ctx context.Context, fill func(redis.Pipeliner)) error {
	pipe := s.redis.Pipeline()
	if fill(pipe); pipe.Len() == 0 {
		return nil
	}
	if _, err := pipe.Exec(ctx); err != nil && !fromRedis(err) {
		return err
	}
	return nil
}

// judgeRenewal reads the reply of the first round and asks for what it leaves open: whether an instance without a lease
// was deregistered, and the right ttl for a lease that another has changed.
func (s *Store) judgeRenewal(ctx context.Context, again redis.Pipeliner, r *renewing) {
	lease, err := r.reply()
	if err != nil {
		r.fail(err)
		return
	}
	ttl, etag, ok := parseLease(lease)
	r.renewed.Err = nil
	switch {
	case !ok:
		r.renewed.Err = store.ErrGone
		r.tomb = again.Exists(ctx, s.keys.tomb(r.name))
		return
	case r.ttl != 0 && r.ttl != ttl:
		r.fix = again.PExpire(ctx, s.keys.lease(r.name), ttl)
	}
	if r.ETag != "" && r.ETag != etag {
		r.renewed.Err = store.ErrConflict
		return
	}
	r.renewed.Lease = store.Lease{TTL: ttl, ExpiresAt: r.begin.Add(ttl)}
	s.stats.renewals.Add(1)
}

// reply returns the lease's text that the first round found, empty for none.
func (r *renewing) reply() (string, error) {
	if r.lease != nil {
		lease, err := r.lease.Result()
		if errors.Is(err, redis.Nil) {
			return "", nil
		}
		return lease, err
	}
	reply, err := r.script.Slice()
	if err == nil && text(reply, 0) != statusOK {
		err = errNoEpoch
	}
	return text(reply, 1), err
}

// finish settles a renewal after the second round.
func (r *renewing) finish() {
	var err error
	switch {
	case r.tomb != nil:
		var n int64
		if n, err = r.tomb.Result(); n > 0 {
			r.renewed.Err = store.ErrDeregistered
		}
	case r.fix != nil:
		err = r.fix.Err()
	}
	r.settle(err)
}
