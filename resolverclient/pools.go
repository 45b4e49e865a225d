package resolverclient

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// pools are the HTTP connections to one service.
type pools struct {
	base     *http.Transport
	balancer *Balancer
	dialer   net.Dialer
	used     uint64 // the Transport's clock at the last request; guarded by its mu

	mu      sync.Mutex // guards what follows
	of      map[identity]*pool
	retired bool // no longer kept by the Transport
}

func (s *pools) cfg() *Config { return &s.balancer.entry.client.cfg }

// pool is the connections to one instance.
type pool struct {
	*http.Transport
	addresses []netip.Addr
	departed  atomic.Bool
}

// lingers is how long a connection of HTTP/2 may seem busy after the reply to its last request was read.
const lingers = time.Second

// released is called when a request has ended. In the pool of an instance that is gone it closes what became idle.
func (p *pool) released() {
	if p.departed.Load() {
		p.CloseIdleConnections()
		time.AfterFunc(lingers, p.CloseIdleConnections)
	}
}

// get returns the pool of an endpoint. One that has departed since it was picked gets a pool for this request only.
func (s *pools) get(e Endpoint) *pool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.of[e.identity()]; p != nil {
		return p
	}
	p := &pool{Transport: s.base.Clone(), addresses: e.Addresses}
	p.Proxy, p.DialTLSContext = nil, nil
	p.DialTLS = nil // deprecated, and yet called where it is set
	p.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialEndpoint(ctx, &s.dialer, network, e)
	}
	if present, known := s.present(); known && p.gone(present[e.identity()]) {
		p.departed.Store(true)
	} else {
		s.of[e.identity()] = p
	}
	return p
}

// follow parts with the pools of instances that are gone from the answer or have other addresses: their idle connections
// are closed now, those in use when their requests end.
func (s *pools) follow() {
	for _, p := range s.part() {
		p.CloseIdleConnections()
	}
}

// part takes the pools out of use whose instances are gone, and returns them.
func (s *pools) part() (gone []*pool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	present, known := s.present()
	for id, p := range s.of {
		if known && p.gone(present[id]) {
			delete(s.of, id)
			p.departed.Store(true)
			gone = append(gone, p)
		}
	}
	return gone
}

// retire parts with every pool. Requests that are still to come get pools of their own.
func (s *pools) retire() {
	s.mu.Lock()
	s.retired = true
	s.mu.Unlock()
	s.follow()
}

// present returns the endpoints of the present answer, or that there is none: none are there after "no such service" and
// after Close. s.mu is held.
func (s *pools) present() (endpoints map[identity]*Endpoint, known bool) {
	if s.retired {
		return nil, true
	}
	now := s.balancer.entry.state.Load()
	if now.set == nil {
		var no *negative
		return nil, errors.As(now.err, &no) || errors.Is(now.err, ErrClosed)
	}
	endpoints = make(map[identity]*Endpoint, len(now.set.endpoints))
	for i := range now.set.endpoints {
		endpoints[now.set.endpoints[i].identity()] = &now.set.endpoints[i]
	}
	return endpoints, true
}

// gone reports whether an instance is no longer where the pool's connections lead; nil is one that is nowhere.
func (p *pool) gone(e *Endpoint) bool { return e == nil || !slices.Equal(e.Addresses, p.addresses) }

// closeIdle closes the connections that no request uses.
func (s *pools) closeIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.of {
		p.CloseIdleConnections()
	}
}
