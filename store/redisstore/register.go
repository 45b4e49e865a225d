package redisstore

import (
	"context"
	"fmt"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

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
	record := in.Canonical()
	etag := store.ETagOf(record)
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
			[]string{s.keys.meta, s.keys.log, s.keys.rec(service), s.keys.lease(n), s.keys.tomb(n)},
			freeSize, string(service), n.key, record, millis(in.TTL), leaseText(in.TTL, etag), uint64(judged))
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
