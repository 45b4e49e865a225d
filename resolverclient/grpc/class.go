package dnsreggrpc

import (
	"cmp"
	"slices"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
)

// member is a connected endpoint in a picker.
type member struct {
	node   *node
	weight uint16
	picker balancer.Picker // of its pick_first
}

// class is the endpoints of one priority.
type class struct {
	priority uint16
	ready    []member // connected and not ejected
	hopeful  bool     // one is being connected, and has not failed since it was last connected
}

// classes returns the endpoints by priority, and when the first ejection among them ends. p.mu is held.
func (p *policy) classes(now time.Time) ([]class, time.Time) {
	out, next := p.ejected(now)
	byPriority := map[uint16]*class{}
	for _, s := range p.states {
		share := shareOf(s.Endpoint)
		c := byPriority[share.priority]
		if c == nil {
			c = &class{priority: share.priority}
			byPriority[share.priority] = c
		}
		n := nodeOf(s.Endpoint)
		switch s.State.ConnectivityState {
		case connectivity.Ready:
			if n != nil && !out[n] {
				c.ready = append(c.ready, member{n, share.weight, s.State.Picker})
			}
		case connectivity.Connecting, connectivity.Idle:
			c.hopeful = true
		}
	}
	classes := make([]class, 0, len(byPriority))
	for _, c := range byPriority {
		classes = append(classes, *c)
	}
	slices.SortFunc(classes, func(a, b class) int { return cmp.Compare(a.priority, b.priority) })
	return classes, next
}

// connected reports whether calls can go to the endpoints of a priority.
func connected(classes []class, priority uint16) bool {
	return slices.ContainsFunc(classes, func(c class) bool { return c.priority == priority && len(c.ready) > 0 })
}
