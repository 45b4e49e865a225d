package dnsserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/dnsreg/dnsreg/internal/family"
)

// listener is one address that is served over UDP and TCP.
type listener struct {
	*Server
	udp []udpConn // at least one, all of the same address
	tcp *net.TCPListener
	any bool // every local address is served, so a UDP reply must be told which one to leave from
}

// udpConn is a UDP socket, of the kind that the loop reads that it is for.
type udpConn interface {
	LocalAddr() net.Addr
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	Close() error
}

const (
	// socketBuffer is what is asked of the kernel for each direction of a UDP socket, in octets: to ride out bursts of
	// queries, and replies that wait for the link address of a host that does not exist.
	socketBuffer = 4 << 20
	// portAttempts is how often a free port is looked for that is free for UDP and TCP both.
	portAttempts = 16
)

// Listen binds every address of the configuration, UDP and TCP. On an error, which says which address could not be bound
// and why, none stays bound. Further calls do nothing. The sockets are closed by Run,
// and stay open without it.
func (s *Server) Listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listeners != nil {
		return nil
	}
	if len(s.sockets) > 0 {
		adopted, err := s.adopt(s.sockets)
		if err != nil {
			return errors.Join(err, closeAll(adopted))
		}
		s.listeners = adopted
		return nil
	}
	var bound []*listener
	for _, address := range s.listen {
		l, err := s.bind(address)
		if err != nil {
			return errors.Join(err, closeAll(bound))
		}
		bound = append(bound, l)
	}
	s.listeners = bound
	return nil
}

// Addrs returns the addresses that are bound, in the order of Config.Listen, with the ports in place of 0. Before Listen
// there are none.
func (s *Server) Addrs() []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	addrs := make([]netip.AddrPort, len(s.listeners))
	for i, l := range s.listeners {
		addrs[i] = l.address()
	}
	return addrs
}

// bind binds one address. For port 0 the kernel chooses one for UDP, which may be taken for TCP: then it has to choose
// again.
func (s *Server) bind(address netip.AddrPort) (*listener, error) {
	for attempt := 1; ; attempt++ {
		l, err := s.bindOnce(address)
		retry := address.Port() == 0 && attempt < portAttempts && errors.Is(err, syscall.EADDRINUSE)
		if !retry {
			return l, err
		}
	}
}

func (s *Server) bindOnce(address netip.AddrPort) (*listener, error) {
	l := &listener{Server: s, any: !address.Addr().IsValid() || address.Addr().IsUnspecified()}
	if err := l.bindUDP(address); err != nil {
		return nil, errors.Join(err, l.close())
	}
	var err error
	port := l.address().Port()
	l.tcp, err = net.ListenTCP(family.Network("tcp", address.Addr()), net.TCPAddrFromAddrPort(netip.AddrPortFrom(address.Addr(), port)))
	if err != nil {
		return nil, errors.Join(family.Plain(err, "tcp"), l.close())
	}
	return l, nil
}

// bindUDP binds the UDP sockets: one for each worker where that is how the system does it best, else one for all. A port
// that is taken is an error in either case.
func (l *listener) bindUDP(address netip.AddrPort) error {
	network := family.Network("udp", address.Addr())
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(address))
	if err != nil {
		return family.Plain(err, "udp")
	}
	conns := []*net.UDPConn{conn}
	if l.batched {
		more, err := bindMore(conn, network, l.udpReaders-1)
		conns = append(conns, more...)
		if err != nil {
			return errors.Join(family.Plain(err, "udp"), l.adoptUDP(conns))
		}
	}
	return l.adoptUDP(conns)
}

// adoptUDP makes sockets the listener's own, as its loops want them. It has them all even where it returns an error.
func (l *listener) adoptUDP(conns []*net.UDPConn) error {
	alone := l.batched && len(conns) >= l.udpReaders // a batchLoop keeps others from its socket
	var errs []error
	for _, conn := range conns {
		errs = append(errs, l.prepareUDP(conn))
		own := udpConn(conn)
		if alone {
			c, err := newBatchConn(conn)
			errs = append(errs, err)
			if err == nil {
				own = c
			}
		}
		l.udp = append(l.udp, own)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("listen udp %v: %w", l.address(), err)
	}
	return nil
}

// prepareUDP sets a socket's options. Smaller buffers than asked for are no error.
func (l *listener) prepareUDP(conn *net.UDPConn) error {
	if err := setBuffers(conn, socketBuffer); err != nil {
		l.logger.Debug("socket buffers", "address", conn.LocalAddr(), "error", err)
	}
	if !l.any {
		return nil
	}
	err4 := ipv4.NewPacketConn(conn).SetControlMessage(ipv4.FlagDst, true)
	err6 := ipv6.NewPacketConn(conn).SetControlMessage(ipv6.FlagDst|ipv6.FlagInterface, true)
	if err4 != nil && err6 != nil {
		return errors.Join(err4, err6)
	}
	return nil
}

// address returns what is bound, with the port in place of 0.
func (l *listener) address() netip.AddrPort { return l.udp[0].LocalAddr().(*net.UDPAddr).AddrPort() }

// stop ends accepting and makes readers come back. A worker that is sending has a while to end: a batchLoop sendPatience.
func (l *listener) stop() {
	errs := []error{l.tcp.Close()}
	for _, conn := range l.udp {
		errs = append(errs, conn.SetReadDeadline(longAgo()), conn.SetWriteDeadline(time.Now().Add(l.stopTimeout)))
	}
	if err := errors.Join(errs...); err != nil {
		l.logger.Warn("stop listening", "address", l.address(), "error", err)
	}
}

func (l *listener) close() error {
	var errs []error
	if l.tcp != nil {
		if err := l.tcp.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	for _, conn := range l.udp {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}

func closeAll(listeners []*listener) error {
	var errs []error
	for _, l := range listeners {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}

// Pauses between attempts while a socket keeps failing, as when the process has no file descriptors left.
const (
	minPause = 5 * time.Millisecond
	maxPause = time.Second
)

// pause waits d or until ctx ends, and returns how long to wait the next time.
func pause(ctx context.Context, d time.Duration) time.Duration {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return min(2*d, maxPause)
}
