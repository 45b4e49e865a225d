package resolverclient

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// errOutrun says that a call was given up because one that began later has succeeded.
var errOutrun = errors.New("another instance was faster")

// Hedge calls f with an instance and, for as long as none has succeeded, with one more each time that after has passed,
// or at once where a call failed with an error that [Config.Retry] lets pass. The first success is the result, and ends
// the contexts of the other calls; Hedge returns when these have returned too, so f must heed its context.
//
// A call that was given up because a later one was faster counts in the comparison of [Config.EjectShare] and for
// [PeakEWMA] as a failure of its instance, but not as one in a row: where all are slow, the good ones are outrun too.
//
// The calls run at the same time and must be harmless when repeated. Never more than [Config.Tries] instances are
// called, none twice, and calls beyond the first are taken from the same budget as the retries of [Balancer.Do]. It
// returns the errors joined where no call succeeds.
func Hedge[T any](ctx context.Context, b *Balancer, after time.Duration,
	f func(context.Context, Endpoint) (T, error),
) (T, error) {
	h, err := newHedge(ctx, b, after, func(ctx context.Context, p Picked) (value T, again bool, err error) {
		start := time.Now()
		err = b.call(ctx, p, func(ctx context.Context, e Endpoint) (err error) {
			value, err = f(ctx, e)
			return outrun(ctx, err, time.Since(start), after)
		})
		return value, b.entry.client.cfg.Retry(err), err
	})
	if err != nil {
		var none T
		return none, err
	}
	value, end, err := h.run(ctx)
	end(nil)
	return value, err
}

// hedge is one hedged call on its way.
type hedge[T any] struct {
	balancer *Balancer
	table    *table
	call     func(context.Context, Picked) (value T, again bool, err error) // calls Done, once it has ended
	after    time.Duration
	drop     func(T) // parts with the value of a call that succeeded, but not first; may be nil
	results  chan result[T]
	running  sync.WaitGroup
	waiting  int // calls whose results are still to come
	tried    []*node
	ends     []context.CancelCauseFunc // of the calls to those tried
	errs     []error
}

type result[T any] struct {
	value T
	again bool // another instance may be called at once
	err   error
	of    int // the index in tried
}

func newHedge[T any](ctx context.Context, b *Balancer, after time.Duration,
	call func(context.Context, Picked) (T, bool, error),
) (*hedge[T], error) {
	t, err := b.current(ctx)
	if err != nil {
		return nil, err
	}
	b.budget.deposit()
	results := make(chan result[T], b.entry.client.cfg.Tries)
	return &hedge[T]{balancer: b, table: t, call: call, after: after, results: results}, nil
}

// run returns the first success, or the errors of all calls, when all calls but the first to succeed have returned. The
// function ends the contexts that are left, that of the success or those of all, and is the caller's to call in any case.
func (h *hedge[T]) run(ctx context.Context) (value T, end context.CancelCauseFunc, err error) {
	h.launch(ctx, 0)
	timer := time.NewTimer(h.after)
	defer timer.Stop()
	for h.waiting > 0 {
		select {
		case r := <-h.results:
			if r.err == nil {
				h.finish(r.of)
				return r.value, h.ends[r.of], nil
			}
			h.failed(ctx, r)
		case <-timer.C:
			pause := h.after
			if !h.launch(ctx, forRetries) {
				pause = max(pause, 10*time.Millisecond) // until there may be budget again
			}
			timer.Reset(pause)
		}
	}
	h.running.Wait()
	return value, func(cause error) {
		for _, end := range h.ends {
			end(cause)
		}
	}, errors.Join(h.errs...)
}

// launch makes the call with one more instance, where there is one and tries and budget, but for what is to be left of it,
// allow it, and reports whether it did.
func (h *hedge[T]) launch(ctx context.Context, leave int64) bool {
	b := h.balancer
	if ctx.Err() != nil || len(h.tried) >= b.entry.client.cfg.Tries {
		return false
	}
	now := b.now(h.table)
	n := h.table.untried(h.tried, now)
	if n == nil || len(h.tried) > 0 && !b.budget.withdraw(time.Since(b.epoch), leave) {
		return false
	}
	r := result[T]{of: len(h.tried)}
	ctx, end := context.WithCancelCause(ctx)
	h.tried, h.ends = append(h.tried, n), append(h.ends, end)
	h.waiting++
	var p Picked
	b.take(&p, n, now)
	h.running.Go(func() {
		r.value, r.again, r.err = h.call(ctx, p)
		h.results <- r // has room for every call
	})
	return true
}

// outrun returns the error of a call that was given up for another's success: one that had time enough has failed, any
// other was merely cancelled.
func outrun(ctx context.Context, err error, took, after time.Duration) error {
	switch {
	case err == nil || !errors.Is(context.Cause(ctx), errOutrun):
		return err
	case took < after:
		return context.Canceled
	}
	return fmt.Errorf("%w after %v", errOutrun, took)
}

// failed takes the error of a call, and calls the next instance where that is safe.
func (h *hedge[T]) failed(ctx context.Context, r result[T]) {
	h.waiting--
	h.errs = append(h.errs, fmt.Errorf("%s: %w", h.tried[r.of].picked.Endpoint.HostPort(), r.err))
	if r.again {
		h.launch(ctx, 0)
	}
}

// finish ends all calls but the one that was first, and waits for them.
func (h *hedge[T]) finish(first int) {
	for i, end := range h.ends {
		if i != first {
			end(errOutrun)
		}
	}
	h.running.Wait()
	for len(h.results) > 0 {
		if r := <-h.results; r.err == nil && h.drop != nil {
			h.drop(r.value)
		}
	}
}
