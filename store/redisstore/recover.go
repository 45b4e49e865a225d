package redisstore

import (
	"context"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// Bounds of a recovery.
const (
	recoverTimeout = 60 * time.Second // of looks without one more that is back
	recoverGap     = 5 * time.Second  // and the poll's interval: between looks so far apart Redis was out of reach
	restoreBatch   = 100
	restoreRound   = 20 // batches between two looks at what came of them
	restoreStalled = 2 * time.Second
	readerPatience = 5 * time.Second

	// Views that show what Redis has lost have revisions of their own, which no other server uses: the new epoch has
	// left room below its first revision, in which each server that recovers gets a slot.
	epochRoom = 1 << 20
	slotRoom  = 1 << 11
)

// kept is a recovery: what Redis has lost and this server shows until it is back.
type kept struct {
	lost  map[store.Service][]store.Live
	count int
	next  store.Revision // of the next private view
	end   store.Revision // of the slot; equal to next where there is none
	first bool           // this server began the epoch, and restores before all others

	since, movedAt time.Duration
	restoring      string // as last seen, and when it changed
	progress       progress
	restoredAt     time.Duration // when the first was seen to be through; 0 before
}

// progress tells a recovery that stands still from one that cannot go on because Redis is out of reach.
type progress struct {
	least    int // that was missing, and when it became that, or when Redis came back into reach
	leastAt  time.Duration
	lookedAt time.Duration // when Redis was last looked at
	gap      time.Duration // between two looks, beyond which Redis was out of reach
}

// stalled takes up how many are missing at a look, and reports whether nothing has come back for too long.
func (p *progress) stalled(missing int, now time.Duration) bool {
	if missing < p.least || now-p.lookedAt > p.gap {
		p.least, p.leastAt = missing, now
	}
	p.lookedAt = now
	return now-p.leastAt > recoverTimeout
}

// recover takes up a new epoch: it loads what Redis has, and keeps what is missing there until it is back.
func (m *mirror) recover(ctx context.Context, l look) error {
	m.store.stats.recoveries.Add(1)
	shown := m.store.View()
	stored, rev, err := m.loadAll(ctx, l.epoch)
	if err != nil {
		return err
	}
	now := m.store.now()
	k := &kept{lost: make(map[store.Service][]store.Live), first: m.began == l.epoch, since: now, movedAt: now}
	if err := m.keepLost(ctx, k, shown, stored); err != nil {
		return err
	}
	if k.count > 0 {
		m.join(ctx, l, k)
	}
	k.progress = progress{least: k.count, leastAt: now, lookedAt: now, gap: recoverGap + m.store.config.Poll}
	m.epoch, m.rev, m.view, m.kept, m.compared = l.epoch, rev, stored, k, now
	m.store.logger.Warn("the data's history is broken: recovering", "epoch", l.epoch, "revision", rev,
		"stored", stored.Instances(), "shown", shown.Instances(), "lost", k.count)
	m.show(shown.All(), stored.All())
	return nil
}

// keepLost finds what is shown and not stored.
func (m *mirror) keepLost(ctx context.Context, k *kept, shown, stored *store.View) error {
	var names []name
	for snapshot := range shown.All() {
		other := stored.Service(snapshot.Service)
		if other == snapshot {
			continue
		}
		for _, live := range salvage(snapshot, other, nobody) {
			names = append(names, name{snapshot.Service, live.Key()})
		}
	}
	buried, err := m.buried(ctx, names)
	if err != nil {
		return err
	}
	for _, n := range names {
		if _, ok := k.lost[n.service]; !ok {
			k.set(n.service, salvage(shown.Service(n.service), stored.Service(n.service), func(key string) bool {
				return buried[name{n.service, key}]
			}))
		}
	}
	return nil
}

func nobody(string) bool { return false }

// set makes lost what is kept of a service.
func (k *kept) set(service store.Service, lost []store.Live) {
	k.count += len(lost) - len(k.lost[service])
	if len(lost) == 0 {
		delete(k.lost, service)
		return
	}
	k.lost[service] = lost
}

// join gets this server its slot of revisions. Without one it shows nothing new until the recovery has ended.
func (m *mirror) join(ctx context.Context, l look, k *kept) {
	ctx, cancel := call(ctx)
	defer cancel()
	reply, err := m.store.scripts.join.run(ctx, m.store.redis, []string{m.store.keys.meta}, l.epoch)
	slot := store.Revision(number(reply, 1))
	if err != nil || text(reply, 0) != statusOK || slot >= epochRoom/slotRoom || l.base < epochRoom {
		m.store.logger.Warn("the view stands still until the recovery ends", "slot", slot, "error", err)
		return
	}
	k.next = l.base - epochRoom + slot*slotRoom
	k.end = k.next + slotRoom
	if shown := m.store.View().Revision(); k.next <= shown {
		k.next = shown + 1
	}
}

// keepOn takes up changes during a recovery: what is back, or was deregistered, is kept no more.
func (m *mirror) keepOn(ctx context.Context, changed []*store.Snapshot) error {
	var names []name
	for _, snapshot := range changed {
		for _, live := range m.kept.lost[snapshot.Service] {
			names = append(names, name{snapshot.Service, live.Key()})
		}
	}
	buried, err := m.buried(ctx, names)
	if err != nil {
		return err
	}
	for _, snapshot := range changed {
		service := snapshot.Service
		was := &store.Snapshot{Service: service, Instances: m.kept.lost[service]}
		m.kept.set(service, salvage(was, m.view.Service(service), func(key string) bool { return buried[name{service, key}] }))
	}
	m.show(func(yield func(*store.Snapshot) bool) {
		for _, snapshot := range changed {
			if !yield(snapshot) {
				return
			}
		}
	})
	return nil
}

// show publishes what Redis has and what is kept: under Redis' revision where nothing is, else under one of this
// server's own. touched are the services that may have changed.
func (m *mirror) show(touched ...func(func(*store.Snapshot) bool)) {
	next := &state{epoch: m.epoch, stored: m.view, applied: m.rev, recovering: m.kept.count > 0}
	var changed []*store.Snapshot
	switch k := m.kept; {
	case k.count == 0:
		next.view = m.view
		changed = m.differences(m.view)
	case k.next < k.end:
		changed = m.private(k.next, touched)
		next.view = m.store.View()
		if len(changed) > 0 {
			next.view = next.view.With(k.next, changed...)
			k.next++
		}
	default:
		next.view, next.applied = m.store.View(), 0
	}
	m.store.publish(next, changed)
}

// private returns the snapshots of touched services as they are shown during a recovery, where that is not so yet.
func (m *mirror) private(revision store.Revision, touched []func(func(*store.Snapshot) bool)) []*store.Snapshot {
	shown, seen := m.store.View(), make(map[store.Service]bool)
	var changed []*store.Snapshot
	for _, services := range touched {
		for snapshot := range services {
			service := snapshot.Service
			old := shown.Service(service)
			if seen[service] || old != nil && old == m.view.Service(service) {
				continue
			}
			seen[service] = true
			next := &store.Snapshot{Service: service, Revision: revision, Instances: mend(m.view.Service(service), m.kept.lost[service])}
			if old == nil && len(next.Instances) > 0 || old != nil && !sameInstances(old, next) {
				changed = append(changed, next)
			}
		}
	}
	return changed
}

// restore puts back what is kept, in this server's turn, and ends the recovery when nothing is kept any more.
func (m *mirror) restore(ctx context.Context, l look) error {
	k, now := m.kept, m.store.now()
	if l.restoring != k.restoring {
		k.restoring, k.movedAt = l.restoring, now
	}
	stalled := k.progress.stalled(k.count, now)
	if l.restored == l.epoch && k.restoredAt == 0 {
		k.restoredAt = now
	}
	switch {
	case k.count == 0:
		return m.endRecovery(ctx, l)
	case stalled, m.store.readOnly.Load() && k.restoredAt > 0 && now-k.restoredAt > readerPatience:
		m.store.logger.Warn("what could not be restored is given up", "instances", k.count)
		k.lost, k.count = nil, 0
		return m.endRecovery(ctx, l)
	case m.store.readOnly.Load(), !k.first && k.restoredAt == 0 && now-k.movedAt < restoreStalled:
		return nil
	}
	return m.restoreRound(ctx)
}

// restoreRound sends some batches and takes up what came of them, which leaves fewer for the next round.
func (m *mirror) restoreRound(ctx context.Context) error {
	batch := newRestoring(m)
	sent := 0
	for service, lost := range m.kept.lost {
		for _, live := range lost {
			batch.add(name{service, live.Key()}, live)
			if batch.size < restoreBatch {
				continue
			}
			if err := batch.send(ctx, ""); err != nil {
				return err
			}
			sent++
		}
		if sent >= restoreRound {
			break
		}
	}
	if err := batch.send(ctx, ""); err != nil {
		return err
	}
	signal(m.store.kicked)
	return m.follow(ctx)
}

// endRecovery tells all that what was lost is back, or given up, and shows what Redis has.
func (m *mirror) endRecovery(ctx context.Context, l look) error {
	if !m.store.readOnly.Load() && l.restored != l.epoch {
		if err := newRestoring(m).send(ctx, l.epoch); err != nil {
			return err
		}
	}
	m.show()
	m.store.logger.Info("recovered", "revision", m.rev, "instances", m.view.Instances(), "after", m.store.now()-m.kept.since)
	m.kept = nil
	return nil
}

// restoring is a call of RESTORE that is being put together.
type restoring struct {
	mirror *mirror
	keys   []string
	args   []any
	size   int
}

func newRestoring(m *mirror) *restoring {
	r := &restoring{mirror: m}
	r.reset()
	return r
}

func (r *restoring) reset() {
	r.keys, r.args, r.size = []string{r.mirror.store.keys.meta, r.mirror.store.keys.log}, []any{r.mirror.epoch, ""}, 0
}

func (r *restoring) add(n name, live store.Live) {
	keys := r.mirror.store.keys
	r.keys = append(r.keys, keys.rec(n.service), keys.ops(n.service), keys.tomb(n))
	r.args = append(r.args, string(n.service), n.key, live.Canonical(), overlayText(live.Overlay))
	r.size++
}

// send sends what was added, and begins anew. With restored, which is the epoch, it goes without records too.
func (r *restoring) send(ctx context.Context, restored string) error {
	if r.size == 0 && restored == "" {
		return nil
	}
	ctx, cancel := call(ctx)
	defer cancel()
	r.args[1] = restored
	reply, err := r.mirror.store.scripts.restore.run(ctx, r.mirror.store.redis, r.keys, r.args...)
	if err == nil && text(reply, 0) != statusOK {
		err = errNoEpoch
	}
	r.reset()
	return err
}
