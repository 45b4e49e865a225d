package dnsserver

import (
	"context"
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

// CachedServices returns how many services the cache holds.
func (s *Server) CachedServices() int { return int(s.cache.size.Load()) }

// Pause is pause.
func Pause(ctx context.Context, d time.Duration) time.Duration { return pause(ctx, d) }
