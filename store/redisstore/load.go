package redisstore

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/dnsreg/dnsreg/store"
)

// Bounds of one request, so that Redis is never busy with one of them for more than some milliseconds.
const (
	deltaServices = 100
	deltaOctets   = 1 << 20
	pageServices  = 1000
	pageRecords   = 2000
)

// change is a service as Redis had it at the revision of its last change.
type change struct {
	service          store.Service
	revision         store.Revision
	records, overlay []any // id, text, id, text, …
}

// cut is a set of changes, the last of each service, that leads from one revision to another.
type cut struct {
	epoch   string
	rev     store.Revision
	changes map[store.Service]*store.Snapshot // without instances where it has none
}

// delta returns what changed after a revision.
func (m *mirror) delta(ctx context.Context, after store.Revision) (cut, error) {
	if m.detour {
		return m.deltaOnTheMove(ctx, after)
	}
	c := cut{changes: make(map[store.Service]*store.Snapshot)}
	for more := true; more; {
		reply, err := m.deltaPage(ctx, after)
		if err != nil {
			return cut{}, err
		}
		c.epoch, c.rev, more = text(reply, 0), store.Revision(number(reply, 1)), number(reply, 2) != 0
		for _, element := range reply[3:] {
			part, ok := element.([]any)
			if !ok || len(part) != 4 {
				return cut{}, fmt.Errorf("script delta: malformed reply")
			}
			changed := change{service: store.Service(text(part, 0)), revision: store.Revision(number(part, 1))}
			changed.records, _ = part[2].([]any)
			changed.overlay, _ = part[3].([]any)
			c.changes[changed.service] = m.decode(changed)
			after = max(after, changed.revision)
		}
	}
	return c, nil
}

// deltaOnTheMove is delta where no script can see all keys. What changed is listed and read until a list is empty: then
// nothing has changed since the revision that was read before the list.
func (m *mirror) deltaOnTheMove(ctx context.Context, after store.Revision) (cut, error) {
	c := cut{changes: make(map[store.Service]*store.Snapshot)}
	for {
		meta, err := m.store.redis.HMGet(ctx, m.store.keys.meta, metaFields()...).Result()
		if err != nil {
			return cut{}, fmt.Errorf("look at a slot on the move: %w", err)
		}
		l := readMeta(meta)
		page, err := m.list(ctx, after)
		if err != nil {
			return cut{}, err
		}
		if len(page) == 0 {
			c.epoch, c.rev = l.epoch, l.rev
			return c, nil
		}
		snapshots, err := m.loadServices(ctx, page)
		if err != nil {
			return cut{}, err
		}
		for _, snapshot := range snapshots {
			c.changes[snapshot.Service] = snapshot
		}
		after = page[len(page)-1].revision
	}
}

func (m *mirror) deltaPage(ctx context.Context, after store.Revision) ([]any, error) {
	ctx, cancel := call(ctx)
	defer cancel()
	conn, err := m.connection(ctx)
	if err != nil {
		return nil, err
	}
	keys := m.store.keys
	reply, err := m.store.scripts.delta.run(ctx, conn, []string{keys.meta, keys.log},
		keys.rec(""), keys.ops(""), uint64(after), deltaServices, deltaOctets)
	if err == nil && len(reply) < 3 {
		err = fmt.Errorf("script delta: malformed reply")
	}
	return reply, err
}

// follow brings the mirror up to date by what changed since its revision.
func (m *mirror) follow(ctx context.Context) error {
	rung := m.store.bell.rungAt()
	m.followed = m.store.now()
	c, err := m.delta(ctx, m.rev)
	if err != nil {
		return err
	}
	if c.epoch != m.epoch || c.rev < m.rev {
		signal(m.store.kicked)
		return nil
	}
	if c.rev == m.rev {
		return nil
	}
	if err := m.apply(ctx, c); err != nil {
		return err
	}
	if rung > 0 {
		m.store.stats.visible.Store(int64(m.store.now() - rung))
	}
	return nil
}

// load makes the mirror anew from the whole zone.
func (m *mirror) load(ctx context.Context, epoch string) error {
	view, rev, err := m.loadAll(ctx, epoch)
	if err != nil {
		return err
	}
	changed := m.differences(view)
	m.epoch, m.rev, m.view, m.kept = epoch, rev, view, nil
	m.compared = m.store.now()
	m.store.publish(&state{epoch: epoch, view: view, stored: view, applied: rev}, changed)
	return nil
}

// differences returns the snapshots of next that differ from what is shown, and empty ones for what it lacks.
func (m *mirror) differences(next *store.View) []*store.Snapshot {
	shown := m.store.View()
	var changed []*store.Snapshot
	for snapshot := range next.All() {
		if shown.Service(snapshot.Service) != snapshot {
			changed = append(changed, snapshot)
		}
	}
	for snapshot := range shown.All() {
		if next.Service(snapshot.Service) == nil {
			changed = append(changed, &store.Snapshot{Service: snapshot.Service, Revision: next.Revision()})
		}
	}
	return changed
}

// loadAll reads the whole zone, in pages by the revision of the services' last changes, and then what has changed
// meanwhile: a service that changes after it was read is listed again behind all that were listed before, so that the
// last page, which is one cut, leaves nothing out. Snapshots that are the same as those shown are those shown.
func (m *mirror) loadAll(ctx context.Context, epoch string) (*store.View, store.Revision, error) {
	m.store.stats.loads.Add(1)
	m.emptys = make(emptied)
	view, shown, after := new(store.View), m.store.View(), store.Revision(0)
	for {
		page, err := m.list(ctx, after)
		if err != nil {
			return nil, 0, err
		}
		snapshots, err := m.loadServices(ctx, page)
		if err != nil {
			return nil, 0, err
		}
		view = view.With(0, m.sameAs(shown, snapshots)...)
		if len(page) > 0 {
			after = page[len(page)-1].revision
		}
		if len(page) < pageServices {
			break
		}
	}
	c, err := m.delta(ctx, after)
	if err != nil {
		return nil, 0, err
	}
	if c.epoch != epoch {
		return nil, 0, errNoEpoch
	}
	snapshots := m.sameAs(shown, slices.Collect(maps.Values(c.changes)))
	return view.With(c.rev, snapshots...), c.rev, nil
}

// sameAs puts the snapshots of view in the place of equal ones, so that whoever holds them sees that nothing changed. It
// takes note of the empty ones.
func (m *mirror) sameAs(view *store.View, snapshots []*store.Snapshot) []*store.Snapshot {
	for i, snapshot := range snapshots {
		m.emptys.note(snapshot, m.store.now())
		if old := view.Service(snapshot.Service); old != nil && equal(old, snapshot) {
			snapshots[i] = old
		}
	}
	return snapshots
}
