package resolverclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
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
//	yes  set   stale: err says why
//	nil  set   no such service, or no lookup has succeeded
//	nil  nil   never asked
type state struct {
	set     *set
	err     error
	expires time.Time // end of the TTL of set
	lapsed  bool      // the next caller waits for a lookup first
}

// entry is the cached answer of one name. The fast path loads its state and nothing else; timers and lookups replace
// it. A timer runs only while the entry is in use.
type entry struct {
	client *Client
	asked  question // the first of the lookup, which names the entry
	look   func(ctx context.Context, name string, old *set) (*set, error)
	state  atomic.Pointer[state]
	used   atomic.Bool // since the timer looked last
	flight singleflight.Group

	mu       sync.Mutex // guards what follows, and writing state
	timer    *time.Timer
	lastUsed time.Time
	failures int // lookups in a row that got no answer
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
	overdue := &state{set: old.set, err: old.because(errOverdue), expires: old.expires}
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
		set, err := e.look(ctx, e.asked.name, e.state.Load().set)
		if e.client.ctx.Err() != nil {
			return nil, ErrClosed
		}
		return e.update(set, err, time.Now()), nil
	})
}

// update takes the outcome of a lookup and returns the state that it leads to.
func (e *entry) update(set *set, err error, now time.Time) *state {
	s := e.settle(set, err, now)
	e.tell()
	return s
}

func (e *entry) settle(set *set, err error, now time.Time) *state {
	e.mu.Lock()
	defer e.mu.Unlock()
	var no *negative
	switch {
	case err == nil:
		return e.good(set, now)
	case errors.As(err, &no):
		e.failures = 0
		e.client.saved.answered(e.asked, e.state.Load().set != nil)
		return e.put(&state{err: err}, max(minNegativeTTL, min(no.ttl, e.client.cfg.NegativeTTL)))
	default:
		return e.failed(err, now)
	}
}

// tell has the pools of connections follow the present state. e.mu is not held.
func (e *entry) tell() {
	e.mu.Lock()
	e.pools = slices.DeleteFunc(e.pools, func(p weak.Pointer[pools]) bool { return p.Value() == nil })
	told := slices.Clone(e.pools)
	e.mu.Unlock()
	for _, p := range told {
		if p := p.Value(); p != nil {
			p.follow()
		}
	}
}

// followedBy has pools told of each answer for as long as somebody else holds them.
func (e *entry) followedBy(p *pools) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pools = append(e.pools, weak.Make(p))
}

func (e *entry) good(set *set, now time.Time) *state {
	old := e.state.Load()
	if e.failures > 0 && old.err != nil {
		e.client.cfg.Logger.Info("resolver answers again", slog.String("name", e.asked.name))
	}
	e.failures = 0
	ttl := min(max(set.ttl, e.client.cfg.MinTTL), e.client.cfg.MaxTTL)
	same := old.set != nil && old.set.equal(set)
	if same {
		set = old.set // but for its TTL: balancers rebuild on a new pointer only
	}
	e.client.saved.answered(e.asked, !same)
	return e.put(&state{set: set, expires: now.Add(ttl)}, renewAfter(ttl))
}

// renewAfter is when to ask again: with a tenth to a quarter of the TTL left, so that clients that asked together do
// not go on together.
func renewAfter(ttl time.Duration) time.Duration {
	return ttl*3/4 + time.Duration(rand.Int64N(int64(ttl)*15/100+1))
}

// failed keeps the last good answer: as it is until its TTL ends, as a stale one until MaxStale is over.
func (e *entry) failed(err error, now time.Time) *state {
	old := e.state.Load()
	pause := min(failureTTL<<min(e.failures, 4), maxBackoff)
	e.failures++
	until := e.staleUntil(old)
	switch {
	case old.set == nil || !now.Before(until):
		return e.put(&state{err: err}, failureTTL)
	case now.Before(old.expires):
		return e.put(&state{set: old.set, expires: old.expires}, min(pause, old.expires.Sub(now)))
	default:
		err = old.because(err)
		if old.err == nil || errors.Is(old.err, errOverdue) || e.failures == 1 {
			e.client.cfg.Logger.Warn("stale answer in use", slog.String("name", e.asked.name), slog.Any("error", err))
		}
		return e.put(&state{set: old.set, err: err, expires: old.expires}, min(pause, until.Sub(now)))
	}
}

func (e *entry) staleUntil(s *state) time.Time { return s.expires.Add(max(0, e.client.cfg.MaxStale)) }

// put publishes a state, looks at it again after a while and returns it. e.mu is held.
func (e *entry) put(s *state, again time.Duration) *state {
	e.state.Store(s)
	e.wake()
	if e.timer == nil {
		e.timer = time.AfterFunc(again, e.tick)
		return s
	}
	e.timer.Reset(again)
	return s
}

// close makes every later use fail with [ErrClosed].
func (e *entry) close() {
	e.mu.Lock()
	if e.timer != nil {
		e.timer.Stop()
	}
	e.state.Store(&state{err: ErrClosed})
	e.wake()
	e.mu.Unlock()
	e.tell()
}

// tick is the timer: it renews what is in use and lets lapse what is not.
func (e *entry) tick() {
	if e.client.ctx.Err() != nil {
		e.close()
		return
	}
	if e.age(time.Now()) {
		e.refresh()
	}
}

// age moves the state on as time has passed and reports whether to look up again.
func (e *entry) age(now time.Time) (renew bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.state.Load()
	if e.used.Swap(false) {
		e.lastUsed = now
	}
	busy := len(e.watchers) > 0 || now.Sub(e.lastUsed) < e.client.cfg.Idle
	switch {
	case s.set == nil && len(e.watchers) > 0:
		return true
	case s.set == nil: // its time is over, and waiting callers shall see the truth
		e.state.Store(&state{lapsed: true})
		return false
	case s.err == nil && now.Before(s.expires):
		e.timer.Reset(s.expires.Sub(now))
		return busy
	case !busy:
		e.state.Store(&state{set: s.set, err: s.err, expires: s.expires, lapsed: true})
		return false
	case now.Before(e.staleUntil(s)):
		if s.err == nil {
			e.state.Store(&state{set: s.set, err: errOverdue, expires: s.expires})
		}
		e.timer.Reset(e.staleUntil(s).Sub(now))
		return true
	}
	e.state.Store(&state{lapsed: true})
	return busy
}
