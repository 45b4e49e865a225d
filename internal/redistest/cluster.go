package redistest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	masters      = 3
	slots        = 16384
	clusterLimit = time.Minute // for a cluster to agree; it takes some 3 s, 2 of which Redis itself waits
)

// Cluster is three masters, each with a third of the slots, and their replicas. The slots of a master that fails take
// only themselves out of service (cluster-require-full-coverage no), and a node is failing after
// [NodeTimeout].
type Cluster struct {
	t       testing.TB
	servers []*Server
	ids     map[*Server]string
}

// NodeTimeout is the cluster-node-timeout of a [Cluster].
const NodeTimeout = 2 * time.Second

// StartCluster starts a cluster and returns when every node serves.
func StartCluster(t testing.TB, options ...Option) *Cluster {
	t.Helper()
	c := &Cluster{t: t, ids: make(map[*Server]string)}
	settings := newSettings(options)
	settings.directives = append([]string{
		"cluster-enabled yes", "cluster-config-file nodes.conf", "cluster-require-full-coverage no",
		fmt.Sprintf("cluster-node-timeout %d", NodeTimeout.Milliseconds()),
		"cluster-replica-validity-factor 0", "repl-diskless-sync-delay 0",
	}, settings.directives...)
	for range masters * (1 + settings.replicas) {
		c.add(settings)
	}
	c.meet()
	c.assign()
	c.replicate(settings.replicas)
	c.await()
	return c
}

func (c *Cluster) add(settings *settings) {
	c.t.Helper()
	s := prepare(c.t, settings)
	s.launch()
	id, _ := s.Do("CLUSTER", "MYID").(string)
	s.Do("CLUSTER", "SET-CONFIG-EPOCH", len(c.servers)+1)
	c.servers = append(c.servers, s)
	c.ids[s] = id
}

// meet introduces every node to every other, which is quicker than gossip.
func (c *Cluster) meet() {
	c.t.Helper()
	for i, a := range c.servers {
		for _, b := range c.servers[i+1:] {
			host, port := b.hostPort()
			a.Do("CLUSTER", "MEET", host, port)
		}
	}
	until(c.t, clusterLimit, "the nodes to know each other", func() bool {
		return c.all(func(s *Server) bool { return s.clusterInfo()["cluster_known_nodes"] == fmt.Sprint(len(c.servers)) })
	})
}

// assign shares the slots out among the masters, the last with what remains.
func (c *Cluster) assign() {
	c.t.Helper()
	for i, s := range c.servers[:masters] {
		s.Do("CLUSTER", "ADDSLOTSRANGE", i*slots/masters, (i+1)*slots/masters-1)
	}
}

func (c *Cluster) replicate(each int) {
	c.t.Helper()
	for i, s := range c.servers[masters:] {
		master := c.ids[c.servers[i/max(each, 1)]]
		until(c.t, clusterLimit, "a replica to know its master", func() bool {
			return s.client.Do(c.t.Context(), "CLUSTER", "REPLICATE", master).Err() == nil
		})
	}
}

func (c *Cluster) await() {
	c.t.Helper()
	until(c.t, clusterLimit, "every node to serve", func() bool {
		return c.all(func(s *Server) bool {
			info := s.clusterInfo()
			return info["cluster_state"] == "ok" && info["cluster_slots_ok"] == fmt.Sprint(slots) && info["cluster_size"] == fmt.Sprint(masters)
		})
	})
	until(c.t, clusterLimit, "every replica to be in step", func() bool {
		return c.all(func(s *Server) bool {
			info := s.Info("replication")
			return info["role"] == "master" || info["master_link_status"] == "up"
		})
	})
}

func (c *Cluster) all(holds func(*Server) bool) bool {
	return !slices.ContainsFunc(c.servers, func(s *Server) bool { return !s.process.ended() && !holds(s) })
}

func (s *Server) clusterInfo() map[string]string {
	s.t.Helper()
	text, _ := s.Do("CLUSTER", "INFO").(string)
	return fields(text)
}

// URL returns the nodes as redis://host:port,host:port,host:port.
func (c *Cluster) URL() string { return "redis://" + strings.Join(c.Addrs(), ",") }

// Addrs returns every node's host:port.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.servers))
	for i, s := range c.servers {
		addrs[i] = s.Addr()
	}
	return addrs
}

// Servers returns every node, the first three having been started as masters.
func (c *Cluster) Servers() []*Server { return slices.Clone(c.servers) }

// Slot returns the slot of a key.
func (c *Cluster) Slot(key string) int {
	c.t.Helper()
	slot, _ := c.alive().Do("CLUSTER", "KEYSLOT", key).(int64)
	return int(slot)
}

// alive returns a node that runs and is not stopped.
func (c *Cluster) alive() *Server {
	c.t.Helper()
	i := slices.IndexFunc(c.servers, func(s *Server) bool { return !s.process.ended() && s.Ping() == nil })
	if i < 0 {
		c.t.Fatal("no node of the cluster answers")
	}
	return c.servers[i]
}

// MasterOf returns the node that has a key's slot, in the eyes of one that answers.
func (c *Cluster) MasterOf(key string) *Server {
	c.t.Helper()
	s := c.find(c.alive(), c.Slot(key))
	if s == nil {
		c.t.Fatalf("no node has the slot of %q", key)
	}
	return s
}

// find returns the master that a node believes to have a slot.
func (c *Cluster) find(witness *Server, slot int) *Server {
	ranges, _ := witness.client.Do(c.t.Context(), "CLUSTER", "SLOTS").Slice()
	for _, r := range ranges {
		first, last, addr := readRange(r)
		if first <= slot && slot <= last {
			return c.byAddr(addr)
		}
	}
	return nil
}

// readRange reads one element of the reply to CLUSTER SLOTS: first slot, last slot, the master's address, the replicas'.
func readRange(element any) (first, last int, addr string) {
	var from, to int64
	var master []any
	if r, _ := element.([]any); len(r) > 2 {
		from, _ = r[0].(int64)
		to, _ = r[1].(int64)
		master, _ = r[2].([]any)
	}
	if len(master) < 2 {
		return 0, -1, ""
	}
	return int(from), int(to), fmt.Sprintf("%v:%v", master[0], master[1])
}

func (c *Cluster) byAddr(addr string) *Server {
	for _, s := range c.servers {
		if s.Addr() == addr {
			return s
		}
	}
	return nil
}

// KillMasterOf kills the node that has a key's slot, and returns it.
func (c *Cluster) KillMasterOf(key string) *Server {
	c.t.Helper()
	s := c.MasterOf(key)
	s.Kill()
	return s
}

// StopMasterOf suspends the node that has a key's slot, and returns it.
func (c *Cluster) StopMasterOf(key string) *Server {
	c.t.Helper()
	s := c.MasterOf(key)
	s.Stop()
	return s
}

// WaitFailover returns the new master of a key's slot once every node that answers agrees that it is no longer old.
func (c *Cluster) WaitFailover(key string, old *Server) *Server {
	c.t.Helper()
	slot := c.Slot(key)
	var heir *Server
	until(c.t, clusterLimit, "another master of the slot", func() bool {
		agreed := true
		for _, s := range c.servers {
			if s == old || s.process.ended() {
				continue
			}
			heir = c.find(s, slot)
			agreed = agreed && heir != nil && heir != old
		}
		return agreed
	})
	return heir
}
