package redisstore

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dnsreg/dnsreg/store"
)

const (
	reaperTerm  = time.Second     // after which another server takes over
	reaperGap   = 2 * time.Second // without a tick leases went unwatched, and are held
	reapPause   = 20 * time.Millisecond
	reapBatch   = 1000 // leases looked at in one round trip
	removeBatch = 100  // records removed by one script
)

// States of a reaper.
const (
	reaperOff     = "off"
	reaperStandby = "standby"
	reaperActive  = "active"
)

// reaper watches leases and removes the records of those that have ended. Every server stands by to be it; that two are
// does no harm.
type reaper struct {
	active  atomic.Bool
	watched atomic.Int64 // services

	dues  *dues  // nil on standby
	seen  uint64 // how much of the journal is in dues
	epoch string // that dues belongs to
	hints map[name]bool
	ticks time.Duration // when the last tick was sent
	acked time.Duration // when Redis last answered one; negative at first
}

func (r *reaper) state() string {
	if r.active.Load() {
		return reaperActive
	}
	return reaperStandby
}

// run ticks until ctx ends, and in between looks at leases as they become due.
func (r *reaper) run(ctx context.Context, s *Store) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	r.ticks, r.acked, r.hints = -s.config.Tick, -reaperGap, make(map[name]bool)
	for {
		select {
		case <-ctx.Done():
			r.resign(s)
			return nil
		case n := <-s.bell.expired:
			r.hints[n] = true
			continue
		case <-timer.C:
		}
		if s.now()-r.ticks >= s.config.Tick {
			r.tick(ctx, s)
		}
		if r.active.Load() {
			r.round(ctx, s)
		}
		timer.Reset(r.pause(s))
	}
}

// pause returns how long there is nothing to do.
func (r *reaper) pause(s *Store) time.Duration {
	next := r.ticks + s.config.Tick
	if r.dues != nil {
		next = min(next, r.dues.first())
	}
	if len(r.hints) > 0 {
		next = 0
	}
	return max(next-s.now(), reapPause)
}

// tick tells Redis that leases are watched, and learns whether by this server.
func (r *reaper) tick(ctx context.Context, s *Store) {
	r.ticks = s.now()
	if s.current.Load().epoch == "" || s.Freshness() != store.Synced {
		r.stand(s, false)
		return
	}
	status, err := r.send(ctx, s, reaperTerm)
	if err == nil {
		r.acked = s.now()
	}
	if denied(err) {
		s.readOnly.Store(true)
	}
	r.stand(s, status == statusOK)
}

// send sends a tick and returns the status.
func (r *reaper) send(ctx context.Context, s *Store, term time.Duration) (string, error) {
	current, hold := s.current.Load(), 0
	if s.now()-r.acked > reaperGap {
		hold = 1
	}
	ctx, cancel := call(ctx)
	defer cancel()
	reply, err := s.scripts.tick.run(ctx, s.redis, []string{s.keys.meta},
		current.epoch, uint64(current.applied), s.id, millis(term), millis(reaperGap), hold)
	return text(reply, 0), err
}

// stand begins to watch leases, or leaves that to another.
func (r *reaper) stand(s *Store, active bool) {
	if !active {
		r.dues = nil
		clear(r.hints)
	}
	if r.active.Swap(active) == active {
		return
	}
	s.bell.reaping.Store(active)
	s.logger.Info("reaper", "state", r.state())
}

// resign lets another server take over at once. Should Redis not answer it does so after reaperTerm.
func (r *reaper) resign(s *Store) {
	if !r.active.Load() {
		return
	}
	if _, err := r.send(context.Background(), s, 0); err != nil {
		s.logger.Debug("another server takes over later", "error", err)
	}
	r.stand(s, false)
}

// round looks at what is due.
func (r *reaper) round(ctx context.Context, s *Store) {
	r.catchUp(s)
	for n := range r.hints {
		r.dues.hasten(n)
	}
	clear(r.hints)
	for ctx.Err() == nil && r.dues != nil && s.now()-r.ticks < s.config.Tick {
		due := r.dues.take(s.now(), reapBatch)
		if len(due) == 0 || !r.reap(ctx, s, due) {
			return
		}
	}
}

// catchUp takes up which services have changed. Whoever begins to watch begins with a look at every lease.
func (r *reaper) catchUp(s *Store) {
	s.mu.Lock()
	current, end := s.current.Load(), s.journal.end()
	fresh := r.dues == nil || r.epoch != current.epoch || r.seen < s.journal.dropped
	var services []store.Service
	if !fresh {
		services = s.journal.changedSince(r.seen)
	}
	s.mu.Unlock()
	// What has changed since the last look may have been registered right after it.
	since := time.Duration(s.syncedAt.Load())
	if fresh {
		r.dues = newDues()
		for snapshot := range current.stored.All() {
			r.dues.watch(snapshot.Service, snapshot, func(*store.Live) time.Duration { return 0 })
		}
	}
	for _, service := range services {
		r.dues.watch(service, current.stored.Service(service), func(live *store.Live) time.Duration { return since + live.TTL })
	}
	r.seen, r.epoch = end, current.epoch
	r.watched.Store(int64(len(r.dues.queue)))
}

// reap asks Redis how long leases have left, has the records of those that have ended removed, and reports whether Redis
// has answered.
func (r *reaper) reap(ctx context.Context, s *Store, due []candidate) bool {
	left, err := r.left(ctx, s, due)
	if err != nil {
		return false
	}
	s.stats.reaps.Add(uint64(len(due)))
	now := s.now()
	var ended, endless []candidate
	for i, c := range due {
		switch ttl := c.live().TTL; {
		case left[i] == -2:
			ended = append(ended, c)
		case left[i] < 0 || left[i] > ttl+ttl/2:
			endless = append(endless, c)
			r.dues.set(c, now+ttl)
		default:
			r.dues.set(c, now+left[i]+time.Millisecond)
		}
	}
	for part := range slices.Chunk(endless, removeBatch) {
		r.clamp(ctx, s, part)
	}
	for part := range slices.Chunk(ended, removeBatch) {
		r.remove(ctx, s, part)
	}
	return true
}

// left returns how long leases have left: -2 for one that has ended, -1 for one that never does.
func (r *reaper) left(ctx context.Context, s *Store, due []candidate) ([]time.Duration, error) {
	ctx, cancel := call(ctx)
	defer cancel()
	pipe := s.redis.Pipeline()
	cmds := make([]*redis.DurationCmd, len(due))
	for i, c := range due {
		cmds[i] = pipe.PTTL(ctx, s.keys.lease(c.name()))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	left := make([]time.Duration, len(due))
	for i, cmd := range cmds {
		left[i] = cmd.Val()
	}
	return left, nil
}

// clamp mends leases that a clock has made too long.
func (r *reaper) clamp(ctx context.Context, s *Store, endless []candidate) {
	keys, args := []string{s.keys.meta}, []any{r.epoch}
	for _, c := range endless {
		keys = append(keys, s.keys.lease(c.name()))
		args = append(args, millis(c.live().TTL))
	}
	ctx, cancel := call(ctx)
	defer cancel()
	if _, err := s.scripts.clamp.run(ctx, s.redis, keys, args...); err == nil {
		s.stats.clamps.Add(uint64(len(endless)))
	}
}

// remove has the records of ended leases removed, but for those that are held.
func (r *reaper) remove(ctx context.Context, s *Store, ended []candidate) {
	keys, args := []string{s.keys.meta, s.keys.log}, []any{r.epoch, uint64(s.current.Load().applied), millis(reaperGap)}
	for _, c := range ended {
		n := c.name()
		keys = append(keys, s.keys.rec(n.service), s.keys.ops(n.service), s.keys.lease(n))
		args = append(args, string(n.service), n.key)
	}
	ctx, cancel := call(ctx)
	defer cancel()
	reply, err := s.scripts.remove.run(ctx, s.redis, keys, args...)
	if err != nil || text(reply, 0) != statusOK {
		return // they are due again in a second
	}
	now, removed := s.now(), 0
	for i, c := range ended {
		if again := time.Duration(number(reply, i+1)) * time.Millisecond; again >= 0 {
			r.dues.set(c, now+again+time.Millisecond)
		} else {
			removed++
		}
	}
	s.stats.expiries.Add(uint64(removed))
	if removed > 0 {
		signal(s.rung)
		first := ended[0].name()
		s.logger.Info("leases expired", "count", removed, "service", first.service, "id", first.key)
	}
}
