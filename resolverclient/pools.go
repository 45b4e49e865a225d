package resolverclient

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// pools are the HTTP connections to one service.
type pools struct {
	base     *http.Transport
	balancer *Balancer
	dialer   net.Dialer
	followed atomic.Pointer[set] // the set whose absentees have departed

	mu sync.Mutex // guards of
	of map[identity]*pool
}

func (s *pools) cfg() *Config { return &s.balancer.entry.client.cfg }

// pool is the connections to one instance.
type pool struct {
	*http.Transport
	addresses []netip.Addr
	departed  atomic.Bool
}

// released is called when a request has ended. In the pool of an instance that is gone it closes what became idle.
func (p *pool) released() {
	if p.departed.Load() {
		p.CloseIdleConnections()
	}
}

// get returns the pool of an endpoint.
func (s *pools) get(e Endpoint) *pool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.of[e.identity()]; p != nil {
		return p
	}
	p := &pool{Transport: s.base.Clone(), addresses: e.Addresses}
	p.Proxy, p.DialTLSContext = nil, nil
	p.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialEndpoint(ctx, &s.dialer, network, e)
	}
	s.of[e.identity()] = p
	return p
}

// follow parts with the pools of instances that are gone from the answer or have other addresses.
func (s *pools) follow() {
	now := s.balancer.entry.state.Load().set
	if now == nil || s.followed.Swap(now) == now {
		return
	}
	present := make(map[identity]*Endpoint, len(now.endpoints))
	for i := range now.endpoints {
		present[now.endpoints[i].identity()] = &now.endpoints[i]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, p := range s.of {
		if e := present[id]; e == nil || !slices.Equal(e.Addresses, p.addresses) {
			delete(s.of, id)
			p.departed.Store(true)
			p.CloseIdleConnections()
		}
	}
}

// closeIdle closes the connections that no request uses.
func (s *pools) closeIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.of {
		p.CloseIdleConnections()
	}
}
