package dnsreggrpc

import (
	"sync"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/balancer/endpointsharding"
	"google.golang.org/grpc/balancer/pickfirst"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"
)

// Build returns a policy for one connection. It connects each endpoint by a pick_first of its own, which tries the
// endpoint's addresses.
func (policyBuilder) Build(cc balancer.ClientConn, opts balancer.BuildOptions) balancer.Balancer {
	p := &policy{
		ClientConn: cc,
		turn:       newTurns(),
		settings:   defaultSettings(),
		nodes:      resolver.NewEndpointMap[*node](),
	}
	p.children = endpointsharding.NewBalancer(p, opts, balancer.Get(pickfirst.Name).Build, endpointsharding.Options{})
	return p
}

// policy makes a picker of what its children, one for each endpoint, say of their connections. Its methods from
// balancer.Balancer are called by gRPC, one at a time; UpdateState by the children, node.done by calls, again by the
// timer, all at any time.
type policy struct {
	balancer.ClientConn // the channel; UpdateState is overridden
	children            balancer.Balancer
	turn                *turns

	// mu guards what follows and orders the pickers given to the channel. It is taken while the children's locks are
	// held, and so none of their methods may be called under it.
	mu        sync.Mutex
	settings  *settings
	nodes     *resolver.EndpointMap[*node]
	states    []endpointsharding.ChildState
	cause     error // the resolver's last error, where there are no endpoints
	serving   bool  // calls go to the endpoints of priority
	priority  uint16
	holdUntil time.Time // until then calls wait for better endpoints that are being connected
	timer     *time.Timer
	closed    bool
}

// UpdateClientConnState takes a new set of endpoints and settings.
func (p *policy) UpdateClientConnState(s balancer.ClientConnState) error {
	s.ResolverState = pickfirst.EnableHealthListener(s.ResolverState)
	s.ResolverState.Endpoints = p.adopt(s)
	s.BalancerConfig = nil // pick_first has its own kind
	return p.children.UpdateClientConnState(s)
}

// adopt notes the settings and returns the endpoints, each with its node.
func (p *policy) adopt(s balancer.ClientConnState) []resolver.Endpoint {
	p.mu.Lock()
	defer p.mu.Unlock()
	if given, ok := s.BalancerConfig.(*settings); ok {
		p.settings = given
	}
	p.cause = nil
	if p.nodes.Len() == 0 {
		p.hold(time.Now())
	}
	nodes := resolver.NewEndpointMap[*node]()
	var endpoints []resolver.Endpoint
	for _, e := range s.ResolverState.Endpoints {
		n, ok := p.nodes.Get(e)
		if !ok {
			n = newNode(p)
		}
		n.limit.Store(int32(p.settings.ejectAfter))
		nodes.Set(e, n)
		e.Attributes = e.Attributes.WithValue(nodeKey{}, n)
		endpoints = append(endpoints, e)
	}
	p.nodes = nodes
	return endpoints
}

// ResolverError keeps what is known and notes why there is nothing else.
func (p *policy) ResolverError(err error) {
	p.mu.Lock()
	p.cause = err
	p.mu.Unlock()
	p.children.ResolverError(err)
}

// UpdateSubConnState is never called: pick_first listens to its connections itself.
func (p *policy) UpdateSubConnState(balancer.SubConn, balancer.SubConnState) {}

// ExitIdle connects what is idle.
func (p *policy) ExitIdle() { p.children.ExitIdle() }

// Close ends the policy.
func (p *policy) Close() {
	p.mu.Lock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	p.children.Close()
}

// UpdateState takes the states of the children.
func (p *policy) UpdateState(s balancer.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.states = endpointsharding.ChildStatesFromPicker(s.Picker)
	p.publish(time.Now())
}

// again is called by the timer: an ejection or a wait is over.
func (p *policy) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.publish(time.Now())
}

// hold lets calls wait for better endpoints from now on. p.mu is held.
func (p *policy) hold(now time.Time) {
	p.serving = false
	p.holdUntil = now.Add(p.settings.failoverDelay)
}

// publish gives the channel a picker of the present states. p.mu is held, also over the call of the channel, so that an
// older picker does not follow a newer one.
func (p *policy) publish(now time.Time) {
	if p.closed {
		return
	}
	classes, next := p.classes(now)
	if p.serving && !connected(classes, p.priority) {
		p.hold(now)
	}
	state, next := p.choose(classes, now, next)
	p.wake(next, now)
	p.ClientConn.UpdateState(state)
}

// wake has a picker made at a time, if it is one. p.mu is held.
func (p *policy) wake(at, now time.Time) {
	switch {
	case at.IsZero():
	case p.timer == nil:
		p.timer = time.AfterFunc(at.Sub(now), p.again)
	default:
		p.timer.Reset(at.Sub(now))
	}
}

// choose returns the state that follows from the classes, and the earlier of next and the time at which it ends.
func (p *policy) choose(classes []class, now, next time.Time) (balancer.State, time.Time) {
	hopeful := false
	for _, c := range classes {
		if len(c.ready) > 0 {
			p.serving, p.priority, p.holdUntil = true, c.priority, time.Time{}
			return balancer.State{ConnectivityState: connectivity.Ready, Picker: newPicker(c.ready, p.turn)}, next
		}
		hopeful = hopeful || c.hopeful
		if hopeful && now.Before(p.holdUntil) {
			return connecting(), sooner(next, p.holdUntil)
		}
	}
	if hopeful {
		return connecting(), next
	}
	return balancer.State{ConnectivityState: connectivity.TransientFailure, Picker: p.failure()}, next
}

// connecting lets calls wait for another picker.
func connecting() balancer.State {
	picker := base.NewErrPicker(balancer.ErrNoSubConnAvailable)
	return balancer.State{ConnectivityState: connectivity.Connecting, Picker: picker}
}

// failure returns the picker of an endpoint that cannot be connected, whose error says why, or one that says that there
// is none.
func (p *policy) failure() balancer.Picker {
	for _, s := range p.states {
		if s.State.ConnectivityState == connectivity.TransientFailure {
			return s.State.Picker
		}
	}
	if p.cause != nil {
		return base.NewErrPicker(status.Errorf(codes.Unavailable, "no instance to call: %v", p.cause))
	}
	return base.NewErrPicker(status.Error(codes.Unavailable, "no instance to call"))
}

// sooner returns the earlier of two times of which a zero one means never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
