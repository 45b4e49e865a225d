package redisstore

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A batch is full with batchSize items, and up to batchSlots of them are on their way at once.
const (
	batchSize  = 200
	batchSlots = 4
)

// batched is one of many calls that go to Redis together.
type batched interface {
	settled() <-chan struct{} // closed when it is done
	result() error            // of a settled one: why it is not known what came of it
	abandon()                 // nobody waits for it any more
	abandoned() bool
	fail(error) // settles it, unless it is
}

// batcher collects the calls of all callers and sends them in batches. One that is not full goes pause after the last at
// the earliest: many small ones would cost Redis more than the calls themselves. Whoever waits and finds a slot free has
// a batch sent, of the oldest pending items, by a goroutine that ends with it: the batch goes on for all others when that
// caller's own time is over.
type batcher[T batched] struct {
	pause time.Duration
	most  int                                        // items of a batch, where so many are pending that every slot has that many
	limit int                                        // items pending; more are refused
	send  func(ctx context.Context, batch []T) error // settles every one, or returns why it could not
	slots chan struct{}                              // filled while a batch is on its way

	mu      sync.Mutex // guards all below
	pending []T
	full    chan struct{} // closed when a batch is; nil while nobody waits for that
	last    time.Time     // when the last batch began
	took    time.Duration // what a batch takes, smoothed
}

// add makes items pending, all of them or, where there is no room, none.
func (b *batcher[T]) add(items ...T) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.pending)+len(items) > b.limit {
		return errBusy
	}
	b.pending = append(b.pending, items...)
	if len(b.pending) >= batchSize && b.full != nil {
		close(b.full)
		b.full = nil
	}
	return nil
}

// await waits until items are settled, and returns the first error among them, or that of ctx. The items behind one that
// failed are of no use to the caller any more.
func (b *batcher[T]) await(ctx context.Context, items ...T) error {
	for ; len(items) > 0; items = items[1:] {
		for !isSettled(items[0]) {
			if err := ctx.Err(); err != nil {
				abandon(items)
				return err
			}
			b.turn(ctx, items[0])
		}
		if err := items[0].result(); err != nil {
			abandon(items[1:])
			return err
		}
	}
	return nil
}

func isSettled(item batched) bool {
	select {
	case <-item.settled():
		return true
	default:
		return false
	}
}

func abandon[T batched](items []T) {
	for _, item := range items {
		item.abandon()
	}
}

// turn waits until item is settled, or for a slot and until the batch that then goes is through, but no longer than ctx.
func (b *batcher[T]) turn(ctx context.Context, item T) {
	select {
	case <-item.settled():
		return
	case <-ctx.Done():
		return
	case b.slots <- struct{}{}:
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		defer func() { <-b.slots }()
		b.dispatch(ctx, item)
	}()
	select {
	case <-sent:
	case <-ctx.Done():
	}
}

// drain waits until no batch is on its way.
func (b *batcher[T]) drain() {
	for range cap(b.slots) {
		b.slots <- struct{}{}
	}
	for range cap(b.slots) {
		<-b.slots
	}
}

// dispatch sends the oldest pending items, among which item need not be.
func (b *batcher[T]) dispatch(ctx context.Context, item T) {
	if b.gather(ctx, item); ctx.Err() != nil {
		return
	}
	batch := b.take()
	if len(batch) == 0 {
		return
	}
	ctx, cancel := call(context.WithoutCancel(ctx)) // others wait for it too
	defer cancel()
	begin := time.Now()
	if err := b.send(ctx, batch); err != nil {
		for _, item := range batch {
			item.fail(err)
		}
	}
	b.measure(time.Since(begin))
}

// gather waits until a batch is full, item is settled by another, or pause has passed since the last batch.
func (b *batcher[T]) gather(ctx context.Context, item T) {
	b.mu.Lock()
	wait := b.pause - time.Since(b.last)
	if wait <= 0 || len(b.pending) >= batchSize {
		b.mu.Unlock()
		return
	}
	if b.full == nil {
		b.full = make(chan struct{})
	}
	full := b.full
	b.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-full:
	case <-item.settled():
	case <-ctx.Done():
	}
}

// take takes the oldest items off the pending ones, and drops those that nobody waits for: to send them too would make
// those late that are waited for.
func (b *batcher[T]) take() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(max(batchSize, len(b.pending)/cap(b.slots)), b.most)
	var batch []T
	for len(b.pending) > 0 && len(batch) < n {
		if item := b.pending[0]; !item.abandoned() {
			batch = append(batch, item)
		}
		b.pending = b.pending[1:]
	}
	if len(b.pending) == 0 {
		b.pending = nil
	}
	if len(batch) > 0 {
		b.last = time.Now()
	}
	return batch
}

// measure smooths what batches take.
func (b *batcher[T]) measure(took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.took += (took - b.took) / 8
}

// latency returns what a batch takes, smoothed over the last few.
func (b *batcher[T]) latency() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.took
}

// outcome is what batched calls have in common.
type outcome struct {
	done chan struct{}
	once sync.Once
	left atomic.Bool
	err  error
}

func newOutcome() *outcome { return &outcome{done: make(chan struct{})} }

func (o *outcome) settled() <-chan struct{} { return o.done }

func (o *outcome) result() error { return o.err }

func (o *outcome) abandon() { o.left.Store(true) }

func (o *outcome) abandoned() bool { return o.left.Load() }

func (o *outcome) fail(err error) { o.settle(err) }

func (o *outcome) settle(err error) {
	o.once.Do(func() {
		o.err = err
		close(o.done)
	})
}
