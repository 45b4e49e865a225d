package dnsserver

import (
	"net/netip"
	"sync"
)

// conns is the TCP connections that are open, within two limits: on all of them and on those of one client address. At
// a limit the connection that has been idle for longest makes room for a new one (RFC 7766 section 6.2.2).
type conns struct {
	max, maxPerAddr int

	mu       sync.Mutex // guards the fields below
	open     map[*tcpConn]struct{}
	perAddr  map[netip.Addr]int
	stopping bool
}

func newConns(limit, perAddr int) conns {
	return conns{max: limit, maxPerAddr: perAddr, open: make(map[*tcpConn]struct{}), perAddr: make(map[netip.Addr]int)}
}

// admit takes c in unless the server is stopping or a limit is reached and no connection under it is idle. It returns the
// connection to close in exchange, if any.
func (s *conns) admit(c *tcpConn) (evicted *tcpConn, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return nil, false
	}
	sameAddr := s.perAddr[c.addr] >= s.maxPerAddr
	if sameAddr || len(s.open) >= s.max {
		evicted = s.oldestIdle(func(other *tcpConn) bool { return !sameAddr || other.addr == c.addr })
		if evicted == nil {
			return nil, false
		}
		s.drop(evicted)
	}
	s.open[c] = struct{}{}
	s.perAddr[c.addr]++
	return evicted, true
}

// oldestIdle looks through all connections. That costs microseconds, and only at a limit.
func (s *conns) oldestIdle(among func(*tcpConn) bool) *tcpConn {
	var oldest *tcpConn
	var since int64
	for c := range s.open {
		idle := c.idleSince.Load()
		if idle != 0 && (oldest == nil || idle < since) && among(c) {
			oldest, since = c, idle
		}
	}
	return oldest
}

func (s *conns) drop(c *tcpConn) {
	if _, ok := s.open[c]; !ok {
		return
	}
	delete(s.open, c)
	if s.perAddr[c.addr]--; s.perAddr[c.addr] == 0 {
		delete(s.perAddr, c.addr)
	}
}

// remove takes out a connection that has ended.
func (s *conns) remove(c *tcpConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(c)
}

func (s *conns) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// all returns the open connections, and lets in no more if stopping.
func (s *conns) all(stopping bool) []*tcpConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = s.stopping || stopping
	list := make([]*tcpConn, 0, len(s.open))
	for c := range s.open {
		list = append(list, c)
	}
	return list
}

// stop makes every connection end when it has answered what it has read.
func (s *conns) stop() {
	for _, c := range s.all(true) {
		c.stop()
	}
}

// closeAll ends the connections that are still open.
func (s *conns) closeAll() {
	for _, c := range s.all(true) {
		c.close()
	}
}
