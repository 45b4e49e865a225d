package dnsserver

import (
	"slices"
	"sync"

	"github.com/dnsreg/dnsreg/store"
)

// defaultJournalSize is the octets of changes that a journal holds, enough for some 30,000 of one instance each.
const defaultJournalSize = 16 << 20

// journal is the changes of a zone's records, step by step, as far as they fit into its size (RFC 1995 section 5). A
// step leads from one view that was looked at to the next: what happened between two looks is one step, and a serial
// that no look has seen is not known. Every transfer looks first, so that the serials of secondaries are known.
type journal struct {
	source   Source
	contents contents
	max      int // octets of all steps; negative: none are kept

	mu    sync.Mutex // guards the fields below
	base  *store.View
	short map[store.Service]uint32 // TTLs in the list of service types that are less than the greatest
	steps []step                   // oldest first, each from where the one before leads
	size  int                      // octets of all steps

	doubtful bool // base's serial has stood for other contents
}

// step is what changed from one serial to another. It is immutable.
type step struct {
	from, to       uint32
	removed, added packed
}

// stepOverhead is what a step takes beside its records, in octets.
const stepOverhead = 128

// spare is the part of a full journal that is dropped at once, so that a step costs no copy of all others.
const spare = 8

func (s *step) size() int { return stepOverhead + len(s.removed) + len(s.added) }

// newer reports whether serial a is greater than b (RFC 1982 section 3.2).
func newer(a, b uint32) bool { return int32(a-b) > 0 }

// look takes in the source's current view and returns it, with whether it is a newer version of the zone than the one
// before. Comparing the two takes as long as answering for every service that changed, so nobody waits for it but who
// asks for a transfer.
func (j *journal) look() (view *store.View, changed bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lookLocked()
}

func (j *journal) lookLocked() (view *store.View, changed bool) {
	old := j.base
	view = j.source.View()
	j.base = view
	switch {
	case view == old:
		return view, false
	case old == nil || old.Revision() == 0: // nothing was loaded, and nobody has had it
		j.restart(view)
		return view, true
	case newer(view.Revision().Serial(), old.Revision().Serial()):
		j.add(old, view)
		return view, true
	case view.Revision() != old.Revision():
		j.restart(view)
	case differ(old, view): // no serial tells what was from what is, so no step may lead away from it either
		j.restart(view)
		j.doubtful = true
	}
	return view, false
}

// differ reports whether two views have different contents.
func differ(old, view *store.View) bool {
	for range view.Differences(old) {
		return true
	}
	return false
}

// restart forgets every step.
func (j *journal) restart(view *store.View) {
	j.steps, j.size, j.doubtful = nil, 0, false
	j.short = make(map[store.Service]uint32)
	for snapshot := range view.All() {
		j.noteTTL(snapshot.Service, snapshot)
	}
}

// noteTTL notes what a service, nil for one that is gone, asks of the TTL of the list of service types.
func (j *journal) noteTTL(name store.Service, snapshot *store.Snapshot) {
	if ttl, ok := shortest(snapshot); ok && seconds(ttl) < seconds(j.contents.ttl) {
		j.short[name] = seconds(ttl)
		return
	}
	delete(j.short, name)
}

// typesTTL returns the TTL of the list of service types.
func (j *journal) typesTTL() uint32 {
	ttl := seconds(j.contents.ttl)
	for _, short := range j.short {
		ttl = min(ttl, short)
	}
	return ttl
}

// add appends the step between two views. A step that is too large for the journal, or leads away from a doubtful serial,
// leaves it empty.
func (j *journal) add(old, view *store.View) {
	d := newDiff(j, old, view)
	d.run()
	s := step{from: old.Revision().Serial(), to: view.Revision().Serial(), removed: d.removed, added: d.added}
	if d.full || s.size() > j.max || j.doubtful {
		j.steps, j.size, j.doubtful = nil, 0, false
		return
	}
	j.steps = append(j.steps, s)
	j.size += s.size()
	if j.size <= j.max {
		return
	}
	dropped := 0
	for ; j.size > j.max-j.max/spare; dropped++ {
		j.size -= j.steps[dropped].size()
	}
	j.steps = slices.Clone(j.steps[dropped:]) // so that what is dropped can be freed
}

// since looks, and returns the current view with the steps that lead to it from a serial. It reports false where the
// serial is not known.
func (j *journal) since(serial uint32) (*store.View, []step, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	view, _ := j.lookLocked()
	steps, ok := j.find(serial)
	return view, steps, ok
}

// sinceNow is since for who must not wait: it reports false too where there is something to look at first.
func (j *journal) sinceNow(serial uint32, view *store.View) ([]step, bool) {
	if !j.mu.TryLock() {
		return nil, false
	}
	defer j.mu.Unlock()
	if j.base != view {
		return nil, false
	}
	return j.find(serial)
}

func (j *journal) find(serial uint32) ([]step, bool) {
	i := slices.IndexFunc(j.steps, func(s step) bool { return s.from == serial })
	if i < 0 {
		return nil, false
	}
	return slices.Clip(j.steps[i:]), true // steps are only appended to, or copied
}

// state returns how many steps there are, and their octets.
func (j *journal) state() (steps, size int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.steps), j.size
}
