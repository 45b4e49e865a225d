package soak_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// phase is what a member of the fleet does.
type phase uint8

const (
	joining phase = iota // registering for the first time
	beating              // registered, and heartbeating
	silent               // no longer heartbeating
	leaving              // being deregistered
	left                 // deregistered
	free                 // changed by the test itself, which says what has to be
)

const (
	perService = 10
	shards     = 8                      // goroutines that heartbeat
	retryAfter = 200 * time.Millisecond // after a first error, with jitter; then twice as long each time
	readBound  = 500 * time.Millisecond // after which a store no longer waits for its view to show a write
	callLimit  = 10 * time.Second       // for any call of a store; each ends long before
)

// member is one instance, followed from its registration on.
type member struct {
	service store.Service
	in      store.Instance

	joins sync.Mutex // held while it registers again or deregisters: an Agent does not do both at once

	mu        sync.Mutex // guards all below
	phase     phase
	home      *server
	etag      string
	due       time.Time // of the next heartbeat
	accepted  time.Time // when the last accepted heartbeat was sent: the lease lasts at least ttl from then
	failures  int       // attempts since the last accepted one
	excused   time.Time // until when what became of an attempt that was late may show
	overslept bool      // the fleet was late with an attempt since the last accepted one
	shown     bool      // by every server, so that every server answers it
	begun     time.Time // when the last attempt began
	tried     time.Time // when the last attempt ended, which may have renewed the lease whatever it returned
	leftAt    time.Time // when the deregistration returned
}

func (m *member) String() string { return m.in.ID + "." + string(m.service) }

// now returns a copy of the member's changing part.
func (m *member) now() (p phase, accepted, tried time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.phase, m.accepted, m.tried
}

// fleet is the instances of a test, which heartbeat like Agents: every third of the lease with jitter, again soon after an
// error, and with a registration where the lease is gone or has another content.
type fleet struct {
	t       testing.TB
	mu      sync.Mutex // guards members, against goroutines other than the test's own
	members []*member
	report  func(format string, args ...any) // a broken promise

	rejoins chan struct{} // holds an element for every heartbeat whose result is being taken up

	calls    figures // durations of RenewAll
	failed   atomic.Int64
	returned atomic.Int64 // registrations because a lease was gone
	lastBack atomic.Int64 // when the last of them was, in ns since the Unix epoch
}

// newFleet makes members, perService to a service, at home on the servers in turn.
func newFleet(t testing.TB, n int, ttl time.Duration, servers ...*server) *fleet {
	f := &fleet{t: t, report: atMost(20, t.Errorf), rejoins: make(chan struct{}, 256)}
	for i := range n {
		f.members = append(f.members, newMember(i, ttl, servers[i%len(servers)]))
	}
	return f
}

func newMember(i int, ttl time.Duration, home *server) *member {
	in := store.Instance{
		ID: fmt.Sprintf("i%d", i), Port: 8080, Weight: 1, TTL: ttl,
		Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})},
	}
	return &member{service: store.Service(fmt.Sprintf("_s%d._tcp", i/perService)), in: in, home: home}
}

// start heartbeats until the test ends and registers all members, concurrently. It returns how long registering took.
func (f *fleet) start() time.Duration {
	f.t.Helper()
	run(f.t, func(ctx context.Context) error {
		var wait sync.WaitGroup
		for shard := range shards {
			wait.Go(func() { f.beat(ctx, shard) })
		}
		wait.Wait()
		return nil
	})
	return f.registerAll()
}

// registerAll registers all members, many at once, each until it is accepted.
func (f *fleet) registerAll() time.Duration {
	begin := time.Now()
	f.each(func(m *member) {
		for f.register(m) != nil && f.t.Context().Err() == nil {
			pause(f.t.Context(), time.Until(m.next()))
		}
	})
	return time.Since(begin)
}

// join registers one more member, which the fleet's shards take up.
func (w *world) join(m *member) {
	w.t.Helper()
	w.check.mu.Lock()
	w.check.members[m.service] = append(w.check.members[m.service], m)
	w.check.mu.Unlock()
	w.fleet.mu.Lock()
	w.members = append(w.members, m)
	w.fleet.mu.Unlock()
	if err := insist(w.t, func() error { return w.register(m) }); err != nil {
		w.t.Fatalf("register %v: %v", m, err)
	}
	for _, s := range w.servers {
		eventually(w.t, bound, s.name+" shows "+m.String(), func() bool { return s.View().Service(m.service).Find(m.in.ID) != nil })
	}
	m.show()
}

// all returns the members, for goroutines other than the test's.
func (f *fleet) all() []*member {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.members
}

// each calls do for every member, several at once.
func (f *fleet) each(do func(*member)) {
	const atOnce = 64
	var wait sync.WaitGroup
	for worker := range atOnce {
		wait.Go(func() {
			for i := worker; i < len(f.members); i += atOnce {
				do(f.members[i])
			}
		})
	}
	wait.Wait()
}

// register registers a member, and expects to read its own write where it got no warning.
func (f *fleet) register(m *member) error {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	begin := time.Now()
	m.attempt(begin)
	home, _ := m.at()
	r, err := home.Register(ctx, m.service, m.in)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tried = time.Now()
	if err != nil {
		f.failed.Add(1)
		m.due = m.tried.Add(m.backoff())
		return err
	}
	m.due = m.tried.Add(jitter(m.in.TTL / 3))
	if m.overslept {
		m.excused = m.tried.Add(bound) // views may be behind, and show for a moment what the machine has caused
	}
	m.accepted, m.etag, m.overslept, m.failures = begin, r.Instance.ETag(), false, 0
	if m.phase == joining {
		m.phase = beating
	}
	if len(r.Warnings) == 0 && home.View().Service(m.service).Find(m.in.ID) == nil {
		f.report("%v: registered at revision %d, but not in the view of %s at %d", m, r.Revision, home.name, home.View().Revision())
	}
	return nil
}

// beat heartbeats one shard of the fleet until ctx ends.
func (f *fleet) beat(ctx context.Context, shard int) {
	for ctx.Err() == nil {
		byHome := make(map[*server][]*member)
		next := time.Now().Add(50 * time.Millisecond)
		members := f.all()
		for i := shard; i < len(members); i += shards {
			m := members[i]
			m.mu.Lock()
			if m.phase == beating && !m.due.After(time.Now()) {
				byHome[m.home] = append(byHome[m.home], m)
			}
			m.mu.Unlock()
		}
		var wait sync.WaitGroup
		for home, due := range byHome {
			wait.Go(func() { f.renew(home, due) })
		}
		wait.Wait()
		pause(ctx, time.Until(next))
	}
}

// renew heartbeats for members that share a home.
func (f *fleet) renew(home *server, due []*member) {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	begin := time.Now()
	batch := make([]store.Renewal, len(due))
	for i, m := range due {
		_, etag := m.at()
		batch[i] = store.Renewal{Service: m.service, ID: m.in.ID, ETag: etag}
	}
	for _, m := range due {
		m.attempt(begin)
	}
	results, err := home.RenewAll(ctx, batch)
	f.calls.add(time.Since(begin))
	var wait sync.WaitGroup
	defer wait.Wait()
	for i, m := range due {
		if err != nil {
			f.failed.Add(1)
			m.settle(begin, false)
			continue
		}
		f.rejoins <- struct{}{}
		wait.Go(func() {
			f.settle(m, begin, results[i].Err)
			<-f.rejoins
		})
	}
}

// attempt notes that a heartbeat begins, and how long the last one was ago.
func (m *member) attempt(begin time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.begun.IsZero() && begin.Sub(m.begun) > m.in.TTL*2/3 {
		m.overslept = true
	}
	m.begun = begin
}

// settle takes up the result of one heartbeat.
func (f *fleet) settle(m *member, begin time.Time, err error) {
	switch {
	case err == nil:
		m.settle(begin, true)
	case errors.Is(err, store.ErrGone), errors.Is(err, store.ErrConflict):
		m.settle(begin, false)
		f.rejoin(m)
	case errors.Is(err, store.ErrDeregistered):
		m.settle(begin, false)
		if p, _, _ := m.now(); p != left && p != leaving {
			f.report("%v: heartbeat: %v, but nobody deregistered it", m, err)
		}
	default:
		f.failed.Add(1)
		m.settle(begin, false)
	}
}

// rejoin registers a member again whose heartbeat said so.
func (f *fleet) rejoin(m *member) {
	m.joins.Lock()
	defer m.joins.Unlock()
	if p, _, _ := m.now(); p == beating && f.register(m) == nil {
		f.returned.Add(1)
		f.lastBack.Store(time.Now().UnixNano())
	}
}

// settle notes an attempt that began then.
func (m *member) settle(begin time.Time, accepted bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tried = time.Now()
	if !accepted {
		m.due = m.tried.Add(m.backoff())
		return
	}
	m.accepted, m.overslept, m.failures = begin, false, 0
	m.due = begin.Add(jitter(m.in.TTL / 3))
}

// backoff is how long a member waits after an attempt that failed: longer each time, at most until its next heartbeat is
// due. m.mu is held.
func (m *member) backoff() time.Duration {
	m.failures++
	return jitter(min(retryAfter<<min(m.failures-1, 10), m.in.TTL/3))
}

// silence stops a member's heartbeats. One that is on its way may still arrive.
func (m *member) silence() { m.become(silent) }

func (m *member) become(p phase) {
	m.joins.Lock()
	defer m.joins.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.phase = p
}

// at returns the server that a member heartbeats through, and the content that it believes to be stored.
func (m *member) at() (home *server, etag string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.home, m.etag
}

// show says that every server answers the member from now on.
func (m *member) show() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shown = true
}

// answered reports whether every server has to answer the member.
func (m *member) answered() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.shown && m.phase == beating
}

// late reports whether the fleet, rather than the store, has failed a member: a busy machine kept it from heartbeating.
func (m *member) late() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.overslept || time.Since(m.begun) > m.in.TTL*2/3 || time.Now().Before(m.excused)
}

// next returns when the next attempt is due.
func (m *member) next() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.due
}

// leaveTime returns when the member's deregistration returned, zero before.
func (m *member) leaveTime() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.leftAt
}

// move has a member heartbeat through another server.
func (m *member) move(to *server) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.home = to
}

// leave deregisters a member through a server, trying again while the store is unavailable, and expects it to be gone
// there at once. It returns how long the call took.
func (f *fleet) leave(m *member, through *server) time.Duration {
	f.t.Helper()
	m.become(leaving)
	begin := time.Now()
	var waited time.Duration // by the attempt that was accepted
	eventually(f.t, 30*time.Second, "deregister "+m.String(), func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), callLimit)
		defer cancel()
		last := time.Now()
		_, err := through.Deregister(ctx, m.service, m.in.ID)
		waited = time.Since(last)
		if err != nil && !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrUnknown) {
			f.t.Fatalf("deregister %v: %v", m, err)
		}
		return err == nil || errors.Is(err, store.ErrUnknown)
	})
	took := time.Since(begin)
	m.mu.Lock()
	m.phase, m.leftAt = left, time.Now()
	m.mu.Unlock()
	if waited < readBound && through.View().Service(m.service).Find(m.in.ID) != nil {
		f.report("%v: deregistered through %s in %v, whose view has it still", m, through.name, waited)
	}
	return took
}

// awaitRenewed waits until every member that heartbeats has had a heartbeat accepted since a time.
func (f *fleet) awaitRenewed(since time.Time, within time.Duration) time.Duration {
	f.t.Helper()
	eventually(f.t, within, "every member's heartbeat is accepted", func() bool {
		for _, m := range f.members {
			if p, accepted, _ := m.now(); p == beating && accepted.Before(since) || p == joining {
				return false
			}
		}
		return true
	})
	return time.Since(since)
}

// jitter returns d give or take a tenth.
func jitter(d time.Duration) time.Duration {
	return d*9/10 + time.Duration(rand.Int64N(int64(d)/5+1))
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
