package redisstore

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/dnsreg/dnsreg/store"
)

// Renewals are sent in batches, of which renewSlots are on their way at once. A batch that begins less than renewPause
// after the last one waits for so long, or until it has renewBatch items: many small ones would cost Redis more than the
// renewals themselves. It is larger only where so many are pending that every slot has that many.
const (
	renewBatch = 200
	renewSlots = 4
	renewPause = 5 * time.Millisecond
)

// renewals collects the renewals of all callers.
type renewals struct {
	slots chan struct{} // filled while a batch is on its way

	mu      sync.Mutex // guards all below
	pending []*renewing
	full    chan struct{} // closed when a batch is; nil while nobody waits for that
	last    time.Time     // when the last batch began
}

// renewing is one renewal on its way. Its result may be read once done is closed.
type renewing struct {
	store.Renewal
	name   name
	ttl    time.Duration // as the view has it; 0: the view lacks it
	result store.Renewed
	err    error // of the whole batch
	done   chan struct{}

	lease  *redis.StringCmd // of the first round
	script *redis.Cmd       // instead, where the view lacks it
	tomb   *redis.IntCmd    // of the second round
	fix    *redis.BoolCmd
	begin  time.Time
}

// RenewAll renews leases and returns as many results, in the same order. See the contract in storetest.
func (s *Store) RenewAll(ctx context.Context, all []store.Renewal) ([]store.Renewed, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	items := make([]*renewing, len(all))
	view := s.View()
	for i, r := range all {
		items[i] = s.prepare(view, r)
	}
	s.renewals.add(items)
	bounded, cancel := call(ctx)
	defer cancel()
	group, bounded := errgroup.WithContext(bounded)
	group.SetLimit(renewSlots)
	for chunk := range slices.Chunk(items, renewBatch) {
		group.Go(func() error { return s.awaitAll(bounded, chunk) })
	}
	if err := group.Wait(); err != nil {
		return nil, s.unavailable(ctx, "renew", err)
	}
	results := make([]store.Renewed, len(all))
	for i, item := range items {
		results[i] = item.result
	}
	return results, nil
}

// prepare looks up what is to be renewed. A name that breaks the rules is settled at once.
func (s *Store) prepare(view *store.View, r store.Renewal) *renewing {
	item := &renewing{Renewal: r, name: nameOf(r.Service, r.ID), done: make(chan struct{})}
	if live := view.Service(r.Service).Find(r.ID); live != nil {
		item.ttl = live.TTL
	} else if checkName(r.Service, r.ID) != nil {
		item.settle(store.Renewed{Err: store.ErrGone}, nil)
	}
	return item
}

func (r *renewing) settle(result store.Renewed, err error) {
	r.result, r.err = result, err
	close(r.done)
}

func (r *renewing) settled() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

func (q *renewals) add(items []*renewing) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, item := range items {
		if !item.settled() {
			q.pending = append(q.pending, item)
		}
	}
	if len(q.pending) >= renewBatch && q.full != nil {
		close(q.full)
		q.full = nil
	}
}

// awaitAll waits until items are settled. Whoever finds a slot free meanwhile sends a batch, be its own items in it or
// not.
func (s *Store) awaitAll(ctx context.Context, items []*renewing) error {
	for len(items) > 0 {
		item := items[0]
		if item.settled() {
			if item.err != nil {
				return item.err
			}
			items = items[1:]
			continue
		}
		select {
		case <-item.done:
		case s.renewals.slots <- struct{}{}:
			s.sendBatch(ctx, item)
			<-s.renewals.slots
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// sendBatch sends the oldest renewals, once enough are pending or enough time has passed since the last batch.
func (s *Store) sendBatch(ctx context.Context, item *renewing) {
	if s.renewals.gather(ctx, item); ctx.Err() != nil {
		return
	}
	batch := s.renewals.take()
	if len(batch) == 0 {
		return
	}
	ctx, cancel := call(context.WithoutCancel(ctx)) // others wait for it too
	defer cancel()
	if err := s.renewBatch(ctx, batch); err != nil {
		for _, item := range batch {
			if !item.settled() {
				item.settle(store.Renewed{}, err)
			}
		}
	}
}

// gather waits until a batch is full, item is settled by another, or renewPause has passed since the last batch.
func (q *renewals) gather(ctx context.Context, item *renewing) {
	q.mu.Lock()
	wait := renewPause - time.Since(q.last)
	if wait <= 0 || len(q.pending) >= renewBatch {
		q.mu.Unlock()
		return
	}
	if q.full == nil {
		q.full = make(chan struct{})
	}
	full := q.full
	q.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-full:
	case <-item.done:
	case <-ctx.Done():
	}
}

func (q *renewals) take() []*renewing {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.pending), max(renewBatch, len(q.pending)/renewSlots))
	batch := q.pending[:n:n]
	if q.pending = q.pending[n:]; len(q.pending) == 0 {
		q.pending = nil
	}
	if n > 0 {
		q.last = time.Now()
	}
	return batch
}

// renewBatch renews a batch in one round trip, and settles in a second what the first left open.
func (s *Store) renewBatch(ctx context.Context, batch []*renewing) error {
	epoch, err := s.epoch(ctx, "")
	if err != nil {
		return err
	}
	begin := time.Now()
	pipe := s.redis.Pipeline()
	for _, r := range batch {
		r.begin = begin
		lease := s.keys.lease(r.name)
		if r.ttl > 0 {
			r.lease = pipe.GetEx(ctx, lease, r.ttl)
		} else {
			r.script = pipe.Eval(ctx, s.scripts.renew.source, []string{s.keys.meta, s.keys.rec(r.name.service), lease}, epoch, r.name.key)
		}
	}
	if _, err := pipe.Exec(ctx); err != nil && !fromRedis(err) {
		return err
	}
	again := s.redis.Pipeline()
	for _, r := range batch {
		s.judgeRenewal(ctx, again, r)
	}
	if again.Len() > 0 {
		if _, err := again.Exec(ctx); err != nil && !fromRedis(err) {
			return err
		}
	}
	for _, r := range batch {
		r.finish()
	}
	return nil
}

// judgeRenewal reads the reply of the first round and asks for what it leaves open: whether an instance without a lease
// was deregistered, and the right ttl for a lease that was renewed by another.
func (s *Store) judgeRenewal(ctx context.Context, again redis.Pipeliner, r *renewing) {
	lease, err := r.reply()
	if err != nil {
		r.err = err
		return
	}
	ttl, etag, ok := parseLease(lease)
	switch {
	case !ok:
		r.result.Err = store.ErrGone
		r.tomb = again.Exists(ctx, s.keys.tomb(r.name))
		return
	case r.ttl != 0 && r.ttl != ttl:
		r.fix = again.PExpire(ctx, s.keys.lease(r.name), ttl)
	}
	r.result.Lease = store.Lease{TTL: ttl, ExpiresAt: r.begin.Add(ttl)}
	if r.ETag != "" && r.ETag != etag {
		r.result = store.Renewed{Err: store.ErrConflict}
		return
	}
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
	if r.tomb != nil {
		n, err := r.tomb.Result()
		if r.err = err; n > 0 {
			r.result.Err = store.ErrDeregistered
		}
	}
	if r.fix != nil {
		r.err = r.fix.Err()
	}
	close(r.done)
}
