package dnsreggrpc

import (
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"
)

// maxDoublings is how often the time of an ejection doubles at most.
const maxDoublings = 5

// node is what the calls of an endpoint have shown. It lives as long as the endpoint is in the set.
type node struct {
	policy   *policy
	done     func(balancer.DoneInfo) // of every pick: made once, as a pick must not allocate
	limit    atomic.Int32            // failures in a row that eject
	failures atomic.Int32            // in a row
	again    atomic.Int32            // ejections since the last success

	until time.Time // ejected until then; guarded by policy.mu
}

func newNode(p *policy) *node {
	n := &node{policy: p}
	n.done = n.judge
	return n
}

// nodeKey is the key of a node among an endpoint's attributes.
type nodeKey struct{}

// nodeOf returns the node that adopt put in, nil where the policy did not see the endpoint.
func nodeOf(e resolver.Endpoint) *node {
	n, _ := e.Attributes.Value(nodeKey{}).(*node)
	return n
}

// judge counts the end of a call. That the caller gave it up says nothing of the instance, and where no octet came back,
// gRPC may have found the connection gone and have picked anew, with no error here.
func (n *node) judge(info balancer.DoneInfo) {
	switch status.Code(info.Err) {
	case codes.Canceled:
		return
	case codes.Unavailable, codes.DeadlineExceeded, codes.Internal:
		limit := n.limit.Load()
		if n.failures.Add(1) >= limit && limit > 0 {
			n.policy.eject(n)
		}
	default:
		if info.BytesReceived && n.failures.Load() != 0 {
			n.failures.Store(0)
			n.again.Store(0)
		}
	}
}

// eject keeps an endpoint out for a while.
func (p *policy) eject(n *node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Before(n.until) {
		return // the end of a call that began before
	}
	n.until = now.Add(p.settings.ejectFor << min(n.again.Add(1)-1, maxDoublings))
	p.publish(now)
}

// ejected returns the endpoints to keep out, and when the first of them returns. Where more than half of those connected
// would be out, the ones that return first stay in (the panic floor). p.mu is held.
func (p *policy) ejected(now time.Time) (out map[*node]bool, next time.Time) {
	connected := 0
	var bad []*node
	for _, s := range p.states {
		if s.State.ConnectivityState != connectivity.Ready {
			continue
		}
		connected++
		if n := nodeOf(s.Endpoint); n != nil && now.Before(n.until) {
			bad = append(bad, n)
		}
	}
	slices.SortFunc(bad, func(a, b *node) int { return b.until.Compare(a.until) })
	out = map[*node]bool{}
	for _, n := range bad[:min(len(bad), connected/2)] {
		out[n] = true
		next = n.until
	}
	return out, next
}
