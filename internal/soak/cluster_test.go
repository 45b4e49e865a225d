package soak_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/internal/redistest"
	"github.com/dnsreg/dnsreg/store/redisstore"
)

// metaKey is a key of a zone, by which a Cluster finds its slot.
func metaKey(zone string) string { return "dnsreg:{" + zone + "}:meta" }

// zoneElsewhere returns a zone whose slot another master has.
func zoneElsewhere(t testing.TB, c *redistest.Cluster) string {
	t.Helper()
	here := c.MasterOf(metaKey(zone))
	for i := range 1000 {
		other := fmt.Sprintf("z%d.internal.", i)
		if c.MasterOf(metaKey(other)) != here {
			return other
		}
	}
	t.Fatal("every zone has one master")
	return ""
}

// Row 7: the master that has the zone's slot is killed or hangs: the zone is answered all the while and heartbeats go on
// after its replica took over; a zone on another master sees nothing of it.
func TestClusterMasterFails(t *testing.T) {
	t.Parallel()
	for name, down := range map[string]func(*redistest.Cluster, string) *redistest.Server{
		"killed": (*redistest.Cluster).KillMasterOf, "stopped": (*redistest.Cluster).StopMasterOf,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := redistest.StartCluster(t, redistest.WithReplicas(1))
			w := populate(t, fleetSize(), serve(t, "a", c.URL()), serve(t, "b", c.URL()))
			other := serve(t, "other", c.URL(), inZone(zoneElsewhere(t, c)))
			bystanders := newFleet(t, 30, lease(), other)
			check := watch(t, bystanders, other)
			bystanders.start()
			check.await(bound)

			w.check.fault()
			failed, failedBefore := time.Now(), bystanders.failed.Load()
			old := down(c, metaKey(zone))
			w.members[0].silence()
			c.WaitFailover(metaKey(zone), old)
			promoted := time.Since(failed)
			begin := time.Now()
			w.leave(w.members[1], w.servers[1])
			writable := time.Since(failed)
			w.check.heal()
			back := w.awaitRenewed(begin, lease()+2*bound)
			t.Logf("replica promoted after %v (node-timeout %v); writable after %v; every heartbeat accepted %v after the promotion",
				promoted, redistest.NodeTimeout, writable, back)
			w.finish()
			n := bystanders.failed.Load() - failedBefore
			t.Logf("zone on another master: heartbeat calls %v, failed %d", bystanders.calls.take(), n)
			if n > 0 && !check.starvedSince(failed, bystanders.members[0]) {
				t.Errorf("%d heartbeats of a zone on another master failed", n)
			}
		})
	}
}

// Row 8: the zone's slot moves to another master, key by key, under heartbeats, registrations and deregistrations.
func TestSlotMigration(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	w := populate(t, fleetSize(), serve(t, "a", c.URL()), serve(t, "b", c.URL()))
	failedBefore := w.failed.Load()
	w.check.fault()
	begin := time.Now()
	m := c.Migrate(metaKey(zone))
	pass(t, beat())
	keys := m.Remaining()
	w.members[0].silence()
	for step := range 4 {
		m.Move(keys / 5)
		pass(t, beat())
		t.Logf("%d of %d keys moved", (step+1)*(keys/5), keys)
	}
	m.Finish()
	finished := time.Now()
	w.check.heal()
	took := w.leave(w.members[1], w.servers[1])
	back := w.awaitRenewed(finished, lease()+bound)
	t.Logf("the slot of %d keys moved in %v; failed heartbeats %d; then deregistered in %v, every heartbeat accepted within %v",
		keys, finished.Sub(begin), w.failed.Load()-failedBefore, took, back)
	if n := w.failed.Load() - failedBefore; n > 0 && !w.check.starvedSince(begin, w.members[2]) {
		t.Errorf("%d heartbeats failed during the migration", n)
	}
	t.Logf("change → other server after the migration: %v", changes(t, 10, w.servers[0], w.servers[1]))
	w.finish()
}

// A server that starts while Redis is down runs, and follows it when it comes.
func TestServerStartsBeforeRedis(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	r.Kill()
	s := launch(t, "early", r.URL(), func(*redisstore.Config) {})
	pass(t, 2*time.Second)
	if s.synced() || s.View().Revision() != 0 {
		t.Fatal("it follows a Redis that is down")
	}
	r.Restart()
	t.Logf("follows Redis %v after it came", s.awaitSync(t, 2*bound))
	m := newMember(1, lease(), s)
	s.insist(t, m)
}
