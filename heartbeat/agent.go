package heartbeat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/dnsreg/dnsreg/store"
)

// Entry is an instance that an [Agent] keeps registered.
type Entry struct {
	Service  store.Service
	Instance store.Instance // its Weight as it stands: see Client.Register
}

// Event tells what happened to an agent's entry.
type Event struct {
	Service      store.Service
	ID           string
	Registration *Registration // it was registered, for the first time or again; else nil
	Err          error         // why it was not registered or renewed; else nil
	Ended        bool          // the agent has given the entry up, for the reason in Err
}

// AgentConfig configures an [Agent].
type AgentConfig struct {
	Client  *Client
	Entries []Entry       // at least one, no two with the same service and id
	Notify  func(Event)   // nil: nobody; called by Run, one call at a time, and must return soon
	Leave   time.Duration // longest time for deregistering at the end; 0: 5 s
	Logger  *slog.Logger  // nil: silent
}

// Agent keeps instances registered while its Run runs.
//
// It registers each entry and renews its lease at between half and nine tenths of the interval that the server names,
// several leases in one call. A lease that is gone or holds another content is registered again at once. While the
// server is out of reach it tries again with full jitter, at least every half interval or 30 s: a server that comes
// back, even empty, knows every entry within one interval.
//
// An id belongs to one agent at a time: the one that ends deregisters it, whoever else registered it meanwhile.
//
// An entry that was deregistered by somebody else (410) ends, and so does one that breaks a rule of the server (400,
// 413, 422), since neither heals by itself. Every other refusal (401, 403, 409, 429 …) is tried again, at the next
// heartbeat while a lease is to be saved and else twice a minute: a server's tokens may be put right and a full service
// may shrink. A call that the server stumbled over (408, 500, a reply that is not dnsreg's) is tried again after an
// interval.
type Agent struct {
	client  *Client
	notify  func(Event)
	leave   time.Duration
	log     *slog.Logger
	members []*membership
	retry   *backoff.ExponentialBackOff // of the server, not of one entry
	ended   []error                     // of the entries that were given up

	closing context.Context // ends with Close
	close   context.CancelFunc
	started atomic.Bool
	done    chan struct{}
	result  error // of Run; read after done
}

// NewAgent returns an agent that does nothing before its Run, or an error that names every field of cfg that is wrong.
func NewAgent(cfg AgentConfig) (*Agent, error) {
	a := &Agent{
		client: cfg.Client,
		notify: cfg.Notify,
		leave:  cfg.Leave,
		log:    cfg.Logger,
		retry:  &backoff.ExponentialBackOff{RandomizationFactor: 1, Multiplier: 2},
		done:   make(chan struct{}),
	}
	if a.notify == nil {
		a.notify = func(Event) {}
	}
	if a.leave <= 0 {
		a.leave = 5 * time.Second
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if a.members, err = memberships(cfg); err != nil {
		return nil, err
	}
	a.closing, a.close = context.WithCancel(context.Background())
	return a, nil
}

// memberships checks the entries of cfg and returns what is kept of each.
func memberships(cfg AgentConfig) ([]*membership, error) {
	var errs []error
	if cfg.Client == nil {
		errs = append(errs, errors.New("client: must be set"))
	}
	if len(cfg.Entries) == 0 {
		errs = append(errs, errors.New("entries: must have at least one"))
	}
	type key struct {
		service store.Service
		id      string
	}
	seen := make(map[key]bool)
	members := make([]*membership, len(cfg.Entries))
	for i, e := range cfg.Entries {
		service, err := store.ParseService(string(e.Service))
		k := key{service, e.Instance.Key()}
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("entries[%d]: %w", i, err))
		case checkID(e.Instance.ID) != nil:
			errs = append(errs, fmt.Errorf("entries[%d]: %w", i, checkID(e.Instance.ID)))
		case seen[k]:
			errs = append(errs, fmt.Errorf("entries[%d]: %s %q must not be given twice", i, service, e.Instance.ID))
		}
		seen[k] = true
		e.Service = service
		members[i] = newMembership(e)
	}
	return members, errors.Join(errs...)
}

// Run keeps the entries registered until ctx ends or Close is called, deregisters them and returns nil. It returns
// earlier when no entry is left, and then or at the end an error for each entry that it gave up ([store.ErrDeregistered],
// [*store.InvalidError]) or could not deregister. It can be called once.
func (a *Agent) Run(ctx context.Context) error {
	if a.started.Swap(true) {
		return errors.New("run agent: it has run before")
	}
	defer close(a.done)
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.closing, cancel)()
	a.keep(running)
	// The entries are to leave although ctx has ended: its values stay, its end does not.
	left := a.withdraw(context.WithoutCancel(ctx))
	a.result = errors.Join(append(a.ended, left)...)
	return a.result
}

// Close ends Run and returns what Run returned, or nil at once where Run was not called: then it will return at once.
func (a *Agent) Close() error {
	a.close()
	if !a.started.Load() {
		return nil
	}
	<-a.done
	return a.result
}

// keep keeps the entries registered until ctx ends or none is left.
func (a *Agent) keep(ctx context.Context) {
	for ctx.Err() == nil && a.closing.Err() == nil && len(a.members) > 0 {
		timer := time.NewTimer(time.Until(a.next()))
		select {
		case <-ctx.Done():
		case <-timer.C:
			a.round(ctx)
		}
		timer.Stop()
	}
}

// next returns when the first entry is due.
func (a *Agent) next() time.Time {
	next := a.members[0].due
	for _, m := range a.members[1:] {
		if m.due.Before(next) {
			next = m.due
		}
	}
	return next
}
