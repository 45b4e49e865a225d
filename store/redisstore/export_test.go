package redisstore

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dnsreg/dnsreg/store"
)

// What tests need of the parts.
var (
	DecodeRecord  = store.ParseCanonical
	DecodeOverlay = decodeOverlay
	OverlayText   = overlayText
	ParseLease    = parseLease
	LeaseText     = leaseText
	MissingFlags  = missingFlags
	Salvage       = salvage
	Mend          = mend
	KindOf        = kindOf
)

// ErrTimedOut is what an operation of net ends in whose time is over.
func ErrTimedOut(op string) error {
	return fmt.Errorf("look at the revision: %w", &net.OpError{Op: op, Net: "tcp", Err: os.ErrDeadlineExceeded})
}

// Batches is a batcher whose batches are sent to a test.
type Batches struct {
	batcher *batcher[*renewing]
	Sending chan struct{} // gets an element for each batch that goes
	Answer  chan error    // what ends one
	Settled func()        // called when one is settled, and not yet through; may be nil
}

// NewBatches returns a batcher with so many slots.
func NewBatches(slots int) *Batches {
	b := &Batches{Sending: make(chan struct{}), Answer: make(chan error)}
	b.batcher = &batcher[*renewing]{most: 1, limit: 10, slots: make(chan struct{}, slots), send: func(_ context.Context, batch []*renewing) error {
		b.Sending <- struct{}{}
		err := <-b.Answer
		for _, item := range batch {
			item.settle(err)
		}
		if b.Settled != nil {
			b.Settled()
		}
		return nil
	}}
	return b
}

// Do makes a call of so many items, each of which goes by itself.
func (b *Batches) Do(ctx context.Context, n int) error {
	items := make([]*renewing, n)
	for i := range items {
		items[i] = &renewing{outcome: newOutcome()}
	}
	if err := b.batcher.add(items...); err != nil {
		return err
	}
	return b.batcher.await(ctx, items...)
}

// Drain waits until no batch is on its way.
func (b *Batches) Drain() { b.batcher.drain() }

// Looks takes up what is missing at looks of a recovery, and reports whether the last one gives up.
func Looks(looks ...Look) bool {
	p, stalled := progress{least: looks[0].Missing, leastAt: looks[0].At, lookedAt: looks[0].At, gap: recoverGap}, false
	for _, l := range looks[1:] {
		stalled = p.stalled(l.Missing, l.At)
	}
	return stalled
}

// Look is when Redis was looked at, and how many were missing then.
type Look struct {
	At      time.Duration
	Missing int
}

// StandbyPause returns how long a reaper pauses that stands by and has heard of a lease's end.
func StandbyPause(s *Store) time.Duration {
	r := reaper{hints: map[name]bool{nameOf("_web._tcp", "a"): true}, ticks: s.now()}
	r.stand(s, false)
	return r.pause(s)
}

// Script runs one of the scripts by the name of its file.
func Script(ctx context.Context, c redis.Cmdable, file string, keys []string, args ...any) ([]any, error) {
	s, err := loadScripts()
	if err != nil {
		return nil, err
	}
	return map[string]*script{
		"init": s.begin, "join": s.join, "register": s.register, "renew": s.renew, "deregister": s.deregister,
		"overlay": s.overlay, "tick": s.tick, "remove": s.remove, "clamp": s.clamp, "trim": s.trim,
		"restore": s.restore, "delta": s.delta, "settle": s.settle,
	}[file].run(ctx, c, keys, args...)
}

// Keys names the keys of a zone.
type Keys struct{ keys }

// NewKeys returns the keys of a zone under a prefix.
func NewKeys(prefix, zone string) Keys { return Keys{newKeys(prefix, zone)} }

func (k Keys) Meta() string                                  { return k.meta }
func (k Keys) ChangeLog() string                             { return k.log }
func (k Keys) Rec(service store.Service) string              { return k.rec(service) }
func (k Keys) Ops(service store.Service) string              { return k.ops(service) }
func (k Keys) Lease(service store.Service, id string) string { return k.lease(nameOf(service, id)) }
func (k Keys) Tomb(service store.Service, id string) string  { return k.tomb(nameOf(service, id)) }

// URLParts is what a URL names, for comparison.
type URLParts struct {
	Addresses                          []string
	Database                           int
	Username, Password, Master         string
	SentinelUsername, SentinelPassword string
	TLS, Cluster                       bool
}

// ParseURL reads a URL.
func ParseURL(s string) (URLParts, error) {
	t, err := parseURL(s)
	return URLParts{t.addresses, t.database, t.username, t.password, t.master, t.sentinelUsername, t.sentinelPassword, t.tls, t.cluster()}, err
}

// ParseInfo reads a reply of INFO: version, home, role and policy, and the error of the version.
func ParseInfo(s string) (version, home, role, policy string, err error) {
	i := parseInfo(s)
	return i.version, i.home, i.role, i.policy, i.checkVersion()
}

// Dues is the reaper's list of what is due.
type Dues struct{ *dues }

// NewDues returns an empty list.
func NewDues() Dues { return Dues{newDues()} }

// Watch takes up a service; what has changed gets bound.
func (d Dues) Watch(service store.Service, snapshot *store.Snapshot, bound time.Duration) {
	d.watch(service, snapshot, func(*store.Live) time.Duration { return bound })
}

// Take returns the keys of what is due.
func (d Dues) Take(now time.Duration, limit int) []string {
	var all []string
	for _, c := range d.take(now, limit) {
		all = append(all, string(c.name().service)+"/"+c.name().key)
	}
	return all
}

// First returns when the first is due.
func (d Dues) First() time.Duration { return d.first() }

// Hasten makes one due now.
func (d Dues) Hasten(service store.Service, id string) { d.hasten(nameOf(service, id)) }
