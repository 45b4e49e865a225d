package redisstore

import (
	"context"
	"fmt"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// unknownLife is the life of a tombstone for an instance that was not known, and whose ttl therefore is not either:
// twice the greatest ttl.
const unknownLife = 2 * store.MaxTTL

// Deregister ends an instance and remembers that it was told to. See the contract in storetest. Where the view does not
// show it within half a second, that is logged.
func (s *Store) Deregister(ctx context.Context, service store.Service, id string) (store.Revision, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := store.CheckName(service, id); err != nil {
		return 0, err
	}
	n := nameOf(service, id)
	w, err := s.write(ctx, fmt.Sprintf("deregister %s %q", service, id), s.scripts.deregister,
		[]string{s.keys.meta, s.keys.log, s.keys.rec(service), s.keys.ops(service), s.keys.lease(n), s.keys.tomb(n)},
		string(service), n.key, millis(s.config.Retention), millis(unknownLife))
	if err != nil {
		return 0, err
	}
	s.show(ctx, w, "deregistration", n)
	if number(w.reply, 2) == 0 {
		return 0, store.ErrUnknown
	}
	s.stats.deregistrations.Add(1)
	return w.revision(), nil
}

// show waits for the view to show a change, and logs it where it does not.
func (s *Store) show(ctx context.Context, w written, what string, n name) {
	begin := time.Now()
	if !s.shown(ctx, w.epoch, w.revision(), showTimeout) {
		s.logger.Warn("the view does not show a change yet", "change", what, "service", n.service, "id", n.key, "after", time.Since(begin))
	}
}

// SetOverlay sets what an operator wants of an instance. See the contract in storetest.
func (s *Store) SetOverlay(ctx context.Context, service store.Service, id string, change store.Overlay) (store.Revision, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := checkOverlay(service, id, change); err != nil {
		return 0, err
	}
	n := nameOf(service, id)
	what := fmt.Sprintf("set overlay of %s %q", service, id)
	state, weight := overlayFields(change)
	next := func(old *store.Live) store.Live {
		if old == nil { // Redis knows better whether it exists
			return store.Live{}
		}
		return store.Live{Instance: old.Instance, Overlay: old.Overlay.Merge(change)}
	}
	w, err := s.judged(ctx, n, next, func(judged store.Revision) (written, error) {
		return s.write(ctx, what, s.scripts.overlay,
			[]string{s.keys.meta, s.keys.log, s.keys.rec(service), s.keys.ops(service), s.keys.rec(service.Sibling())},
			string(service), n.key, state, weight, uint64(judged), string(service.Sibling()), freeSize)
	})
	if err != nil {
		return 0, err
	}
	if w.status() == statusUnknown {
		return 0, store.ErrUnknown
	}
	s.show(ctx, w, "overlay", n)
	return w.revision(), nil
}

func checkOverlay(service store.Service, id string, change store.Overlay) error {
	if err := store.CheckName(service, id); err != nil {
		return err
	}
	if s := change.State; s != nil && *s != store.Up && *s != store.Draining {
		return &store.InvalidError{Fields: []store.FieldError{store.NewFieldError("state", string(*s), `must be "up" or "draining"`)}}
	}
	return nil
}
