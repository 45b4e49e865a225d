package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dnsreg/dnsreg/store"
)

// followPause is the least time between two looks at changes: a storm of them is looked at in heaps.
const followPause = 2 * time.Millisecond

// mirror follows Redis and publishes what it sees. One goroutine owns it.
type mirror struct {
	store  *Store
	conn   *redis.Conn // nil after an error
	detour bool        // the zone's slot is on the move
	epoch  string      // empty until the zone is loaded
	rev    store.Revision
	view   *store.View // what Redis has at rev
	kept   *kept       // what Redis has lost, and is shown all the same; nil outside a recovery
	emptys emptied

	followed  time.Duration // when changes were last looked at
	compared  time.Duration // when the whole log was last compared
	tick      string        // as last seen, and when it changed
	tickedAt  time.Duration
	polled    store.Revision // as the last poll saw it
	bells     uint64         // heard before the last poll
	silent    int            // polls in a row that saw a change of which no bell had told
	trouble   string         // the last error logged, empty when all is well
	idle      bool           // nobody reaps
	checked   string         // the home of the server that was greeted, and when it was last seen
	checkedAt time.Duration
	node      *redis.Options // how that server is reached, and the one that is asked now
	dialled   *redis.Options
	uneven    bool   // another retention was reported
	began     string // the epoch that this server asked for last
}

func newMirror(s *Store) *mirror {
	return &mirror{store: s, view: new(store.View), emptys: make(emptied)}
}

// run looks at Redis until ctx ends: at everything with every tick and kick, at changes alone when the bell rings.
func (m *mirror) run(ctx context.Context) error {
	defer m.disconnect()
	poll := time.NewTicker(m.store.config.Poll)
	defer poll.Stop()
	for whole := true; ; {
		m.note(ctx, m.step(ctx, whole))
		select {
		case <-ctx.Done():
			return nil
		case <-poll.C:
			whole = true
		case <-m.store.kicked:
			whole = true
		case <-m.store.rung:
			// Trouble is looked into at the pace of the poll, whoever rings.
			if whole = m.conn == nil || m.epoch == ""; whole {
				m.wait(ctx, poll.C)
			} else {
				rest(ctx, followPause-m.store.now()+m.followed)
			}
		}
	}
}

// wait waits for the next poll.
func (m *mirror) wait(ctx context.Context, poll <-chan time.Time) {
	select {
	case <-ctx.Done():
	case <-poll:
	case <-m.store.kicked:
	}
}

// rest waits, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// step brings the mirror up to what Redis has.
func (m *mirror) step(ctx context.Context, whole bool) error {
	if !whole {
		return m.follow(ctx)
	}
	l, err := m.look(ctx)
	if err != nil {
		return err
	}
	m.store.stats.polls.Add(1)
	if !m.intact(l) {
		if l, err = m.renew(ctx, l); err != nil {
			return err
		}
	}
	m.inspect(ctx, l)
	return m.catchUp(ctx, l)
}

// renew has the history that l has broken go on, or begin anew, and returns how it looks then.
func (m *mirror) renew(ctx context.Context, l look) (look, error) {
	settled, err := m.settle(ctx, l)
	if err == nil && !settled {
		err = m.begin(ctx, l)
	}
	if err == nil {
		l, err = m.look(ctx)
	}
	if err == nil && !m.intact(l) {
		err = errNoEpoch
	}
	return l, err
}

// catchUp makes the mirror what l saw, or newer.
func (m *mirror) catchUp(ctx context.Context, l look) error {
	now := m.store.now()
	var err error
	switch {
	case m.epoch == "" || l.epoch != m.epoch && m.store.Freshness() == store.Lost:
		err = m.load(ctx, l.epoch)
	case l.epoch != m.epoch:
		err = m.recover(ctx, l)
	case now-m.compared > m.store.config.CompareEvery, m.unsynced(now) > m.store.config.Retention:
		err = m.compare(ctx)
	case l.rev > m.rev:
		err = m.follow(ctx)
	}
	if err != nil {
		return err
	}
	if m.kept != nil {
		if err := m.restore(ctx, l); err != nil {
			return err
		}
	}
	m.watchBell(l)
	m.store.syncedAt.Store(int64(m.store.now()))
	return nil
}

// unsynced returns for how long there was no good look.
func (m *mirror) unsynced(now time.Duration) time.Duration {
	return now - time.Duration(m.store.syncedAt.Load())
}

// begin begins a new epoch, or finds that another server has.
func (m *mirror) begin(ctx context.Context, l look) error {
	if m.detour {
		return errNoEpoch
	}
	ctx, cancel := call(ctx)
	defer cancel()
	known := max(m.rev, m.store.View().Revision())
	m.began = newID()
	_, err := m.store.scripts.begin.run(ctx, m.store.redis, []string{m.store.keys.meta},
		l.epoch, m.began, uint64(known), l.server.home, millis(m.store.config.Retention))
	if denied(err) {
		m.store.readOnly.Store(true)
		return fmt.Errorf("wait for a server that may write: %w", err)
	}
	return err
}

// note logs a change of state, and gives the connection up on trouble.
func (m *mirror) note(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	trouble := ""
	if err != nil {
		m.store.stats.troubles.Add(1)
		m.disconnect()
		trouble = kindOf(err)
	}
	if trouble == m.trouble {
		return
	}
	m.trouble = trouble
	if err != nil {
		m.store.logger.Warn("store out of reach", "error", err, "freshness", m.store.Freshness().String())
		return
	}
	view := m.store.View()
	m.store.logger.Info("store synced", "revision", view.Revision(), "services", view.Services(), "instances", view.Instances())
}

// kindOf tells errors apart for which a line each is worth while: what was tried and how it ended, without ports.
func kindOf(err error) string {
	var late interface{ Timeout() bool } // as every error of net is, and that of a context
	switch {
	case errors.As(err, &late) && late.Timeout():
		return "timeout"
	case fromRedis(err):
		return err.Error()
	default:
		return "network"
	}
}
