package redisstore

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dnsreg/dnsreg/store"
)

// written is the reply of a script that changed something, and the epoch in which it did.
type written struct {
	epoch string
	reply []any
}

func (w written) status() string           { return text(w.reply, 0) }
func (w written) revision() store.Revision { return store.Revision(number(w.reply, 1)) }

// write runs a script with the epoch in force and the revision that was seen before args, and again once a new epoch is
// known where Redis has another, or a revision that is less: it has lost something, and is not to be written to before
// that is known.
// Every error is an [store.ErrUnavailable] that says what was tried, or that of the caller's context.
func (s *Store) write(ctx context.Context, what string, script *script, keys []string, args ...any) (written, error) {
	bounded, cancel := call(ctx)
	defer cancel()
	var refused string
	for {
		known := s.current.Load().applied
		epoch, err := s.epoch(bounded, refused)
		if err != nil {
			return written{}, s.unavailable(ctx, what, err)
		}
		item := &writing{outcome: newOutcome(), script: script, keys: keys, args: append([]any{epoch, uint64(known)}, args...)}
		if err = s.writes.add(item); err == nil {
			err = s.writes.await(bounded, item)
		}
		if err != nil {
			return written{}, s.unavailable(ctx, what, err)
		}
		if text(item.reply, 0) != statusNoEpoch {
			return written{epoch, item.reply}, nil
		}
		refused = epoch
	}
}

const (
	writePause = time.Millisecond // the least time between two batches of changes that are not full
	writeSlots = 2                // so that looks and renewals find Redis free
	writeLimit = 5000             // pending, with which Redis is busy for 100 ms
)

// writing is one change on its way. The arguments begin with the epoch and the revision that was seen.
type writing struct {
	*outcome
	script *script
	keys   []string
	args   []any
	reply  []any // once it is settled
}

// sendWrites runs scripts in one round trip, and those that Redis does not know in a second.
func (s *Store) sendWrites(ctx context.Context, batch []*writing) error {
	runs := gather(batch)
	err := s.round(ctx, func(pipe redis.Pipeliner) {
		for _, r := range runs {
			r.put(ctx, pipe, "evalsha", r.script.sha)
		}
	})
	if err != nil {
		return err
	}
	err = s.round(ctx, func(pipe redis.Pipeliner) {
		for _, r := range runs {
			if redis.HasErrorPrefix(r.cmd.Err(), "NOSCRIPT") {
				r.put(ctx, pipe, "eval", r.script.source)
			}
		}
	})
	if err != nil {
		return err
	}
	for _, r := range runs {
		r.settle()
	}
	return nil
}

// epoch returns the epoch in force, and waits for another where Redis has refused it.
func (s *Store) epoch(ctx context.Context, refused string) (string, error) {
	if s.Freshness() == store.Lost {
		return "", errNotSynced
	}
	for {
		s.mu.Lock()
		later := s.later()
		s.mu.Unlock()
		if epoch := s.current.Load().epoch; epoch != refused {
			return epoch, nil
		}
		signal(s.kicked)
		select {
		case <-later:
		case <-ctx.Done():
			return "", fmt.Errorf("wait for a new epoch: %w", ctx.Err())
		}
	}
}

var errNotSynced = fmt.Errorf("redis has not been seen for too long")

// unavailable wraps the cause of a failed call, but for the end of the caller's own context.
func (s *Store) unavailable(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.stats.failures.Add(1)
	return fmt.Errorf("%w: %s: %w", store.ErrUnavailable, what, err)
}

// millis is a duration as scripts take it.
func millis(d time.Duration) int64 { return d.Milliseconds() }
