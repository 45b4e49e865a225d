package dnsserver

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// Sockets is one address that somebody else has bound, over UDP and TCP.
type Sockets struct {
	UDP *net.UDPConn
	TCP *net.TCPListener
}

// addr returns the address, false unless both sockets have it.
func (s Sockets) addr() (netip.AddrPort, bool) {
	if s.UDP == nil || s.TCP == nil {
		return netip.AddrPort{}, false
	}
	udp, okUDP := s.UDP.LocalAddr().(*net.UDPAddr)
	tcp, okTCP := s.TCP.Addr().(*net.TCPAddr)
	if !okUDP || !okTCP || udp.AddrPort() != tcp.AddrPort() {
		return netip.AddrPort{}, false
	}
	return tcp.AddrPort(), true
}

// parseSockets returns the addresses of Sockets.
func (c Config) parseSockets(p *problems) []netip.AddrPort {
	p.require(len(c.Listen) == 0, "Listen", c.Listen, "must be empty where there are Sockets")
	addrs := make([]netip.AddrPort, len(c.Sockets))
	for i, s := range c.Sockets {
		var ok bool
		addrs[i], ok = s.addr()
		p.require(ok, fmt.Sprintf("Sockets[%d]", i), addrs[i], "must be UDP and TCP of one address")
	}
	return addrs
}

// adopt makes listeners of sockets that are bound. Whoever bound them decided how many there are: workers share what there
// is.
func (s *Server) adopt(list []Sockets) ([]*listener, error) {
	listeners := make([]*listener, len(list))
	var errs []error
	for i, sockets := range list {
		addr, _ := sockets.addr()
		l := &listener{Server: s, tcp: sockets.TCP, any: addr.Addr().IsUnspecified()}
		errs = append(errs, l.adoptUDP([]*net.UDPConn{sockets.UDP}))
		listeners[i] = l
	}
	return listeners, errors.Join(errs...)
}
