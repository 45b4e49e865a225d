package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/dnsreg/dnsreg/store"
)

// The bell's connection is held up by a ping every second, and given up when nothing was heard for three: go-redis itself
// never notices a server that hangs.
const (
	bellPing    = time.Second
	bellLook    = 250 * time.Millisecond
	bellSilence = 3 * time.Second
	bellRetry   = 200 * time.Millisecond
	bellPatient = 2 * time.Second

	expiredHints = 4096 // more are dropped: the reaper finds them by itself
)

// States of a bell.
const (
	bellOff  = "off"
	bellDown = "down"
	bellUp   = "up"
)

var errSilence = errors.New("nothing was heard for 3 s")

var errRecycle = errors.New("hung up anew")

// bell hears from Redis that something has changed.
type bell struct {
	up      atomic.Bool
	off     atomic.Bool
	rung    atomic.Int64  // time.Duration of the first notification that was not looked into; 0: none
	begun   atomic.Int64  // time.Duration when the connection was begun
	heard   atomic.Int64  // time.Duration of the last sign of life
	reaping atomic.Bool   // expired leases are of interest
	recycle chan struct{} // holds one: the connection is to be built anew
	expired chan name     // leases of which Redis says that they have ended
	trouble string        // the last error logged
}

func (b *bell) state() string {
	switch {
	case b.off.Load():
		return bellOff
	case b.up.Load():
		return bellUp
	default:
		return bellDown
	}
}

// rungAt returns when the bell rang first since the last call, 0 where it did not.
func (b *bell) rungAt() time.Duration { return time.Duration(b.rung.Swap(0)) }

// run listens until ctx ends, on one connection after another.
func (b *bell) run(ctx context.Context, s *Store) error {
	if s.config.Notify == NotifyOff {
		b.off.Store(true)
		return nil
	}
	pause := bellRetry
	for ctx.Err() == nil {
		begin := s.now()
		err := b.listen(ctx, s)
		b.up.Store(false)
		if ctx.Err() != nil {
			break
		}
		b.note(s, err)
		signal(s.kicked)
		if s.now()-begin > bellPatient {
			pause = bellRetry
		}
		if !errors.Is(err, errRecycle) {
			b.rest(ctx, pause)
			pause = min(2*pause, bellPatient)
		}
	}
	return nil
}

// rest waits, or until another server is found.
func (b *bell) rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-b.recycle:
	case <-timer.C:
	}
}

// note logs a change of the bell's state.
func (b *bell) note(s *Store, err error) {
	trouble := ""
	if err != nil {
		trouble = kindOf(err)
	}
	if trouble == b.trouble {
		return
	}
	b.trouble = trouble
	if err != nil {
		s.logger.Warn("bell lost: changes are seen by polling", "error", err)
	} else {
		s.logger.Info("bell heard", "channel", s.logChannel())
	}
}

func (s *Store) logChannel() string {
	return fmt.Sprintf("__keyspace@%d__:%s", s.target.database, s.keys.log)
}

func (s *Store) leasePattern() string {
	return fmt.Sprintf("__keyspace@%d__:%slease:*", s.target.database, s.keys.base)
}

// listen subscribes on the master of the zone's slot and listens until that ends.
func (b *bell) listen(ctx context.Context, s *Store) error {
	b.begun.Store(int64(s.now()))
	dial, cancel := call(ctx)
	defer cancel()
	node, err := s.redis.master(dial)
	if err != nil {
		return fmt.Errorf("find the master: %w", err)
	}
	switch err := s.ensureFlags(dial, node); {
	case err == nil:
	case fromRedis(err), errors.Is(err, errFlags):
		b.note(s, err) // flags or not, it is worth while to listen
	default:
		return err
	}
	sub := node.Subscribe(ctx)
	defer sub.Close()
	if err := sub.Subscribe(dial, s.logChannel()); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	b.heard.Store(int64(s.now()))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return b.receive(ctx, s, sub) })
	group.Go(func() error {
		defer sub.Close() // ends receive
		return b.hold(ctx, s, sub)
	})
	return group.Wait()
}

// receive hears messages until the subscription is closed or breaks. What was told before it was confirmed, or between
// two connections, nobody heard: so that a confirmation is a bell too.
func (b *bell) receive(ctx context.Context, s *Store, sub *redis.PubSub) error {
	for {
		message, err := sub.Receive(ctx)
		if denied(err) { // to listen to the log, or to leases: the rest goes on
			b.note(s, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		b.heard.Store(int64(s.now()))
		switch message := message.(type) {
		case *redis.Subscription:
			if message.Channel == s.logChannel() {
				b.up.Store(true)
				b.note(s, nil)
			}
			signal(s.kicked)
		case *redis.Message:
			b.ring(s, message)
		}
	}
}

func (b *bell) ring(s *Store, message *redis.Message) {
	if message.Pattern == "" {
		s.stats.bells.Add(1)
		b.rung.CompareAndSwap(0, int64(s.now()))
		signal(s.rung)
		return
	}
	_, key, _ := strings.Cut(message.Channel, s.keys.base+"lease:")
	service, id, ok := strings.Cut(key, ":")
	if !ok || message.Payload != "expired" {
		return
	}
	select {
	case b.expired <- name{store.Service(service), id}:
	default:
	}
}

// hold pings, follows the reaper's interest in expired leases, and returns an error when nothing is heard any more.
func (b *bell) hold(ctx context.Context, s *Store, sub *redis.PubSub) error {
	tick := time.NewTicker(bellLook)
	defer tick.Stop()
	reaping, pinged := false, s.now()
	for {
		if want := b.reaping.Load(); want != reaping {
			reaping = want
			if err := b.listenToLeases(ctx, s, sub, want); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-b.recycle:
			return errRecycle
		case <-tick.C:
		}
		now := s.now()
		if now-time.Duration(b.heard.Load()) > bellSilence {
			return errSilence
		}
		if now-pinged < bellPing {
			continue
		}
		pinged = now
		if err := b.ping(ctx, sub); err != nil {
			return err
		}
	}
}

func (b *bell) ping(ctx context.Context, sub *redis.PubSub) error {
	ctx, cancel := call(ctx)
	defer cancel()
	if err := sub.Ping(ctx); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	return nil
}

func (b *bell) listenToLeases(ctx context.Context, s *Store, sub *redis.PubSub, want bool) error {
	ctx, cancel := call(ctx)
	defer cancel()
	change := sub.PUnsubscribe
	if want {
		change = sub.PSubscribe
	}
	if err := change(ctx, s.leasePattern()); err != nil {
		return fmt.Errorf("subscribe to leases: %w", err)
	}
	return nil
}
