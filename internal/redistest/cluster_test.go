package redistest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dnsreg/dnsreg/internal/redistest"
)

func clusterClient(t testing.TB, c *redistest.Cluster) *redis.ClusterClient {
	t.Helper()
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), ClusterStateReloadInterval: time.Second})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestCluster(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	c := redistest.StartCluster(t)
	t.Logf("three masters started in %v", time.Since(begin))
	if len(c.Servers()) != 3 || strings.Count(c.URL(), ",") != 2 {
		t.Errorf("%d nodes, URL %s", len(c.Servers()), c.URL())
	}
	client, homes := clusterClient(t, c), make(map[string]bool)
	for i := range 30 {
		key := fmt.Sprintf("{%d}", i)
		if err := client.Set(t.Context(), key, i, 0).Err(); err != nil {
			t.Fatal(err)
		}
		homes[c.MasterOf(key).Addr()] = true
	}
	if len(homes) != 3 {
		t.Errorf("30 slots lie on %d masters, want 3", len(homes))
	}
	t.Run("migration", func(t *testing.T) { migrate(t, c, client) })
	t.Run("kill", func(t *testing.T) { killMaster(t, c, client) })
}

// migrate moves a slot under a client that writes to it at every step.
func migrate(t *testing.T, c *redistest.Cluster, client *redis.ClusterClient) {
	for i := range 50 {
		client.Set(t.Context(), fmt.Sprintf("{z}:%d", i), i, 0)
	}
	write := func(key string) {
		t.Helper()
		if err := client.Set(t.Context(), "{z}:"+key, key, 0).Err(); err != nil {
			t.Errorf("SET {z}:%s: %v", key, err)
		}
	}
	m := c.Migrate("{z}")
	write("begun")
	if got := m.Move(20); got != 20 {
		t.Errorf("moved %d keys, want 20", got)
	}
	write("0")
	write("new")
	if m.Remaining() < 29 || m.Remaining() > 31 {
		t.Errorf("%d keys remain, want about 30", m.Remaining())
	}
	m.Finish()
	write("done")
	if c.MasterOf("{z}") != m.To() || m.Remaining() != 0 {
		t.Errorf("the slot is on %s, %d keys remain; want it whole on %s", c.MasterOf("{z}").Addr(), m.Remaining(), m.To().Addr())
	}
	if n, err := client.Exists(t.Context(), "{z}:0", "{z}:49", "{z}:begun", "{z}:new", "{z}:done").Result(); n != 5 || err != nil {
		t.Errorf("%d of 5 keys are there after the move, %v", n, err)
	}
}

// killMaster takes one third of the slots out of service, and leaves the others in it.
func killMaster(t *testing.T, c *redistest.Cluster, client *redis.ClusterClient) {
	dead := c.KillMasterOf("{a}")
	lost, kept := 0, 0
	for i := range 30 {
		key := fmt.Sprintf("{%d}", i)
		if c.MasterOf(key) == dead {
			lost++
			continue
		}
		kept++
		if err := client.Get(t.Context(), key).Err(); err != nil {
			t.Errorf("GET %s on a master that lives: %v", key, err)
		}
	}
	if lost == 0 || kept == 0 {
		t.Errorf("%d slots lost, %d kept; want some of both", lost, kept)
	}
}

func TestClusterFailover(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.WithReplicas(1))
	client := clusterClient(t, c)
	if err := client.Set(t.Context(), "{a}", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	master := c.MasterOf("{a}")
	eventually(t, "its replica has it", func() bool {
		return slices.ContainsFunc(c.Servers(), func(s *redistest.Server) bool { return s != master && s.Do("DBSIZE") == int64(1) })
	})
	begin := time.Now()
	heir := c.WaitFailover("{a}", c.StopMasterOf("{a}"))
	t.Logf("failed over in %v", time.Since(begin))
	if got := heir.Do("GET", "{a}"); got != "v" {
		t.Errorf("GET {a} on the new master = %v, want v", got)
	}
}
