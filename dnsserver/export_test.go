package dnsserver

import (
	"bytes"
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
	w := worker{Server: s, counts: &s.stats.shared[0]}
	return w.accept(datagram{msg: msg, client: client}, nil)
}

// Stream is what happens to a query that comes over TCP: it returns every message of the reply.
func (s *Server) Stream(from Client, msg []byte) (messages [][]byte, err error) {
	err = s.StreamTo(from, msg, func(msg []byte) error {
		messages = append(messages, bytes.Clone(msg))
		return nil
	})
	return messages, err
}

// StreamTo hands every message of the reply to send.
func (s *Server) StreamTo(from Client, msg []byte, send func([]byte) error) error {
	from.Transport = TCP
	one, t := s.answerOrStream(from, s.stats.share(), msg, nil)
	if t == nil {
		return send(one)
	}
	return t.run(send)
}

// Journal returns how many steps the journal of the first zone has, and their octets.
func (s *Server) Journal() (steps, octets int) {
	for _, a := range s.zones[0].zones {
		return a.transfers.journal.state()
	}
	return 0, 0
}

// Look has every zone look at its source.
func (s *Server) Look() {
	for _, level := range s.zones {
		for _, a := range level.zones {
			a.transfers.journal.look()
		}
	}
}

// Single makes the server use the loop for every system. It is to be called before Listen.
func (s *Server) Single() { s.batched = false }

// UDPSockets returns how many UDP sockets the server has.
func (s *Server) UDPSockets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, l := range s.listeners {
		n += len(l.udp)
	}
	return n
}

// BusyWorkers returns how many workers have answered a query.
func (s *Server) BusyWorkers() int {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	n := 0
	for _, c := range s.stats.workers {
		if len(requests([]*counters{c})) > 0 {
			n++
		}
	}
	return n
}

// Batched is batched.
const Batched = batched

// MaxQuery is maxQuery.
const MaxQuery = maxQuery

// TimesOf is the times of n queries that took d each.
func TimesOf(n int, d time.Duration) (sum Times) {
	var t times
	t.add(n, d)
	t.addTo(&sum)
	return sum
}

// ClientOf is clientOf.
func ClientOf(addr netip.Addr) netip.Addr { return clientOf(addr) }

// Pause is pause.
func Pause(ctx context.Context, d time.Duration) time.Duration { return pause(ctx, d) }

// Addresses returns how many addresses are known to have host names, without bringing that up to date.
func (s *Server) Addresses() int {
	n := 0
	for _, a := range s.zones.followers() {
		if last := a.reverse.pointers.last.Load(); last != nil {
			for _, chunk := range last.addressList {
				n += len(chunk)
			}
		}
	}
	return n
}

// Fold writes a name to dst with ASCII capitals as small letters.
func Fold(dst, src []byte) { fold(dst, src) }
