package resolverclient

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/miekg/dns"
	"golang.org/x/sync/singleflight"
)

const (
	// failureTTL is how long a failed lookup is not repeated (RFC 9520 section 3.2), and the first pause of a row.
	failureTTL = time.Second
	// maxBackoff is the longest pause between lookups while they fail.
	maxBackoff = 10 * time.Second
	// minNegativeTTL is how long a negative answer holds that has a TTL of 0 or none.
	minNegativeTTL = time.Second
)

// state is what is known of a name: immutable, replaced as a whole.
//
//	set  err   meaning
//	yes  nil   fresh
//	yes  set   stale, in part at least: err says why
//	nil  set   no such service, or no lookup has succeeded
//	nil  nil   never asked
type state struct {
	set     *set
	err     error
	expires time.Time // end of the TTL of set
	lent    loans     // records in set that are older
	lapsed  bool      // the next caller waits for a lookup first
}

// entry is the cached answer of one name. The fast path loads its state and nothing else; timers and lookups replace
// it. A timer runs only while the entry is in use.
type entry struct {
	client *Client
	asked  question // the first of the lookup, which names the entry
	look   func(ctx context.Context, name string, before lender) (found, error)
	state  atomic.Pointer[state]
	used   atomic.Bool // since the timer looked last
	flight singleflight.Group

	mu       sync.Mutex // guards what follows, and writing state
	timer    *time.Timer
	lastUsed time.Time
	closed   bool // no timer is set any more
	failures int  // lookups in a row that got no answer
	watchers map[chan<- struct{}]bool
	pools    []weak.Pointer[pools] // told of each answer

	balancerOnce sync.Once
	balancer     *Balancer // of Client.Do
}

func newEntry(c *Client, asked question) *entry {
	e := &entry{client: c, asked: asked, look: c.lookup, lastUsed: time.Now()}
	if asked.kind == dns.TypePTR {
		e.look = c.browse
	}
	e.state.Store(c.saved.restore(asked))
	return e
}

// touch notes that the entry is in use. The load keeps the line shared between processors.
func (e *entry) touch() {
	if !e.used.Load() {
		e.used.Store(true)
	}
}

// current returns the state to answer from: what is known where that holds, else what a lookup brings. The set is nil
// only together with an error.
func (e *entry) current(ctx context.Context) (*state, error) {
	if e.client.closed.Load() {
		return nil, ErrClosed
	}
	e.touch()
	s := e.state.Load()
	if s.lapsed {
		var err error
		if s, err = e.await(ctx); err != nil {
			return nil, fmt.Errorf("lookup %v: %w", e.asked, err)
		}
	}
	if s.set == nil {
		return nil, s.err
	}
	return s, nil
}

// await joins or starts a lookup and returns the state after it. Where an old answer may be used instead, it waits no
// longer than one server's timeout (RFC 8767 section 5).
func (e *entry) await(ctx context.Context) (*state, error) {
	landed := e.refresh()
	var patience <-chan time.Time
	old := e.state.Load()
	if old.set != nil && time.Now().Before(e.staleUntil(old)) {
		timer := time.NewTimer(e.client.cfg.Timeout)
		defer timer.Stop()
		patience = timer.C
	}
	select {
	case r := <-landed:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*state), nil // not the present state: the timer may have let that lapse already
	case <-patience:
		return e.overdue(old), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// overdue puts an old answer to use while its lookup goes on, so that nobody else waits for it.
func (e *entry) overdue(old *state) *state {
	e.mu.Lock()
	defer e.mu.Unlock()
	overdue := new(*old)
	overdue.err, overdue.lapsed = old.because(errOverdue), false
	switch s := e.state.Load(); {
	case s == old:
		e.state.Store(overdue)
		return overdue
	case s.lapsed && s.set == nil:
		return overdue // good enough for who has waited, and for nobody else
	default:
		return s
	}
}

// because returns the reason why an answer is stale, which goes on to say so where it came from the snapshot.
func (s *state) because(err error) error {
	if errors.Is(s.err, errSnapshot) {
		return fmt.Errorf("%w: %w", errSnapshot, err)
	}
	return err
}

// refresh starts a lookup, or joins the one under way. Its value is the state that it led to, its only error
// [ErrClosed].
func (e *entry) refresh() <-chan singleflight.Result {
	return e.flight.DoChan("", func() (any, error) {
		if !e.client.begin() {
			return nil, ErrClosed
		}
		defer e.client.running.Done()
		ctx, cancel := context.WithTimeout(e.client.ctx, e.client.cfg.LookupTimeout)
		defer cancel()
		f, err := e.look(ctx, e.asked.name, lender{e.state.Load(), e.client.cfg.MaxStale})
		if e.client.ctx.Err() != nil {
			return nil, ErrClosed
		}
		return e.update(f, err, time.Now()), nil
	})
}
