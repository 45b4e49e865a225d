package resolverclient

import (
	"fmt"
	"time"
	"unsafe"
)

// Names for the tests of what has no exported form.
var (
	PlanTurns = planTurns
	DrawOrder = drawOrder
)

// Sizes of what a pick reads and returns, in octets.
const (
	NodeSize   = unsafe.Sizeof(node{})
	StatsSize  = unsafe.Sizeof(stats{})
	PickedSize = unsafe.Sizeof(Picked{})
)

// Timers returns how many of the client's timers are set.
func (c *Client) Timers() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.timers)
}

// After has f called after d, unless the client is closed before.
func (c *Client) After(d time.Duration, f func()) { c.after(d, f) }

// Services returns for how many services the Transport keeps connections.
func (t *Transport) Services() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.services)
}

// Outstanding returns how many picks of the Transport are not done.
func (t *Transport) Outstanding() (n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.services {
		for _, node := range s.balancer.table.Load().all() {
			n += node.outstanding.Load()
		}
	}
	return n
}

// MaxSnapshot bounds a snapshot file.
const MaxSnapshot = maxSnapshot

// SealSnapshot puts the first line of a snapshot before a body.
func SealSnapshot(body []byte) []byte {
	return append(fmt.Appendf(nil, snapshotHead, checksum(body), len(body)), body...)
}
