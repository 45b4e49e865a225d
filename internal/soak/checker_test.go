package soak_test

import (
	"context"
	"hash/fnv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// checker follows every member of a fleet in the views of every server, and reports each broken promise once.
type checker struct {
	t       testing.TB
	members map[store.Service][]*member

	mu        sync.Mutex // guards all below
	report    func(format string, args ...any)
	watched   []*watched
	contents  map[store.Revision]content // what was seen at a revision, by whoever saw it first
	trouble   bool                       // a fault is under way: nothing has to go
	healed    time.Time                  // when the last fault ended
	rolledAt  time.Time                  // when Redis last went back to older data, which may bring back what was gone
	lateness  figures                    // from the end of a lease to its absence from a view
	late      int                        // how often the machine was too busy for a promise to be judged
	strict    bool                       // the machine is no excuse
	overtime  time.Duration              // how long at most the machine's load excused what ought to be gone
	starvedAt time.Time                  // when the machine last kept this process waiting for starvation
	farewells figures                    // from a deregistration to its absence from another server's view
}

// content is a fingerprint of all that a view shows.
type content struct {
	sum  uint64
	view *store.View
	by   string
}

// watched is one server's view, as last looked at.
type watched struct {
	*server
	view  *store.View
	sum   uint64
	parts map[store.Service]part
	seen  map[*member]bool // has been in the view
	gone  map[*member]bool // has been in the view, and left it rightly
}

// part is one service in a view.
type part struct {
	snapshot *store.Snapshot
	sum      uint64
}

// lookEvery is how often the checker looks at the views of a fleet of so many services: every millisecond, and less often
// where a look takes long. Views come and go between two looks; what is missing from one is mostly missing from the next.
func lookEvery(services int) time.Duration {
	return max(time.Millisecond, time.Duration(services)*20*time.Microsecond)
}

// watch starts a checker of a fleet on servers. It ends with the test.
func watch(t testing.TB, f *fleet, servers ...*server) *checker {
	c := &checker{t: t, report: atMost(20, t.Errorf), contents: make(map[store.Revision]content), members: make(map[store.Service][]*member)}
	for _, m := range f.members {
		c.members[m.service] = append(c.members[m.service], m)
	}
	for _, s := range servers {
		c.add(s)
	}
	run(t, c.run)
	return c
}

// atMost passes on the first n reports: one fault may break a promise for every member.
func atMost(n int, report func(string, ...any)) func(string, ...any) {
	var made atomic.Int64
	return func(format string, args ...any) {
		if made.Add(1) <= int64(n) {
			report(format, args...)
		}
	}
}

// add has the checker watch another server.
func (c *checker) add(s *server) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watched = append(c.watched, &watched{
		server: s, parts: make(map[store.Service]part), seen: make(map[*member]bool), gone: make(map[*member]bool),
	})
}

func (c *checker) run(ctx context.Context) error {
	var deadlines time.Time // last looked at
	for ctx.Err() == nil {
		late := time.Since(deadlines) > 50*time.Millisecond
		var slack time.Duration // beyond the bound
		if late {
			deadlines, slack = time.Now(), patience(bound)-bound
		}
		c.mu.Lock()
		for _, w := range c.watched {
			c.look(w)
			if late {
				c.overdue(w, slack)
			}
		}
		every := lookEvery(len(c.members))
		c.mu.Unlock()
		begin := time.Now()
		pause(ctx, every)
		c.clock(time.Since(begin) - every)
	}
	return nil
}

// look takes up a server's view where it is another than the last.
func (c *checker) look(w *watched) {
	view := w.View()
	if view == w.view {
		return
	}
	if w.view != nil && view.Revision() < w.view.Revision() {
		c.report("%s: the revision fell from %d to %d", w.name, w.view.Revision(), view.Revision())
	}
	w.view = view
	for service, members := range c.members {
		if snapshot := view.Service(service); snapshot != w.parts[service].snapshot {
			w.replace(service, snapshot)
			c.compare(w, snapshot, members)
		}
	}
	c.agree(w)
}

// replace keeps the fingerprint of the view.
func (w *watched) replace(service store.Service, snapshot *store.Snapshot) {
	next := part{snapshot: snapshot, sum: fingerprint(snapshot)}
	w.sum += next.sum - w.parts[service].sum
	w.parts[service] = next
}

// fingerprint hashes a snapshot's service, instances and overlays.
func fingerprint(s *store.Snapshot) uint64 {
	if s == nil {
		return 0
	}
	var sum uint64
	for _, live := range s.Instances {
		h := fnv.New64a()
		_, _ = h.Write([]byte(string(s.Service) + "\x00" + live.Key() + "\x00" + live.ETag() + "\x00" + string(live.State()))) // never fails
		sum += h.Sum64()*31 + uint64(live.EffectiveWeight())
	}
	return sum
}

// agree holds the view against what any server has shown at its revision.
func (c *checker) agree(w *watched) {
	mine := content{w.sum, w.view, w.name}
	seen, ok := c.contents[w.view.Revision()]
	if !ok {
		c.contents[w.view.Revision()] = mine
		return
	}
	if seen.sum != mine.sum {
		c.report("revision %d: %s shows %d instances, %s other content with %d", w.view.Revision(),
			seen.by, seen.view.Instances(), w.name, w.view.Instances())
	}
}

// compare looks for the members of one service in its snapshot.
func (c *checker) compare(w *watched, snapshot *store.Snapshot, members []*member) {
	for _, m := range members {
		switch present := snapshot.Find(m.in.ID) != nil; {
		case present && w.gone[m]:
			c.back(w, m)
		case present:
			w.seen[m] = true
		case w.seen[m] && !w.gone[m]:
			c.missing(w, m)
		}
	}
}

// back judges a member that is in the view again.
func (c *checker) back(w *watched, m *member) {
	delete(w.gone, m)
	p, accepted, tried := m.now()
	if p <= beating || p == free || !c.rolledAt.IsZero() {
		return
	}
	c.report("%s: %v is back, %v after its last accepted heartbeat and %v after its last attempt", w.name, m, time.Since(accepted), time.Since(tried))
}

// missing judges a member that is in the view no more.
func (c *checker) missing(w *watched, m *member) {
	now := time.Now()
	w.gone[m] = true
	switch p, accepted, tried := m.now(); {
	case p <= beating && c.excuses(m, now):
		c.late++
	case p <= beating:
		c.report("%s: %v is missing from the view at revision %d, %v after its last accepted heartbeat and %v after its last attempt",
			w.name, m, w.view.Revision(), now.Sub(accepted), now.Sub(tried))
	case p == silent:
		if early := m.in.TTL - now.Sub(accepted); early > 0 {
			c.report("%s: %v is gone %v before the end of its lease", w.name, m, early)
		}
		c.lateness.add(now.Sub(accepted.Add(m.in.TTL)))
	default:
		if leftAt := m.leaveTime(); !leftAt.IsZero() {
			c.farewells.add(now.Sub(leftAt))
		}
	}
}

// overdue reports members that ought to be gone, and are not even with the slack that the machine's load gives them.
func (c *checker) overdue(w *watched, slack time.Duration) {
	now := time.Now()
	for m := range w.seen {
		if w.gone[m] {
			continue
		}
		end, ends := c.end(m)
		switch over := now.Sub(end); {
		case !ends || over <= 0:
		case !c.strict && over <= slack:
			c.overtime = max(c.overtime, over)
		default:
			w.gone[m] = true // reported once
			c.report("%s: %v is still in the view, %v after it had to be gone at the latest", w.name, m, over)
		}
	}
}

// end returns when a member has to be gone, false if it need not go.
func (c *checker) end(m *member) (time.Time, bool) {
	p, _, tried := m.now()
	if p != silent && p != left || c.trouble {
		return time.Time{}, false
	}
	end := tried.Add(m.in.TTL)
	if held := c.healed.Add(m.in.TTL); p == silent && held.After(end) {
		end = held
	}
	if p == left {
		end = m.leaveTime()
	}
	if back := c.rolledAt.Add(m.in.TTL); back.After(end) {
		end = back
	}
	return end.Add(bound), true
}

// fault says that trouble begins, heal that it has ended.
func (c *checker) fault() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trouble = true
}

func (c *checker) heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trouble, c.healed = false, time.Now()
}

// rollback says that Redis has gone back to older data, which may bring back for one lease what was gone.
func (c *checker) rollback() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rolledAt = time.Now()
}

// await waits until every watched view shows exactly the members that heartbeat, all at one revision.
func (c *checker) await(within time.Duration) time.Duration {
	c.t.Helper()
	return eventually(c.t, within, "every view shows every member that heartbeats, and no other", c.settled)
}

func (c *checker) settled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.watched {
		view := w.View()
		if view != w.view { // not looked at yet
			return false
		}
		for service, members := range c.members {
			for _, m := range members {
				p, _, _ := m.now()
				if shown := view.Service(service).Find(m.in.ID) != nil; shown != (p == beating) {
					return false
				}
			}
		}
		if view.Revision() != c.watched[0].View().Revision() {
			return false
		}
	}
	return true
}

// logExcuses tells what was not judged for the machine's sake.
func (c *checker) logExcuses() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.late > 0 {
		c.t.Logf("the machine was too busy to judge %d misses: a heartbeat, or this process, came late", c.late)
	}
	if c.overtime > 0 {
		c.t.Logf("the machine's load excused what stayed in a view up to %v longer than %v", c.overtime, bound)
	}
}

// starvation is how late a timer may fire before this machine, shared with whatever else runs on it, no longer lets a
// fleet with leases of seconds heartbeat in time, nor Redis answer within its timeouts.
const starvation = 150 * time.Millisecond

// clock notes that a timer fired so late.
func (c *checker) clock(late time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if late > starvation {
		c.starvedAt = time.Now()
	}
}

// excuses reports whether a member may be missing for the machine's sake. c.mu is held.
func (c *checker) excuses(m *member, now time.Time) bool {
	return !c.strict && (m.late() || now.Sub(c.starvedAt) < m.in.TTL+bound)
}

// starvedSince reports whether the machine has been too busy at any time since one, or of late.
func (c *checker) starvedSince(begin time.Time, m *member) bool {
	c.mu.Lock()
	busy := !c.strict && c.starvedAt.After(begin)
	c.mu.Unlock()
	return busy || c.starved(m)
}

// starved reports whether the machine has been too busy of late; and counts that it was asked in vain.
func (c *checker) starved(m *member) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.excuses(m, time.Now()) {
		return false
	}
	c.late++
	return true
}
