package redisstore

import (
	"container/heap"
	"math"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// never stands for "nothing is due".
const never = time.Duration(math.MaxInt64)

// watched is a service whose leases the reaper watches. For each instance there is a lower bound of its lease's end; a
// renewal moves the end and leaves the bound, so that whoever finds the bound due has to ask Redis.
type watched struct {
	snapshot *store.Snapshot
	bounds   []time.Duration // as snapshot.Instances
	due      time.Duration   // the least of bounds
	index    int             // in the queue
}

// inherit takes over the bounds of what old has alike, in one pass over both, which are in the order of their keys.
func (w *watched) inherit(old *watched, bound func(*store.Live) time.Duration) {
	k := 0
	for i := range w.bounds {
		live := &w.snapshot.Instances[i]
		w.bounds[i] = bound(live)
		if old == nil {
			continue
		}
		for k < len(old.bounds) && old.snapshot.Instances[k].Key() < live.Key() {
			k++
		}
		if k < len(old.bounds) && sameLive(old.snapshot.Instances[k], *live) {
			w.bounds[i] = old.bounds[k]
		}
	}
}

// reckon makes due the least of the bounds.
func (w *watched) reckon() {
	w.due = never
	for _, bound := range w.bounds {
		w.due = min(w.due, bound)
	}
}

// dues are all services that are watched, by when the first of their leases may end.
type dues struct {
	byService map[store.Service]*watched
	queue     dueQueue
}

func newDues() *dues { return &dues{byService: make(map[store.Service]*watched)} }

// watch takes up a service as it is now, nil or empty for one that is gone. What has not changed keeps its bound, bound
// gives one to all else.
func (d *dues) watch(service store.Service, snapshot *store.Snapshot, bound func(*store.Live) time.Duration) {
	old := d.byService[service]
	if snapshot == nil || len(snapshot.Instances) == 0 {
		if old != nil {
			heap.Remove(&d.queue, old.index)
			delete(d.byService, service)
		}
		return
	}
	w := &watched{snapshot: snapshot, bounds: make([]time.Duration, len(snapshot.Instances))}
	w.inherit(old, bound)
	w.reckon()
	d.byService[service] = w
	if old == nil {
		heap.Push(&d.queue, w)
		return
	}
	w.index = old.index
	d.queue[w.index] = w
	heap.Fix(&d.queue, w.index)
}

// hasten makes one lease due now, if it is watched.
func (d *dues) hasten(n name) {
	w := d.byService[n.service]
	if w == nil {
		return
	}
	if live := w.snapshot.Find(n.key); live != nil {
		for i := range w.bounds {
			if &w.snapshot.Instances[i] == live {
				w.bounds[i], w.due = 0, 0
				heap.Fix(&d.queue, w.index)
			}
		}
	}
}

// first returns when the first lease is due, never where there is none.
func (d *dues) first() time.Duration {
	if len(d.queue) == 0 {
		return never
	}
	return d.queue[0].due
}

// candidate is a lease that may have ended.
type candidate struct {
	watched *watched
	index   int // of the instance
}

func (c candidate) live() *store.Live { return &c.watched.snapshot.Instances[c.index] }

func (c candidate) name() name { return name{c.watched.snapshot.Service, c.live().Key()} }

// take returns about limit leases that are due, each with a bound a second ahead, which set moves to where it belongs:
// should Redis not answer they are due again then.
func (d *dues) take(now time.Duration, limit int) []candidate {
	var due []candidate
	for len(due) < limit && d.first() <= now {
		w := d.queue[0]
		for i, bound := range w.bounds {
			if bound <= now && len(due) < limit {
				due = append(due, candidate{w, i})
				w.bounds[i] = now + time.Second
			}
		}
		w.reckon()
		heap.Fix(&d.queue, 0)
	}
	return due
}

// set notes a new bound of a lease.
func (d *dues) set(c candidate, bound time.Duration) {
	w := c.watched
	if d.byService[w.snapshot.Service] != w {
		return
	}
	w.bounds[c.index] = bound
	w.reckon()
	heap.Fix(&d.queue, w.index)
}

// dueQueue is a heap of services by due.
type dueQueue []*watched

// Len, Less, Swap, Push and Pop are for container/heap alone.

func (q dueQueue) Len() int { return len(q) }

func (q dueQueue) Less(i, j int) bool { return q[i].due < q[j].due }

func (q dueQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push appends an element, which is a *watched.
func (q *dueQueue) Push(x any) {
	w := x.(*watched)
	w.index = len(*q)
	*q = append(*q, w)
}

// Pop removes the last element.
func (q *dueQueue) Pop() any {
	last := len(*q) - 1
	w := (*q)[last]
	clear((*q)[last:]) // or the array keeps it alive
	*q = (*q)[:last]
	return w
}
