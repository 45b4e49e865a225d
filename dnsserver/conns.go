package dnsserver

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// conns is the TCP connections that are open, within two limits: on all of them and on those of one client. At a limit
// the connection that has been idle for longest makes room for a new one (RFC 7766 section 6.2.2), else the one that has
// been stalled for longest, if that is longer than grace.
type conns struct {
	max, maxPerAddr int
	idleTimeout     time.Duration
	grace           time.Duration
	count           atomic.Int64 // of open

	mu       sync.Mutex // guards the fields below
	open     map[*tcpConn]struct{}
	perAddr  map[netip.Addr]int
	stopping bool
}

// stallGrace is the part of the message timeout for which a stalled connection is safe.
const stallGrace = 5

func newConns(c Config) conns {
	return conns{
		max: c.MaxTCPConns, maxPerAddr: c.MaxTCPConnsPerAddr,
		idleTimeout: c.IdleTimeout, grace: c.MessageTimeout / stallGrace,
		open: make(map[*tcpConn]struct{}), perAddr: make(map[netip.Addr]int),
	}
}

// ipv6Site is the part of an IPv6 address that one client is taken to have all addresses of.
const ipv6Site = 64

// clientOf returns what stands for the client of an address.
func clientOf(addr netip.Addr) netip.Addr {
	if !addr.Is6() {
		return addr
	}
	return netip.PrefixFrom(addr, ipv6Site).Masked().Addr()
}

// patience returns how long a connection may be idle as things are: less when three quarters of all are taken (RFC 7766
// section 6.2.3).
func (s *conns) patience() time.Duration {
	const part, crowded = 4, 3
	if s.count.Load()*part >= int64(s.max)*crowded {
		return s.idleTimeout / part
	}
	return s.idleTimeout
}

// promise returns what clients are told of that: nothing, when no connection is left, so that they close (RFC 7828
// section 3.4).
func (s *conns) promise() time.Duration {
	if s.count.Load() >= int64(s.max) {
		return 0
	}
	return s.patience()
}

// admit takes c in unless the server is stopping or a limit is reached and no connection under it can go. It returns the
// connection to close in exchange, if any.
func (s *conns) admit(c *tcpConn) (evicted *tcpConn, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return nil, false
	}
	sameClient := s.perAddr[c.client] >= s.maxPerAddr
	if sameClient || len(s.open) >= s.max {
		evicted = s.dispensable(func(other *tcpConn) bool { return !sameClient || other.client == c.client })
		if evicted == nil {
			return nil, false
		}
		s.drop(evicted)
	}
	s.open[c] = struct{}{}
	s.perAddr[c.client]++
	s.count.Add(1)
	return evicted, true
}

// dispensable looks through all connections. That costs microseconds, and only at a limit.
func (s *conns) dispensable(among func(*tcpConn) bool) *tcpConn {
	var idle, stalled *tcpConn
	var idleSince int64
	stalledSince := time.Now().Add(-s.grace).UnixNano()
	for c := range s.open {
		if !among(c) {
			continue
		}
		if since := c.idleSince.Load(); since != 0 && (idle == nil || since < idleSince) {
			idle, idleSince = c, since
		}
		if since := c.stalledSince.Load(); since != 0 && since < stalledSince {
			stalled, stalledSince = c, since
		}
	}
	if idle == nil {
		return stalled
	}
	return idle
}

func (s *conns) drop(c *tcpConn) {
	if _, ok := s.open[c]; !ok {
		return
	}
	delete(s.open, c)
	s.count.Add(-1)
	if s.perAddr[c.client]--; s.perAddr[c.client] == 0 {
		delete(s.perAddr, c.client)
	}
}

// remove takes out a connection that has ended.
func (s *conns) remove(c *tcpConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(c)
}

func (s *conns) len() int { return int(s.count.Load()) }

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
