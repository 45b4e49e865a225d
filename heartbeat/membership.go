package heartbeat

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// membership is one entry of an agent and what the agent knows of its lease. It belongs to the goroutine of Run.
type membership struct {
	Entry
	etag       string
	tried      bool          // the server may know it
	registered bool          // the last the agent heard is that the server knows it
	ended      bool          // given up
	interval   time.Duration // the server's; before it has named one, a third of the lease
	due        time.Time     // of the next call
}

func newMembership(e Entry) *membership {
	ttl := e.Instance.TTL
	if ttl <= 0 {
		ttl = store.DefaultTTL
	}
	return &membership{Entry: e, interval: ttl / 3}
}

// renewed notes a lease that lives from sent on, and makes the next heartbeat due at the part phase of its interval.
func (m *membership) renewed(lease Lease, sent time.Time, phase float64) {
	ttl, after := time.Duration(lease.TTL), time.Duration(lease.HeartbeatAfter)
	if after <= 0 {
		after = ttl / 3
	}
	// Whatever the server asks for, a quarter of the lease stays for trying again, and the interval is never less than a
	// hundredth of the lease.
	m.interval = max(min(after, ttl*3/4), ttl/100)
	m.registered = true
	m.due = sent.Add(time.Duration(phase * float64(m.interval)))
}

// dueBy reports whether the next call is due at t or so soon after that it may as well be made with others.
func (m *membership) dueBy(t time.Time) bool {
	return !m.due.After(t.Add(min(m.interval/8, time.Second)))
}

// phase returns the part of an interval after which the next heartbeat is sent: less than the whole, so that a server
// that has lost everything hears of the entry within one interval.
func phase() float64 { return 0.5 + 0.4*rand.Float64() }

// verdict is what a failed call means for an entry.
type verdict uint8

const (
	again   verdict = iota // the server is out of reach: try again soon, and nothing else before that
	reput                  // register again at once
	later                  // the server stumbled over this call: try again after an interval
	refused                // try again, slowly
	final                  // give up
)

// judge tells what err, of a registration or heartbeat, means.
func judge(err error) verdict {
	var p *ProblemError
	switch {
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return again
	case errors.Is(err, store.ErrGone), errors.Is(err, store.ErrConflict):
		return reput
	case errors.Is(err, store.ErrDeregistered), errors.As(err, new(*store.InvalidError)):
		return final
	case !errors.As(err, &p), p.Status >= http.StatusInternalServerError, p.Status == http.StatusRequestTimeout:
		return later
	case p.Status == http.StatusBadRequest, p.Status == http.StatusRequestEntityTooLarge:
		return final
	default:
		return refused
	}
}

// refusedFor returns how long to wait after a refusal that the agent can do nothing about: half a minute to a whole one,
// but where a lease is still to be saved no longer than to the next heartbeat.
func (m *membership) refusedFor() time.Duration {
	wait := 30*time.Second + rand.N(30*time.Second)
	if m.registered {
		wait = min(wait, time.Duration(phase()*float64(m.interval)))
	}
	return wait
}

func (m *membership) attrs() slog.Attr {
	return slog.Group("instance", "service", m.Service, "id", m.Instance.ID)
}
