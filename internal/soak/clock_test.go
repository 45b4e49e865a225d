package soak_test

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/internal/redistest"
	"github.com/dnsreg/dnsreg/store/redisstore"
)

// Row 9: Redis' clock jumps ahead, which ends every lease at once, or back, which makes leases last an hour.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]time.Duration{"an hour ahead": time.Hour, "an hour back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := redistest.Start(t, redistest.WithClock())
			w := populate(t, fleetSize(), serve(t, "a", r.URL()), serve(t, "b", r.URL()))
			w.check.fault()
			w.members[0].silence()
			r.SetClock(step)
			jumped := time.Now()
			w.check.heal()
			back := w.awaitRenewed(jumped, lease()+bound)
			gone := eventually(t, 2*lease()+bound, "the instance that died is gone", func() bool {
				return w.servers[0].View().Service(w.members[0].service).Find(w.members[0].in.ID) == nil
			})
			t.Logf("every heartbeat accepted %v after the jump (heartbeat %v), registered again %d; the dead instance gone %v after it (lease %v)",
				back, beat(), w.returned.Load(), back+gone, lease())
			w.leave(w.members[1], w.servers[1])
			w.finish()
		})
	}
}

// Row 10: Redis is full. Leases are renewed and ended, what is registered stays, new registrations are refused until there
// is room again.
func TestFullMemory(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t, redistest.WithConfig("maxmemory-policy", "noeviction"))
	w := populate(t, fleetSize(), serve(t, "a", r.URL()), serve(t, "b", r.URL()))
	w.check.fault()
	r.Set("maxmemory", "1")
	full, failedBefore := time.Now(), w.failed.Load()
	other := newMember(len(w.members), lease(), w.servers[0])
	_, err := w.servers[0].Register(t.Context(), other.service, other.in)
	took := time.Since(full)
	if !isUnavailable(err) || !within(t, scheduling, took-1100*time.Millisecond, "register, beyond its limit") {
		t.Errorf("register in a full Redis: %v after %v, want ErrUnavailable within 1.1 s", err, took)
	}
	w.leave(w.members[0], w.servers[1])
	pass(t, 2*lease())
	failed := w.failed.Load() - failedBefore
	r.Set("maxmemory", "0")
	w.check.heal()
	freed := time.Now()
	w.servers[0].insist(t, other)
	t.Logf("full for %v: refused after %v with %v; failed heartbeats %d; registered %v after there was room", freed.Sub(full),
		took, err, failed, time.Since(freed))
	if failed > 0 && !w.check.starvedSince(full, w.members[1]) {
		t.Errorf("%d heartbeats failed in a full Redis", failed)
	}
	w.finish()
}

// Row 10: a policy that evicts leases is said so at start.
func TestEvictionPolicyIsReported(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t, redistest.WithConfig("maxmemory-policy", "allkeys-lru"))
	var log lines
	serve(t, "a", r.URL(), func(c *redisstore.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	eventually(t, bound, "a warning about the policy", func() bool { return log.has("level=WARN", "allkeys-lru") })
}

// lines is a log that a test reads while it is written.
type lines struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

// Write appends one line.
func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

// has reports whether one line has all of some texts.
func (l *lines) has(texts ...string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		lacks := func(text string) bool { return !strings.Contains(line, text) }
		if !slices.ContainsFunc(texts, lacks) {
			return true
		}
	}
	return false
}
