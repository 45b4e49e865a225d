package redisstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/internal/redistest"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/redisstore"
)

const metaKey = "dnsreg:{" + zone + "}:meta"

// TestClusterFailover kills or suspends the master of the zone's slot.
func TestClusterFailover(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*redistest.Cluster, string) *redistest.Server
	}{
		{"killed", (*redistest.Cluster).KillMasterOf},
		{"hung", (*redistest.Cluster).StopMasterOf},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cluster := redistest.StartCluster(t, redistest.WithReplicas(1))
			a, b := synced(t, config(t, cluster.URL())), synced(t, config(t, cluster.URL()))
			live := ids("i", 20)
			for _, id := range live {
				register(t, a, web, instance(id, ttl(30*time.Second)))
			}
			converged(t, a, b)
			watch(t, live, a, b)
			begin := time.Now()
			old := c.end(cluster, metaKey)
			eventually(t, 20*time.Second, "writes are back", func() bool {
				_, err := a.Register(t.Context(), web, instance("new", ttl(time.Minute)))
				return err == nil
			})
			t.Logf("writes back after %v", time.Since(begin))
			cluster.WaitFailover(metaKey, old)
			eventually(t, 2*soon, "both show it", func() bool {
				return a.View().Service(web).Find("new") != nil && b.View().Service(web).Find("new") != nil
			})
			t.Logf("shown after %v", time.Since(begin))
			eventually(t, 2*soon, "the bell is back", func() bool { return a.Stats().Bell == "up" && b.Stats().Bell == "up" })
			t.Logf("bell back after %v", time.Since(begin))
			converged(t, a, b)
		})
	}
}

// TestMigration moves the zone's slot to another node in steps, under heartbeats. The epoch has to stay one time of three: a
// node that does not answer while its slot arrives elsewhere is taken for a dead one.
func TestMigration(t *testing.T) {
	const tries = 3
	cluster := redistest.StartCluster(t)
	a, b := synced(t, config(t, cluster.URL())), synced(t, config(t, cluster.URL()))
	live := ids("i", 20)
	for _, id := range live {
		register(t, a, web, instance(id, ttl(10*time.Second)))
	}
	converged(t, a, b)
	watch(t, live, a, b)
	kept := false
	for try := 0; try < tries && !kept; try++ {
		kept = moveSlot(t, cluster, a, b, live)
	}
	if !kept {
		t.Errorf("the slot has moved %d times, and each time a new epoch has begun", tries)
	}
}

// moveSlot moves the zone's slot to another node, and reports whether the epoch has stayed.
func moveSlot(t *testing.T, cluster *redistest.Cluster, a, b *redisstore.Store, live []string) bool {
	t.Helper()
	register(t, a, web, instance("late", ttl(2*time.Second)))
	before := a.Stats()
	renew := func() {
		t.Helper()
		for _, id := range live {
			if results := renewAll(t, b, store.Renewal{Service: web, ID: id}); results[0].Err != nil {
				t.Fatalf("renew %s: %v", id, results[0].Err)
			}
		}
	}
	m := cluster.Migrate(metaKey)
	for left := m.Remaining(); left > 0; left = m.Remaining() {
		m.Move(1)
		renew()
		if a.Freshness() != store.Synced || b.Freshness() != store.Synced {
			t.Fatalf("%v, %v with %d keys left: %+v", a.Freshness(), b.Freshness(), left, a.Stats())
		}
	}
	m.Finish()
	begin := time.Now()
	renew()
	eventually(t, 2*soon, "removals resume", func() bool { return !shows(a, "late") })
	t.Logf("what had ended was gone after %v", time.Since(begin))
	defer during(t, b, live...)()
	register(t, a, web, instance("new", ttl(2*time.Second)))
	converged(t, a, b)
	eventually(t, 2*soon, "the bells move", func() bool { return a.Stats().Bell == "up" && b.Stats().Bell == "up" })
	now := a.Stats()
	t.Logf("epoch %s became %s, %d recoveries became %d", before.Epoch, now.Epoch, before.Recoveries, now.Recoveries)
	return now.Epoch == before.Epoch && now.Recoveries == before.Recoveries
}

// TestClusterWritesAreSentOnce: a change that a node has not answered in time is not sent again. It may have taken effect,
// and whoever registered would hear that the instance had been there, whoever deregistered that it had not.
func TestClusterWritesAreSentOnce(t *testing.T) {
	cluster := redistest.StartCluster(t)
	s := synced(t, config(t, cluster.URL()))
	node := cluster.MasterOf(metaKey)
	for _, id := range ids("new", 4) { // the library may yet find no connection to send again on in time
		herd(t, 50, func(int) store.Service { return web }, s) // so that there are connections to spare
		before := node.CommandStats()
		node.Stop()
		if _, err := s.Register(t.Context(), web, instance(id, ttl(time.Hour))); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("register: error %v", err)
		}
		node.Cont()
		eventually(t, 2*soon, "it takes effect", func() bool { return shows(s, id) })
		if n := redistest.Calls(before, node.CommandStats())["set"]; n != 1 { // one in each registration, and no others
			t.Errorf("the registration of %s was sent %d times", id, n)
		}
	}
}
