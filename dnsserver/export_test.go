package dnsserver

import (
	"context"
	"net/netip"
	"time"
)

// IdleConns returns how many TCP connections wait for a message to begin.
func (s *Server) IdleConns() int {
	n := 0
	for _, c := range s.conns.all(false) {
		if c.idleSince.Load() != 0 {
			n++
		}
	}
	return n
}

// CachedServices returns how many services the caches of all zones hold.
func (s *Server) CachedServices() int {
	n := 0
	for _, level := range s.zones {
		for _, a := range level.zones {
			n += a.index.used
		}
	}
	return n
}

// Accept is what happens to a query that comes over UDP from an address: it returns the reply, nil for none.
func (s *Server) Accept(client netip.Addr, msg []byte) []byte {
	r := udpReader{listener: &listener{Server: s}}
	r.accept(msg, client)
	return r.out
}

// ClientOf is clientOf.
func ClientOf(addr netip.Addr) netip.Addr { return clientOf(addr) }

// Pause is pause.
func Pause(ctx context.Context, d time.Duration) time.Duration { return pause(ctx, d) }
