package endpoint

import (
	"net"
	"net/http"
	"sync"
)

// silent holds the connections that have not sent an octet yet: probes, and what browsers open ahead. They are no calls,
// but [http.Server.Shutdown] waits until each is five seconds old, or has waited headerTimeout for its first request, so a
// stop closes them first.
type silent struct {
	mu      sync.Mutex // guards both
	conns   map[net.Conn]bool
	stopped bool
}

// note is a server's ConnState hook.
func (s *silent) note(conn net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(s.conns, conn)
	case s.stopped:
		_ = conn.Close() // accepted while the server stops
	default:
		s.conns[conn] = true
	}
}

// stop closes the connections, and those to come.
func (s *silent) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for conn := range s.conns {
		_ = conn.Close()
	}
}
