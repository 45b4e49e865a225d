package redistest

// Migration is the move of one slot to another master, as a resharding does it, in steps that a test may act between.
type Migration struct {
	c        *Cluster
	slot     int
	from, to *Server
}

// Migrate begins to move the slot of key to the next master, which is then importing it.
func (c *Cluster) Migrate(key string) *Migration {
	c.t.Helper()
	from := c.MasterOf(key)
	m := &Migration{c: c, slot: c.Slot(key), from: from}
	for _, s := range c.servers {
		if s != from && s.Info("replication")["role"] == "master" {
			m.to = s
			break
		}
	}
	m.to.Do("CLUSTER", "SETSLOT", m.slot, "IMPORTING", c.ids[from])
	from.Do("CLUSTER", "SETSLOT", m.slot, "MIGRATING", c.ids[m.to])
	return m
}

// From returns the node that had the slot.
func (m *Migration) From() *Server { return m.from }

// To returns the node that gets the slot.
func (m *Migration) To() *Server { return m.to }

// Remaining returns how many keys of the slot are still to be moved.
func (m *Migration) Remaining() int {
	m.c.t.Helper()
	n, _ := m.from.Do("CLUSTER", "COUNTKEYSINSLOT", m.slot).(int64)
	return int(n)
}

// Move moves up to n keys and returns how many it found.
func (m *Migration) Move(n int) int {
	m.c.t.Helper()
	keys, _ := m.from.Do("CLUSTER", "GETKEYSINSLOT", m.slot, n).([]any)
	if len(keys) == 0 {
		return 0
	}
	host, port := m.to.hostPort()
	m.from.Do(append([]any{"MIGRATE", host, port, "", 0, 5000, "KEYS"}, keys...)...)
	return len(keys)
}

// Finish moves what remains and gives the slot to its new master, in the eyes of every node.
func (m *Migration) Finish() {
	m.c.t.Helper()
	for m.Move(100) > 0 {
	}
	id := m.c.ids[m.to]
	m.to.Do("CLUSTER", "SETSLOT", m.slot, "NODE", id)
	m.from.Do("CLUSTER", "SETSLOT", m.slot, "NODE", id)
	until(m.c.t, clusterLimit, "every node to know the slot's new master", func() bool {
		return m.c.all(func(s *Server) bool { return m.c.find(s, m.slot) == m.to })
	})
}
