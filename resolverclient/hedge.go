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
// An instance whose call was given up because a later one was faster has failed in the sense of [Picked.Done].
//
// The calls run at the same time and must be harmless when repeated. Never more than [Config.Tries] instances are
// called, no one twice, and calls beyond the first are taken from the same budget as the retries of [Balancer.Do]. It
// returns the errors joined where no call succeeds.
func Hedge[T any](ctx context.Context, b *Balancer, after time.Duration,
	f func(context.Context, Endpoint) (T, error),
) (T, error) {
	var none T
	t, err := b.current(ctx)
	if err != nil {
		return none, err
	}
	b.budget.deposit()
	ctx, cancel := context.WithCancelCause(ctx)
	h := &hedge[T]{balancer: b, table: t, call: f, after: after, results: make(chan result[T], b.entry.client.cfg.Tries)}
	defer h.running.Wait()
	defer cancel(errOutrun)
	h.launch(ctx)
	timer := time.NewTimer(after)
	defer timer.Stop()
	for h.waiting > 0 {
		select {
		case r := <-h.results:
			if r.err == nil {
				return r.value, nil
			}
			h.failed(ctx, r)
		case <-timer.C:
			h.launch(ctx)
			timer.Reset(after)
		}
	}
	return none, errors.Join(h.errs...)
}

// hedge is one call of Hedge on its way.
type hedge[T any] struct {
	balancer *Balancer
	table    *table
	call     func(context.Context, Endpoint) (T, error)
	after    time.Duration
	results  chan result[T]
	running  sync.WaitGroup
	waiting  int // calls whose results are still to come
	tried    []*node
	errs     []error
}

type result[T any] struct {
	value T
	err   error
	node  *node
}

// launch calls f with one more instance, where there is one and tries and budget allow it.
func (h *hedge[T]) launch(ctx context.Context) {
	b := h.balancer
	if ctx.Err() != nil || len(h.tried) >= b.entry.client.cfg.Tries {
		return
	}
	now := b.now()
	n := h.table.untried(h.tried, now)
	if n == nil || len(h.tried) > 0 && !b.budget.withdraw(time.Since(b.epoch)) {
		return
	}
	h.tried = append(h.tried, n)
	h.waiting++
	var p Picked
	b.take(&p, n, now)
	h.running.Go(func() {
		r := result[T]{node: n}
		start := time.Now()
		r.err = b.call(ctx, p, func(ctx context.Context, e Endpoint) (err error) {
			r.value, err = h.call(ctx, e)
			return h.outrun(ctx, err, time.Since(start))
		})
		h.results <- r // has room for every call
	})
}

// outrun marks the error of a call that had time enough and was given up for another's success.
func (h *hedge[T]) outrun(ctx context.Context, err error, took time.Duration) error {
	if err == nil || took < h.after || !errors.Is(context.Cause(ctx), errOutrun) {
		return err
	}
	return fmt.Errorf("%w after %v", errOutrun, took)
}

// failed takes the error of a call, and calls the next instance where that is safe.
func (h *hedge[T]) failed(ctx context.Context, r result[T]) {
	h.waiting--
	h.errs = append(h.errs, fmt.Errorf("%s: %w", r.node.endpoint.HostPort(), r.err))
	if h.balancer.entry.client.cfg.Retry(r.err) {
		h.launch(ctx)
	}
}
