package heartbeat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"github.com/dnsreg/dnsreg/store"
)

const (
	parallel  = 8    // calls of an agent at one time
	beatBatch = 4000 // heartbeats in one call: they fit MaxBatchBody however long their names are
)

// round renews or registers every entry that is due, or nearly so. The first sign that the server is out of reach ends
// it, and the entries left wait together.
func (a *Agent) round(ctx context.Context) {
	now := time.Now()
	var due []*membership
	for _, m := range a.members {
		if m.dueBy(now) {
			due = append(due, m)
		}
	}
	trouble := a.renew(ctx, due)
	if trouble == nil {
		trouble = a.register(ctx, due)
	}
	switch {
	case ctx.Err() != nil:
	case trouble != nil:
		a.postpone(due, now, trouble)
	default:
		a.retry.Reset()
	}
	a.members = slices.DeleteFunc(a.members, func(m *membership) bool { return m.ended })
}

// renew sends the heartbeats of those of due that are registered. It fails when the server is out of reach.
func (a *Agent) renew(ctx context.Context, due []*membership) error {
	var registered []*membership
	for _, m := range due {
		if m.registered {
			registered = append(registered, m)
		}
	}
	for batch := range slices.Chunk(registered, beatBatch) {
		sent, phase := time.Now(), phase()
		beats, err := a.beat(ctx, batch)
		if err != nil {
			return err
		}
		for i, m := range batch {
			if beats[i].Err != nil {
				a.failed(m, beats[i].Err)
			} else {
				m.renewed(beats[i].Lease, sent, phase)
			}
		}
	}
	return nil
}

// beat renews a batch in one call. A refusal of the whole call is the result of each of its items, but for one that would
// end them all, such as a proxy's 413: then each half is asked for by itself.
func (a *Agent) beat(ctx context.Context, batch []*membership) ([]Beat, error) {
	beats, err := a.send(ctx, batch)
	switch {
	case err == nil:
		return beats, nil
	case judge(err) == again:
		return nil, err
	case judge(err) == final && len(batch) > 1:
		return a.beatHalves(ctx, batch)
	default:
		return slices.Repeat([]Beat{{Err: err}}, len(batch)), nil
	}
}

// send makes the call of a batch.
func (a *Agent) send(ctx context.Context, batch []*membership) ([]Beat, error) {
	ctx, cancel := context.WithTimeout(ctx, a.patience())
	defer cancel()
	if len(batch) == 1 {
		lease, err := a.client.Heartbeat(ctx, batch[0].Service, batch[0].Instance.ID, batch[0].etag)
		return []Beat{{Lease: lease}}, err
	}
	renewals := make([]store.Renewal, len(batch))
	for i, m := range batch {
		renewals[i] = store.Renewal{Service: m.Service, ID: m.Instance.ID, ETag: m.etag}
	}
	return a.client.HeartbeatAll(ctx, renewals)
}

// beatHalves renews a batch of more than one in two calls.
func (a *Agent) beatHalves(ctx context.Context, batch []*membership) ([]Beat, error) {
	half := len(batch) / 2
	first, err := a.beat(ctx, batch[:half])
	if err != nil {
		return nil, err
	}
	second, err := a.beat(ctx, batch[half:])
	if err != nil {
		return nil, err
	}
	return append(first, second...), nil
}

// put is one registration and what became of it.
type put struct {
	reply Registration
	err   error
	sent  time.Time
}

// register registers those of due that are not. It fails when the server is out of reach.
func (a *Agent) register(ctx context.Context, due []*membership) error {
	var missing []*membership
	for _, m := range due {
		if !m.registered && !m.ended && m.dueBy(time.Now()) {
			missing = append(missing, m)
		}
	}
	puts := make([]put, len(missing))
	group, calls := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, m := range missing {
		m.tried = true
		group.Go(func() error {
			puts[i] = a.put(calls, m)
			return puts[i].trouble()
		})
	}
	err := group.Wait()
	phase := phase()
	for i, m := range missing {
		switch p := &puts[i]; {
		case p.err == nil:
			a.registered(m, p, phase)
		case p.trouble() == nil:
			a.failed(m, p.err)
		}
	}
	return err
}

// trouble returns the error that says that the server is out of reach, nil for any other.
func (p *put) trouble() error {
	if p.err != nil && judge(p.err) == again {
		return p.err
	}
	return nil
}

func (a *Agent) put(ctx context.Context, m *membership) (p put) {
	ctx, cancel := context.WithTimeout(ctx, a.patience())
	defer cancel()
	p.sent = time.Now()
	p.reply, p.err = a.client.Register(ctx, m.Service, m.Instance)
	return p
}

// patience returns how long one call may take, so that a call and the wait after it fit the shortest interval.
func (a *Agent) patience() time.Duration {
	return min(max(a.interval()/2, time.Second), 10*time.Second)
}

// interval returns the shortest interval of all entries.
func (a *Agent) interval() time.Duration {
	least := a.members[0].interval
	for _, m := range a.members[1:] {
		least = min(least, m.interval)
	}
	return least
}

func (a *Agent) registered(m *membership, p *put, phase float64) {
	r := &p.reply
	m.etag = r.ETag
	m.renewed(r.Lease, p.sent, phase)
	a.log.Info("registered", m.attrs(), "created", r.Created, "revision", r.Revision, "warnings", r.Warnings)
	a.notify(Event{Service: m.Service, ID: m.Instance.ID, Registration: r})
}

// failed notes that the server refused an entry's registration or heartbeat.
func (a *Agent) failed(m *membership, err error) {
	switch judge(err) {
	case reput:
		a.log.Warn("lease lost, registering again", m.attrs(), "error", err)
		m.registered = false // it is due still, and so registered in this round
		return
	case final:
		m.ended = true
		a.ended = append(a.ended, fmt.Errorf("%s %q: %w", m.Service, m.Instance.ID, err))
		a.log.Error("given up", m.attrs(), "error", err)
	case refused:
		m.due = time.Now().Add(m.refusedFor())
		a.log.Warn("refused, trying again later", m.attrs(), "error", err, "again", m.due)
	default:
		m.due = time.Now().Add(time.Duration(phase() * float64(m.interval)))
		a.log.Warn("call failed, trying again", m.attrs(), "error", err, "again", m.due)
	}
	a.notify(Event{Service: m.Service, ID: m.Instance.ID, Err: err, Ended: m.ended})
}

// postpone makes those of due that this round left behind wait, all for the same time: full jitter below half the
// shortest interval or 30 s, so that a server that comes back is tried within one interval.
func (a *Agent) postpone(due []*membership, since time.Time, err error) {
	// The greatest wait is twice backoff's interval.
	a.retry.MaxInterval = min(a.interval()/4, 15*time.Second)
	a.retry.InitialInterval = min(a.retry.MaxInterval, 50*time.Millisecond)
	wait := a.retry.NextBackOff()
	if p := (*ProblemError)(nil); errors.As(err, &p) {
		wait = max(wait, min(p.RetryAfter, a.interval()/2))
	}
	a.log.Warn("no answer from the server, trying again", "error", err, "after", wait)
	for _, m := range due {
		if !m.ended && m.dueBy(since) {
			m.due = time.Now().Add(wait)
			a.notify(Event{Service: m.Service, ID: m.Instance.ID, Err: err})
		}
	}
}

// withdraw deregisters every entry that the server may know.
func (a *Agent) withdraw(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, a.leave)
	defer cancel()
	errs := make([]error, len(a.members))
	var group errgroup.Group
	group.SetLimit(parallel)
	for i, m := range a.members {
		if m.tried {
			group.Go(func() error {
				errs[i] = a.deregister(ctx, m)
				return nil
			})
		}
	}
	_ = group.Wait() // no call fails it
	return errors.Join(errs...)
}

func (a *Agent) deregister(ctx context.Context, m *membership) error {
	_, err := backoff.Retry(ctx, func() (Removal, error) {
		r, err := a.client.Deregister(ctx, m.Service, m.Instance.ID)
		if err != nil && judge(err) != again {
			err = backoff.Permanent(err)
		}
		return r, err
	}, backoff.WithMaxTries(3), backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: 50 * time.Millisecond, RandomizationFactor: 1, Multiplier: 2, MaxInterval: time.Second,
	}))
	if err == nil || errors.Is(err, store.ErrUnknown) {
		return nil
	}
	return fmt.Errorf("deregister %s %q: %w", m.Service, m.Instance.ID, err)
}
