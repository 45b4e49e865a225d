package redisstore

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dnsreg/dnsreg/store"
)

// apply makes a cut part of the mirror and publishes the result.
func (m *mirror) apply(ctx context.Context, c cut) error {
	changed := slices.Collect(maps.Values(c.changes))
	for _, snapshot := range changed {
		m.emptys.note(snapshot, m.store.now())
	}
	m.view, m.rev = m.view.With(c.rev, changed...), c.rev
	if m.kept != nil {
		return m.keepOn(ctx, changed)
	}
	m.store.publish(&state{epoch: m.epoch, view: m.view, stored: m.view, applied: m.rev}, changed)
	return nil
}

// compare finds what the log has and the mirror has not, or otherwise. There should be nothing but what changed meanwhile.
func (m *mirror) compare(ctx context.Context) error {
	m.store.stats.compares.Add(1)
	listed, err := m.listAll(ctx)
	if err != nil {
		return err
	}
	snapshots, err := m.loadServices(ctx, m.unlike(listed))
	if err != nil {
		return err
	}
	c, err := m.delta(ctx, m.rev)
	if err != nil {
		return err
	}
	if c.epoch != m.epoch {
		return errNoEpoch
	}
	for _, snapshot := range snapshots {
		if c.changes[snapshot.Service] == nil {
			m.store.logger.Warn("a change had been missed", "service", snapshot.Service, "revision", snapshot.Revision)
			c.changes[snapshot.Service] = snapshot
		}
	}
	m.compared = m.store.now()
	return m.apply(ctx, c)
}

func (m *mirror) listAll(ctx context.Context) (map[store.Service]store.Revision, error) {
	all := make(map[store.Service]store.Revision)
	for after := store.Revision(0); ; {
		page, err := m.list(ctx, after)
		if err != nil {
			return nil, err
		}
		for _, l := range page {
			all[l.service], after = l.revision, l.revision
		}
		if len(page) < pageServices {
			return all, nil
		}
	}
}

// unlike returns the services whose last change the mirror does not know, of those up to its revision, and those that
// only the mirror knows.
func (m *mirror) unlike(all map[store.Service]store.Revision) []listed {
	var unlike []listed
	for service, revision := range all {
		if revision <= m.rev && m.lastChange(service) != revision {
			unlike = append(unlike, listed{service, revision})
		}
	}
	for snapshot := range m.view.All() {
		if _, ok := all[snapshot.Service]; !ok {
			unlike = append(unlike, listed{snapshot.Service, m.rev})
		}
	}
	return unlike
}

func (m *mirror) lastChange(service store.Service) store.Revision {
	if snapshot := m.view.Service(service); snapshot != nil {
		return snapshot.Revision
	}
	return m.emptys[service].revision
}

// equal reports whether two snapshots of a service are the same content at the same revision.
func equal(a, b *store.Snapshot) bool {
	return a.Revision == b.Revision && sameInstances(a, b)
}

func sameInstances(a, b *store.Snapshot) bool {
	return slices.EqualFunc(a.Instances, b.Instances, sameLive)
}

func sameLive(a, b store.Live) bool {
	return a.ID == b.ID && a.Host == b.Host && a.Port == b.Port && a.Priority == b.Priority && a.Weight == b.Weight &&
		a.TTL == b.TTL && slices.Equal(a.Addresses, b.Addresses) && slices.Equal(a.TXT, b.TXT) &&
		slices.Equal(a.Subtypes, b.Subtypes) && a.Overlay.Equal(b.Overlay)
}

// emptied is which services are in the log without records, so that a reaper can have them forgotten.
type emptied map[store.Service]vacancy

type vacancy struct {
	revision store.Revision // of the service's last change
	since    time.Duration  // when this server saw it first
}

func (e emptied) note(snapshot *store.Snapshot, now time.Duration) {
	switch {
	case len(snapshot.Instances) > 0:
		delete(e, snapshot.Service)
	case e[snapshot.Service].revision != snapshot.Revision:
		e[snapshot.Service] = vacancy{snapshot.Revision, now}
	}
}

// trim has Redis forget services that have had no records for the retention, a few at a time.
func (m *mirror) trim(ctx context.Context) error {
	keys, args := []string{m.store.keys.meta, m.store.keys.log}, []any{m.epoch}
	before := m.store.now() - m.store.config.Retention
	var trimmed []store.Service
	for service, v := range m.emptys {
		if v.since <= before && len(trimmed) < deltaServices {
			trimmed = append(trimmed, service)
			keys = append(keys, m.store.keys.rec(service))
			args = append(args, string(service), uint64(v.revision))
		}
	}
	if len(trimmed) == 0 {
		return nil
	}
	ctx, cancel := call(ctx)
	defer cancel()
	if _, err := m.store.scripts.trim.run(ctx, m.store.redis, keys, args...); err != nil {
		return err
	}
	for _, service := range trimmed {
		delete(m.emptys, service)
	}
	return nil
}

// buried returns which of these instances were deregistered.
func (m *mirror) buried(ctx context.Context, names []name) (map[name]bool, error) {
	buried := make(map[name]bool)
	for part := range slices.Chunk(names, pageRecords) {
		if err := m.findBuried(ctx, part, buried); err != nil {
			return nil, err
		}
	}
	return buried, nil
}

func (m *mirror) findBuried(ctx context.Context, part []name, buried map[name]bool) error {
	return m.pipeline(ctx, func(ctx context.Context, pipe redis.Pipeliner) func() {
		cmds := make([]*redis.IntCmd, len(part))
		for i, n := range part {
			cmds[i] = pipe.Exists(ctx, m.store.keys.tomb(n))
		}
		return func() {
			for i, cmd := range cmds {
				if cmd.Val() > 0 {
					buried[part[i]] = true
				}
			}
		}
	})
}
