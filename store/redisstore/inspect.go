package redisstore

import (
	"context"
	"time"
)

// reaperTimeout is after how long without a tick nobody is held to reap.
const reaperTimeout = 3 * time.Second

// inspect reports what a look shows to be wrong with Redis or with who else uses it.
func (m *mirror) inspect(ctx context.Context, l look) {
	m.inspectServer(l)
	m.inspectReaper(l)
	if l.retention > 0 && l.retention != m.store.config.Retention && !m.uneven {
		m.store.logger.Warn("another server has another retention", "own", m.store.config.Retention, "other", l.retention)
		m.uneven = true
	}
	if m.epoch != "" && !m.store.readOnly.Load() {
		if err := m.trim(ctx); err != nil {
			m.store.logger.Debug("emptied services stay in the log", "error", err)
		}
	}
}

// inspectServer greets a server that was not seen before, to which the bell has to move.
func (m *mirror) inspectServer(l look) {
	now := m.store.now()
	if l.server.home == m.checked {
		m.checkedAt = now
		return
	}
	if begun := time.Duration(m.store.bell.begun.Load()); m.checked != "" && begun <= m.checkedAt {
		signal(m.store.bell.recycle) // it may hang on the server of before
	}
	m.checked, m.checkedAt, m.node = l.server.home, now, m.dialled
	m.store.readOnly.Store(false)
	m.store.logger.Info("redis found", "version", l.server.version, "maxmemory_policy", l.server.policy)
	if l.server.policy != "noeviction" {
		m.store.logger.Warn("redis may evict leases and records: set maxmemory-policy to noeviction", "maxmemory_policy", l.server.policy)
	}
}

func (m *mirror) inspectReaper(l look) {
	now := m.store.now()
	if l.tick != m.tick {
		m.tick, m.tickedAt = l.tick, now
		if m.idle {
			m.idle = false
			m.store.logger.Info("leases are watched again")
		}
		return
	}
	if now-m.tickedAt > reaperTimeout && !m.idle {
		m.idle = true
		m.store.logger.Warn("nobody removes what has expired: no server ticks", "since", now-m.tickedAt)
	}
}

// watchBell holds what the poll has seen against what the bell has told, and has the bell hung up anew when it was
// silent about two changes in a row.
func (m *mirror) watchBell(l look) {
	moved, bells := m.polled != 0 && l.rev > m.polled, m.store.stats.bells.Load()
	switch {
	case bells != m.bells, m.store.bell.state() != bellUp:
		m.silent = 0
	case moved:
		m.silent++
	}
	if m.silent >= 2 {
		m.silent = 0
		m.store.stats.missed.Add(1)
		m.store.logger.Warn("the bell was silent about changes", "revision", l.rev)
		signal(m.store.bell.recycle)
	}
	m.polled, m.bells = l.rev, bells
}
