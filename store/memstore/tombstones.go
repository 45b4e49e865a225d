package memstore

import "time"

// unknownLife is the life of a tombstone for an instance that was not known, and whose ttl therefore is not either:
// twice the greatest ttl.
const unknownLife = 48 * time.Hour

// tombstone says that an instance was deregistered, until it is due.
type tombstone struct {
	slot
	name name
	life time.Duration
}

// tombstones remembers deregistered instances, at most max of them.
type tombstones struct {
	max    int
	byName map[name]*tombstone
	queue  queue[*tombstone]
}

func newTombstones(limit int) tombstones {
	return tombstones{max: limit, byName: make(map[name]*tombstone)}
}

// set remembers name for life, in place of what was remembered of it. Where there is no room, the one that would have
// ended first is forgotten; name itself never is, whatever its life.
func (t *tombstones) set(name name, now, life time.Duration) {
	t.forget(name)
	if len(t.queue) >= t.max {
		t.forget(t.queue[0].name)
	}
	stone := &tombstone{name: name, life: life}
	t.byName[name] = stone
	t.queue.add(stone, now+life)
}

// repeat begins the life of a tombstone again, of which it reports whether it exists.
func (t *tombstones) repeat(name name, now time.Duration) bool {
	stone := t.byName[name]
	if stone == nil || stone.due <= now {
		return false
	}
	t.queue.move(stone, now+stone.life)
	return true
}

// has does not rely on trim, so that a tombstone ends on time whether Run runs or not.
func (t *tombstones) has(name name, now time.Duration) bool {
	stone := t.byName[name]
	return stone != nil && stone.due > now
}

func (t *tombstones) forget(name name) {
	if stone := t.byName[name]; stone != nil {
		t.queue.remove(stone)
		delete(t.byName, name)
	}
}

// trim forgets the tombstones that have ended.
func (t *tombstones) trim(now time.Duration) {
	for t.queue.first() <= now {
		t.forget(t.queue[0].name)
	}
}
