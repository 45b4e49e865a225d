package soak_test

import (
	"strings"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/internal/redistest"
	"github.com/dnsreg/dnsreg/store"
)

// fleetSize is how many instances most scenarios have.
func fleetSize() int { return either(300, 20_000) }

// world is a fleet that heartbeats through servers, checker and askers on.
type world struct {
	*fleet
	check   *checker
	askers  []*asker
	servers []*server
}

// populate registers a fleet through servers in turn and returns when every server shows it.
func populate(t testing.TB, n int, servers ...*server) *world {
	t.Helper()
	w := &world{fleet: newFleet(t, n, lease(), servers...), servers: servers}
	w.check = watch(t, w.fleet, servers...)
	took := w.start()
	seen := w.check.await(bound)
	t.Logf("%d instances registered in %v, shown by every server %v later", n, took, seen)
	w.ask()
	return w
}

// ask starts the askers, once every server shows the fleet.
func (w *world) ask() {
	w.t.Helper()
	for _, m := range w.members {
		m.show()
	}
	w.askers = ask(w.t, w.fleet, w.check, w.servers...)
}

// finish ends a scenario that is over its trouble: what ended in it has to go, what lives stays for another two leases.
func (w *world) finish() {
	w.t.Helper()
	settled := w.check.await(2*lease() + bound)
	pass(w.t, lease())
	w.check.await(bound)
	w.t.Logf("views agree %v after the scenario; heartbeat calls %v, failed %d; registered again %d", settled,
		w.calls.take(), w.failed.Load(), w.returned.Load())
	w.t.Logf("end of lease → gone: %v; deregistered → gone elsewhere: %v", w.check.lateness.take(), w.check.farewells.take())
	w.check.logExcuses()
	logAsked(w.t, w.askers)
}

// leases returns how many leases Redis has.
func leases(t testing.TB, r *redistest.Server) int {
	t.Helper()
	n, cursor := 0, uint64(0)
	for {
		keys, next, err := r.Client().Scan(t.Context(), cursor, "dnsreg:{"+zone+"}:lease:*", 1000).Result()
		if err != nil {
			t.Fatal(err)
		}
		if n, cursor = n+len(keys), next; next == 0 {
			return n
		}
	}
}

// Row 1: nothing vanishes when Redis is killed and comes back empty; a deregistration right after wins, and one whose
// holder died in the outage goes when it has had its lease.
func TestKilledRedisComesBackEmpty(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	w := populate(t, fleetSize(), serve(t, "a", r.URL()), serve(t, "b", r.URL()))
	dead, leaver := w.members[0], w.members[1]

	w.check.fault()
	r.Kill()
	dead.silence()
	pass(t, either(time.Second, 3*time.Second))
	r.Restart()
	up := time.Now()
	took := w.leave(leaver, w.servers[0])
	w.check.heal()
	t.Logf("up again; deregistered %v later, the call took %v", time.Since(up), took)

	back := w.awaitRenewed(up, lease()+bound)
	want := len(w.members) - 2
	all := eventually(t, bound, "all leases are back", func() bool { return leases(t, r) >= want })
	t.Logf("heartbeats of all %d accepted %v after Redis was up (heartbeat %v), all leases in Redis %v later", want, back, beat(), all)
	w.finish()
}

// Row 1: the same with an RDB file that is older than the last changes.
func TestKilledRedisComesBackOlder(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	w := populate(t, fleetSize(), serve(t, "a", r.URL()), serve(t, "b", r.URL()))
	early, late, dead, moved := w.members[0], w.members[1], w.members[2], w.members[3]
	rdb := r.Save()

	w.leave(early, w.servers[0]) // the older data has it still
	other := newMember(len(w.members), lease(), w.servers[1])
	w.join(other) // and lacks this one
	weight := uint16(7)
	if err := insist(t, func() error {
		_, err := w.servers[0].SetOverlay(t.Context(), moved.service, moved.in.ID, store.Overlay{Weight: &weight})
		return err
	}); err != nil {
		t.Fatalf("set an overlay: %v", err)
	}
	w.check.await(bound)

	w.check.fault()
	r.Kill()
	dead.silence()
	w.check.rollback()
	r.RestartFrom(rdb)
	up := time.Now()
	took := w.leave(late, w.servers[1])
	w.check.heal()
	w.check.rollback()
	back := w.awaitRenewed(up, lease()+bound)
	t.Logf("deregistering took %v; heartbeats of all accepted %v after Redis was up (heartbeat %v)", took, back, beat())
	w.finish()
	if w.returned.Load() == 0 {
		t.Error("the registration that the file lacked was not made again: the file was not older")
	}
	for _, s := range w.servers {
		if live := s.View().Service(moved.service).Find(moved.in.ID); live == nil || live.EffectiveWeight() != weight {
			t.Errorf("%s: the operator's weight is lost: %v", s.name, live)
		}
	}
}

// Commands that empty Redis under everybody's feet are a loss like any other.
func TestFlushedRedis(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	w := populate(t, fleetSize(), serve(t, "a", r.URL()), serve(t, "b", r.URL()))
	for _, command := range []string{"FLUSHALL", "SCRIPT FLUSH", "FLUSHALL"} {
		w.check.fault()
		args := make([]any, 0, 2)
		for word := range strings.FieldsSeq(command) {
			args = append(args, word)
		}
		r.Do(args...)
		begin := time.Now()
		back := w.awaitRenewed(begin, lease()+bound)
		w.check.heal()
		t.Logf("%s: heartbeats of all accepted after %v (heartbeat %v)", command, back, beat())
	}
	w.members[0].silence()
	w.leave(w.members[1], w.servers[1])
	w.finish()
}
