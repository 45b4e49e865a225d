// Package memstore keeps a registry's instances and their leases in the memory of one process. It is the embedded
// default, and its contract is the one that storetest states.
//
// One mutex orders all changes: a renewal holds it for a fraction of a microsecond, a change of content for the time
// that one service's snapshot takes to copy. Readers never touch it: they load the view that every change publishes.
package memstore

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// Store is a registry in memory, made by [New]. All methods may be called at once from any number of goroutines.
//
// Leases end only while [Store.Run] runs. Every other method works before, during and after it: what falls due
// meanwhile stays registered, may be renewed, and ends when Run is called.
type Store struct {
	rules     store.Rules
	limit     int // of live instances
	retention time.Duration
	logger    *slog.Logger
	start     time.Time // origin of every time.Duration below that says when
	running   atomic.Bool
	view      atomic.Pointer[store.View]
	snapshots snapshots

	mu       sync.Mutex // guards all below, and every store to view
	leases   map[name]*lease
	due      queue[*lease]
	tombs    tombstones
	log      changelog
	alarm    *time.Timer   // wakes Run
	alarmAt  time.Duration // when alarm fires
	changed  chan struct{} // closed by the next change; nil while nobody waits
	counters Stats         // only what is counted
}

// New returns an empty store and starts nothing. Its error lists every field of config that is wrong.
//
// The first revision is the Unix time in hundredths of a second. A store in memory forgets its revision when the
// process ends, and secondaries and caches go by a serial that rises (RFC 1982): counted from the clock it does, across
// restarts too, as long as the content changes less than 100 times a second on average.
func New(config Config) (*Store, error) {
	config, err := config.complete()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	first := store.Revision(start.UnixMilli() / 10)
	s := &Store{
		rules:     config.Rules,
		limit:     config.MaxInstances,
		retention: config.Retention,
		logger:    config.Logger,
		start:     start,
		leases:    make(map[name]*lease),
		tombs:     newTombstones(config.MaxTombstones),
		log:       newChangelog(first, config.MaxTombstones),
		alarm:     time.NewTimer(idle),
		alarmAt:   idle,
		snapshots: snapshots{path: config.SnapshotFile, every: config.SnapshotEvery},
	}
	s.view.Store(new(store.View).With(first))
	return s, nil
}

// View returns the registry as it stands. It never waits.
func (s *Store) View() *store.View { return s.view.Load() }

// Freshness returns [store.Synced]: the view is the store.
func (s *Store) Freshness() store.Freshness { return store.Synced }

// name tells instances apart: the service and the id's key.
type name struct {
	service store.Service
	key     string
}

func nameOf(service store.Service, id string) name { return name{service, dnssd.Fold(id)} }

// moment is one reading of the clock.
type moment struct {
	wall time.Time     // for people
	at   time.Duration // since the store's start on the monotonic clock: what leases are reckoned by
}

func (s *Store) now() moment {
	wall := time.Now()
	return moment{wall: wall, at: wall.Sub(s.start)}
}
