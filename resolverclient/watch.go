package resolverclient

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/miekg/dns"
)

// ErrStopped is what [Watcher.Next] returns after [Watcher.Stop].
var ErrStopped = errors.New("watch stopped")

// EventKind is what happened to an instance.
type EventKind uint8

// The kinds of events.
const (
	// Up says that the instance is there: it came, or was there when the watch began.
	Up EventKind = iota + 1
	// Change says that its port, target, priority, weight, addresses or TXT changed.
	Change
	// Down says that the registry no longer names it.
	Down
)

// String returns "up", "change" or "down".
func (k EventKind) String() string {
	switch k {
	case Up:
		return "up"
	case Change:
		return "change"
	case Down:
		return "down"
	}
	return fmt.Sprintf("EventKind(%d)", uint8(k))
}

// Event is one change of a service.
type Event struct {
	Kind EventKind
	// Endpoint is the instance as it is now, and for Down as it was.
	Endpoint Endpoint
}

// Watcher follows one service. It sees it at the pace of its TTL: what comes and goes within one is not seen. Failures
// of the servers are no events: the instances known before stay until a server says otherwise.
type Watcher struct {
	entry  *entry
	ctx    context.Context
	stop   context.CancelCauseFunc
	signal chan struct{} // the entry has another state

	mu      sync.Mutex // held by Next; guards what follows
	known   map[string]Endpoint
	pending []Event
}

// Watch follows a service, named as for [Client.Lookup], by way of DNS-SD as [Client.Service] does, until ctx ends or
// Stop is called, and one of the two must come. A service that does not exist yet may be watched.
func (c *Client) Watch(ctx context.Context, service string) (*Watcher, error) {
	e, err := c.entry(service, dns.TypePTR)
	if err != nil {
		return nil, err
	}
	w := &Watcher{entry: e, signal: make(chan struct{}, 1), known: map[string]Endpoint{}}
	w.ctx, w.stop = context.WithCancelCause(ctx)
	e.watch(w.signal)
	context.AfterFunc(w.ctx, func() { e.unwatch(w.signal) })
	return w, nil
}

// Stop ends the watch. It may be called more than once.
func (w *Watcher) Stop() { w.stop(ErrStopped) }

// Next waits for the next event and returns it. The first ones are an Up for each instance that is there. It fails with
// [ErrStopped], the context's error or [ErrClosed], each of which is final.
func (w *Watcher) Next() (Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if err := context.Cause(w.ctx); err != nil {
			return Event{}, err
		}
		if len(w.pending) > 0 {
			event := w.pending[0]
			w.pending = w.pending[1:]
			return event, nil
		}
		select {
		case <-w.ctx.Done():
		case <-w.signal:
			if err := w.compare(w.entry.state.Load()); err != nil {
				return Event{}, err
			}
		}
	}
}

// compare makes events of the differences between what is known and a state. w.mu is held.
func (w *Watcher) compare(s *state) error {
	var no *negative
	var now []Endpoint
	switch {
	case s.set != nil:
		now = s.set.endpoints
	case errors.Is(s.err, ErrClosed):
		return s.err
	case !errors.As(s.err, &no):
		return nil
	}
	present := make(map[string]bool, len(now))
	for _, e := range now {
		key := e.watchKey()
		if present[key] {
			continue
		}
		present[key] = true
		old, known := w.known[key]
		switch {
		case !known:
			w.pending = append(w.pending, Event{Up, e})
		case !old.equal(&e):
			w.pending = append(w.pending, Event{Change, e})
		}
		w.known[key] = e
	}
	for key, e := range w.known {
		if !present[key] {
			w.pending = append(w.pending, Event{Down, e})
			delete(w.known, key)
		}
	}
	return nil
}

// watchKey is what an instance is known by: its id, or where it listens.
func (e *Endpoint) watchKey() string {
	if e.Instance != "" {
		return e.Instance
	}
	return fmt.Sprintf("%s:%d", e.Target, e.Port)
}

// watch has a channel signalled at each new state, the present one included, and keeps the entry in use.
func (e *entry) watch(signal chan<- struct{}) {
	e.mu.Lock()
	if e.watchers == nil {
		e.watchers = map[chan<- struct{}]bool{}
	}
	e.watchers[signal] = true
	lapsed := e.state.Load().lapsed
	if !lapsed {
		e.wake()
	}
	e.mu.Unlock()
	if lapsed {
		e.refresh()
	}
}

func (e *entry) unwatch(signal chan<- struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.watchers, signal)
}

// wake signals the watchers. It never waits: a signal that is not yet taken stands for this one too. e.mu is held.
func (e *entry) wake() {
	for signal := range e.watchers {
		select {
		case signal <- struct{}{}:
		default:
		}
	}
}
