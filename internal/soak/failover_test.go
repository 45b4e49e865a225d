package soak_test

import (
	"errors"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/internal/redistest"
	"github.com/dnsreg/dnsreg/store"
)

// Row 6: the master fails and a replica takes over, one that is in step, or one that lacks the last writes.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		lag  bool
		down func(*redistest.Server)
	}{
		{"killed", false, (*redistest.Server).Kill},
		{"stopped", false, (*redistest.Server).Stop},
		{"killed before a lagging replica", true, (*redistest.Server).Kill},
		{"stopped before a lagging replica", true, (*redistest.Server).Stop},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sentinelFailover(t, tt.lag, tt.down)
		})
	}
}

func sentinelFailover(t *testing.T, lag bool, down func(*redistest.Server)) {
	s := redistest.StartSentinel(t)
	a, b := serve(t, "a", s.URL()), serve(t, "b", s.URL())
	w := populate(t, fleetSize(), a, b)
	gone, dead, leaver, late := w.members[0], w.members[1], w.members[2], newMember(len(w.members), lease(), a)
	old := s.Master()
	w.check.fault()
	if lag {
		s.Lag()
		w.leave(gone, a) // lost, so it may be back for a lease
		w.check.rollback()
		w.join(late) // lost, so that its heartbeat finds nothing
	}
	down(old)
	failed := time.Now()
	dead.silence()
	promoted := s.WaitFailover(old)
	elected := time.Since(failed)
	writes := eventually(t, 30*time.Second, "a write after the failover", func() bool {
		_, err := b.SetOverlay(t.Context(), late.service, "nobody", store.Overlay{})
		return err == nil || errors.Is(err, store.ErrUnknown)
	})
	w.leave(leaver, b)
	w.check.heal()
	if lag {
		w.check.rollback()
	}
	bells := eventually(t, 10*time.Second, "the bells of the new master", func() bool { return a.synced() && b.synced() })
	back := w.awaitRenewed(time.Now(), lease()+bound)
	t.Logf("%s took over after %v (down-after %v); writes back %v after that, bells %v later; every heartbeat accepted within %v",
		promoted.Addr(), elected, redistest.DownAfter, writes, bells, back)
	t.Logf("change → other server after the failover: %v", changes(t, 10, a, b))
	w.finish()
}
