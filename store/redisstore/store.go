// Package redisstore keeps a registry's instances and their leases in Redis, for any number of servers at once. Its
// contract is the one that storetest states.
//
// A lease is a key with an expiry, renewed by one native command. Everything else about a zone changes through scripts,
// each of which raises the zone's one revision and notes it in the zone's change log. Every server mirrors the whole
// zone: a notification about the log is the bell that tells it to look, and a poll of the revision the proof that it has
// missed nothing. One of the servers, the reaper, looks at leases that are due and removes the records of those that
// have ended. Which keys there are is in keys.go, what the scripts do in the folder scripts, each with its contract.
//
// Redis may be unreachable, emptied, rolled back or replaced by a replica that lags. An epoch binds the data to the one
// history of the server that holds it; whoever sees that history broken begins a new epoch, puts back what is missing,
// and nothing is removed before every holder of a lease had one whole ttl to come back.
package redisstore

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/dnsreg/dnsreg/store"
)

// Store is a registry in Redis as one server sees it, made by [New]. All methods may be called at once from any number of
// goroutines. Those that change or ask Redis return [store.ErrUnavailable] until [Store.Run] has seen it, and after.
// None of them takes longer than 1.1 s for Redis' sake, and half a second more for the view to show a change.
type Store struct {
	config  Config
	target  target
	id      string // of this server, as reaper
	keys    keys
	scripts *scripts
	redis   *connection
	logger  *slog.Logger
	widest  []store.Live // see there
	start   time.Time    // origin of every time.Duration below that says when
	running atomic.Bool

	current  atomic.Pointer[state]
	syncedAt atomic.Int64 // time.Duration of the last good look, negative before the first
	readOnly atomic.Bool  // Redis denies this server to write
	renewals *batcher[*renewing]
	writes   *batcher[*writing]
	bell     bell
	reaper   reaper
	stats    counters
	rung     chan struct{} // holds one: something may have changed
	kicked   chan struct{} // holds one: look at everything

	mu      sync.Mutex // guards all below, and every store to current
	journal journal
	changed chan struct{} // closed by the next publication; nil while nobody waits
}

// state is what the follower knows, published whole.
type state struct {
	epoch      string         // empty before the first look
	view       *store.View    // what is answered
	stored     *store.View    // what Redis has at revision applied; differs from view only during a recovery
	applied    store.Revision // of stored
	recovering bool
}

// New returns a store that knows nothing yet. It starts nothing and dials nothing; its error lists every field of config
// that is wrong.
func New(config Config) (*Store, error) {
	config, target, err := config.complete()
	if err != nil {
		return nil, err
	}
	scripts, err := loadScripts()
	if err != nil {
		return nil, err
	}
	redis.SetLogger(silence{})
	s := &Store{
		config:  config,
		target:  target,
		id:      newID(),
		keys:    newKeys(config.Prefix, config.Rules.Zone),
		scripts: scripts,
		logger:  config.Logger,
		widest:  widest(slackMost),
		start:   time.Now(),
		rung:    make(chan struct{}, 1),
		kicked:  make(chan struct{}, 1),
	}
	s.redis = connect(target, config.TLS, s.keys.meta)
	s.syncedAt.Store(-1)
	s.current.Store(&state{view: new(store.View), stored: new(store.View)})
	s.renewals = &batcher[*renewing]{
		pause: renewPause, most: renewMost, limit: renewLimit, send: s.sendRenewals, slots: make(chan struct{}, batchSlots),
	}
	s.writes = &batcher[*writing]{
		pause: writePause, most: batchSize, limit: writeLimit, send: s.sendWrites, slots: make(chan struct{}, writeSlots),
	}
	s.bell.recycle = make(chan struct{}, 1)
	s.bell.expired = make(chan name, expiredHints)
	return s, nil
}

// silence is the logger of go-redis, whose global one would write to standard error what every caller gets as an error.
type silence struct{}

// Printf discards its arguments.
func (silence) Printf(context.Context, string, ...any) {}

// Run follows Redis until ctx ends, then closes the connections and returns nil; a store runs once. It returns when
// everything that it started has ended.
func (s *Store) Run(ctx context.Context) error {
	if !s.running.CompareAndSwap(false, true) {
		return errors.New("redisstore: run: already running, or has run")
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return newMirror(s).run(ctx) })
	group.Go(func() error { return s.bell.run(ctx, s) })
	group.Go(func() error { return s.reaper.run(ctx, s) })
	err := errors.Join(group.Wait(), s.redis.Close())
	s.renewals.drain()
	s.writes.drain()
	return err
}

// View returns the registry as it was last seen. It never waits.
func (s *Store) View() *store.View { return s.current.Load().view }

// Freshness returns [store.Synced] within 5 s of the last good look at Redis, [store.Stale] within Config.MaxStale of
// it, and else [store.Lost]. It never waits.
func (s *Store) Freshness() store.Freshness {
	synced := time.Duration(s.syncedAt.Load())
	age := s.now() - synced
	switch {
	case synced < 0 || age > s.config.MaxStale:
		return store.Lost
	case age > s.config.StaleAfter:
		return store.Stale
	}
	return store.Synced
}

// now is the time since the store was made, on the monotonic clock.
func (s *Store) now() time.Duration { return time.Since(s.start) }

// signal puts an element into a channel that holds one, unless there is one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// call returns a context for one call to Redis.
func call(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, callTimeout)
}
