package redisstore

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// freeSize is how many instances a service and its sibling may have before a change, none of which is too large for
// DNS: store.CheckSize looks at 40 and more.
const freeSize = 39

const notShown = "the view of this server does not show it yet"

// Register registers, replaces or renews an instance. See the contract in storetest.
func (s *Store) Register(ctx context.Context, service store.Service, instance store.Instance) (store.Registration, error) {
	if err := ctx.Err(); err != nil {
		return store.Registration{}, err
	}
	in, warnings, err := s.config.Rules.Normalize(service, instance)
	if err != nil {
		return store.Registration{}, err
	}
	record, etag := in.Canonical(), in.ETag()
	n := nameOf(service, in.ID)
	what := fmt.Sprintf("register %s %q", service, in.ID)
	begin := time.Now()
	next := func(old *store.Live) store.Live {
		if old == nil {
			return store.Live{Instance: in}
		}
		return store.Live{Instance: in, Overlay: old.Overlay}
	}
	w, err := s.judged(ctx, n, next, func(judged store.Revision) (written, error) {
		begin = time.Now()
		return s.write(ctx, what, s.scripts.register,
			[]string{s.keys.meta, s.keys.log, s.keys.rec(service), s.keys.lease(n), s.keys.tomb(n), s.keys.rec(service.Sibling())},
			string(service), n.key, record, millis(in.TTL), leaseText(in.TTL, etag), uint64(judged), string(service.Sibling()), freeSize)
	})
	if err != nil {
		return store.Registration{}, err
	}
	if !s.shown(ctx, w.epoch, w.revision(), showTimeout) {
		warnings = append(warnings, notShown)
	}
	s.stats.registrations.Add(1)
	return store.Registration{
		Instance: in,
		Lease:    store.Lease{TTL: in.TTL, ExpiresAt: begin.Add(in.TTL)},
		Revision: w.revision(),
		Created:  number(w.reply, 2) == 0,
		Warnings: warnings,
	}, nil
}

// judged makes a change to an instance once it is known that DNS can carry what comes of its service: next makes the
// changed instance from the one there is, nil for none, and try tells Redis at which revision that was judged. Where Redis
// says that the service has changed since, it is judged anew.
func (s *Store) judged(ctx context.Context, n name, next func(*store.Live) store.Live, try func(store.Revision) (written, error)) (written, error) {
	bounded, cancel := call(ctx)
	defer cancel()
	for {
		current := s.current.Load()
		if err := s.judge(current.view, n, next); err != nil {
			return written{}, err
		}
		w, err := try(current.applied)
		if err != nil || w.status() != statusChanged {
			return w, err
		}
		if !s.shown(bounded, w.epoch, w.revision(), callTimeout) {
			return written{}, s.unavailable(ctx, "judge the size of "+string(n.service), context.DeadlineExceeded)
		}
	}
}

// judge returns the error of a service that DNS could not carry with the changed instance. One that stays as it is was
// judged before.
func (s *Store) judge(view *store.View, n name, next func(*store.Live) store.Live) error {
	snapshot := view.Service(n.service)
	old := snapshot.Find(n.key)
	live := next(old)
	if old != nil && old.Overlay.Equal(live.Overlay) && bytes.Equal(old.Canonical(), live.Canonical()) {
		return nil
	}
	changed := with(snapshot, live)
	changed.Service = n.service
	return store.CheckSize(s.config.Rules.Zone, changed, view.Service(n.service.Sibling()))
}

// with returns a copy of snapshot, which may be nil, with live put in by its key.
func with(snapshot *store.Snapshot, live store.Live) *store.Snapshot {
	if snapshot == nil {
		return &store.Snapshot{Instances: []store.Live{live}}
	}
	old := snapshot.Instances
	i, found := slices.BinarySearchFunc(old, live.Key(), func(l store.Live, key string) int { return cmp.Compare(l.Key(), key) })
	rest := old[i:]
	if found {
		rest = old[i+1:]
	}
	return &store.Snapshot{Service: snapshot.Service, Instances: slices.Concat(old[:i], []store.Live{live}, rest)}
}
