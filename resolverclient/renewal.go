package resolverclient

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"
	"weak"
)

// update takes the outcome of a lookup and returns the state that it leads to.
func (e *entry) update(f found, err error, now time.Time) *state {
	e.mu.Lock()
	s := e.settle(f, err, now)
	e.flight.Forget("") // the timer that is set now wants another lookup, and may fire before this one has landed
	e.mu.Unlock()
	e.tell()
	return s
}

// settle returns the state that the outcome of a lookup leads to. e.mu is held.
func (e *entry) settle(f found, err error, now time.Time) *state {
	var no *negative
	switch {
	case err == nil:
		return e.good(f, now)
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

// good takes an answer. One that lacks a part is asked for again soon; records of the answer before that stand in for it
// make it stale when their own TTL is over.
func (e *entry) good(f found, now time.Time) *state {
	old := e.state.Load()
	ttl := min(max(f.ttl, e.client.cfg.MinTTL), e.client.cfg.MaxTTL)
	if f.missing != nil {
		ttl = min(ttl, partRetry)
	}
	same := old.set != nil && old.set.equal(f.set)
	if same {
		f.set = old.set // balancers rebuild on a new pointer only
	}
	s := &state{set: f.set, expires: now.Add(ttl), lent: f.lent}
	if first := f.lent.first(); len(f.lent) == 0 || now.Before(first) {
		e.fresh(old)
		s.expires = sooner(s.expires, first)
	} else {
		s.err = old.because(f.missing)
		e.stale(old, s.err)
	}
	if !errors.Is(s.err, errSnapshot) {
		e.client.saved.answered(e.asked, !same)
	}
	return e.put(s, min(renewAfter(ttl), s.expires.Sub(now)))
}

// fresh takes note that nothing in the answer is past its TTL.
func (e *entry) fresh(old *state) {
	if e.failures > 0 && old.err != nil {
		e.client.cfg.Logger.Info("resolver answers again", slog.String("name", e.asked.name))
	}
	e.failures = 0
}

// stale takes note of a lookup that left something in use past its TTL, and logs the first.
func (e *entry) stale(old *state, err error) {
	e.failures++
	if old.err == nil || errors.Is(old.err, errOverdue) || e.failures == 1 {
		e.client.cfg.Logger.Warn("stale answer in use", slog.String("name", e.asked.name), slog.Any("error", err))
	}
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
	until := e.staleUntil(old)
	s := *old
	s.set, s.lapsed = lender{old, e.client.cfg.MaxStale}.repaid(), false
	if s.set == nil || !now.Before(until) {
		e.failures++
		return e.put(&state{err: err}, failureTTL)
	}
	if now.Before(old.expires) {
		e.failures++
		return e.put(&s, min(pause, old.expires.Sub(now)))
	}
	s.err = old.because(err)
	e.stale(old, s.err)
	return e.put(&s, min(pause, until.Sub(now)))
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
	e.closed = true
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
	if e.age(time.Now()) {
		e.refresh()
	}
}

// age moves the state on as time has passed and reports whether to look up again.
func (e *entry) age(now time.Time) (renew bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	s := *e.state.Load()
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
		s.lapsed = true
		e.state.Store(&s)
		return false
	case now.Before(e.staleUntil(&s)):
		if s.err == nil {
			s.err = errOverdue
			e.state.Store(&s)
		}
		e.timer.Reset(e.staleUntil(&s).Sub(now))
		return true
	}
	e.state.Store(&state{lapsed: true})
	return busy
}
