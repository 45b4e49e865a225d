package resolverclient

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// rePicks is how often Do lets the strategy choose again when it chose an instance that was tried.
const rePicks = 4

// Do calls f with an instance of the service and, where f fails with an error that [Config.Retry] lets pass, with
// another, never the same one twice, until one call succeeds, [Config.Tries] are used up, the instances are, or ctx
// ends. Retries are bounded besides by [Config.RetryShare]. The first instance is chosen by [Config.Strategy]; those of a
// higher priority number come after all others.
//
// It returns nil or, joined, the error of each call; where no instance was found, the error of [Balancer.Pick].
func (c *Client) Do(ctx context.Context, service string, f func(context.Context, Endpoint) error) error {
	e, err := c.entry(service, dns.TypeSRV)
	if err != nil {
		return err
	}
	e.balancerOnce.Do(func() { e.balancer = newBalancer(e, c.cfg.Strategy, options{}) })
	return e.balancer.Do(ctx, f)
}

// Do is [Client.Do] with the strategy of this balancer.
func (b *Balancer) Do(ctx context.Context, f func(context.Context, Endpoint) error) error {
	return b.try(ctx, func(p Picked) (again bool, err error) {
		err = b.call(ctx, p, f)
		return ctx.Err() == nil && b.entry.client.cfg.Retry(err), err
	})
}

// try picks instances for f, which calls Done, until it succeeds or says not to go on. Retries are taken from the
// budget.
func (b *Balancer) try(ctx context.Context, f func(Picked) (again bool, err error)) error {
	t, err := b.current(ctx)
	if err != nil {
		return err
	}
	b.budget.deposit()
	var room [4]*node
	tried := room[:0]
	var errs []error
	for i := range b.entry.client.cfg.Tries {
		now := b.now(t)
		n := t.untried(tried, now)
		if n == nil || i > 0 && !b.budget.withdraw(time.Since(b.epoch), 0) {
			break
		}
		tried = append(tried, n)
		var p Picked
		b.take(&p, n, now)
		again, err := f(p)
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", n.picked.Endpoint.HostPort(), err))
		if !again {
			break
		}
	}
	return errors.Join(errs...)
}

// call runs f on the instance, and counts it as ended even where f panics.
func (b *Balancer) call(ctx context.Context, p Picked, f func(context.Context, Endpoint) error) (err error) {
	defer func() { p.Done(b.fault(err)) }()
	return f(ctx, p.Endpoint)
}

// fault returns the part of a call's error that [Picked.Done] is to know of. Errors that let another instance be tried
// and timeouts speak against this one; others are the caller's and the service's own matter.
func (b *Balancer) fault(err error) error {
	if err == nil || b.entry.client.cfg.Retry(err) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, context.Canceled) || errors.Is(err, errOutrun) {
		return err
	}
	return nil
}

// untried returns the next instance for a call that failed on those tried: the strategy's choice where it finds one in
// a few picks, else any that is left, of the lowest priority first; nil where none is left.
func (t *table) untried(tried []*node, now time.Duration) *node {
	if len(tried) < len(t.best) {
		for range rePicks {
			n := &t.best[t.picker.pick(now)]
			if !slices.Contains(tried, n) {
				return n
			}
		}
	}
	for _, class := range t.classes {
		first := rand.IntN(len(class))
		for i := range class {
			if n := &class[(first+i)%len(class)]; !slices.Contains(tried, n) {
				return n
			}
		}
	}
	return nil
}

// IsConnectError reports whether err says that no connection came about, so that nothing was sent and another instance
// may be called without the risk of doing a thing twice: an error of dialling, refusal and no route included.
func IsConnectError(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op == "dial" // "no route" may also end a connection on which something was sent
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		return call.Syscall == "connect"
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}
