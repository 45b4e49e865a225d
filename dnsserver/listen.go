package dnsserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/dnsreg/dnsreg/internal/family"
)

// listener is one address that is served over UDP and TCP.
type listener struct {
	*Server
	udp *net.UDPConn
	tcp *net.TCPListener
	any bool // every local address is served, so a UDP reply must be told which one to leave from
}

const (
	// receiveBuffer is what is asked of the kernel for a UDP socket, in octets, to ride out bursts.
	receiveBuffer = 4 << 20
	// portAttempts is how often a free port is looked for that is free for UDP and TCP both.
	portAttempts = 16
)

// Listen binds every address of the configuration, UDP and TCP. On an error, which says which address could not be bound
// and why, none stays bound. Further calls do nothing. The sockets are closed by Run.
func (s *Server) Listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listeners != nil {
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
		addrs[i] = l.udp.LocalAddr().(*net.UDPAddr).AddrPort()
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
	udp, err := net.ListenUDP(family.Network("udp", address.Addr()), net.UDPAddrFromAddrPort(address))
	if err != nil {
		return nil, family.Plain(err, "udp")
	}
	l.udp = udp
	if err := l.prepareUDP(); err != nil {
		return nil, errors.Join(fmt.Errorf("listen udp %v: %w", address, err), l.close())
	}
	port := udp.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	l.tcp, err = net.ListenTCP(family.Network("tcp", address.Addr()), net.TCPAddrFromAddrPort(netip.AddrPortFrom(address.Addr(), port)))
	if err != nil {
		return nil, errors.Join(family.Plain(err, "tcp"), l.close())
	}
	return l, nil
}

// stop ends accepting and makes readers come back.
func (l *listener) stop() {
	past := time.Unix(1, 0)
	for _, err := range []error{l.tcp.Close(), l.udp.SetReadDeadline(past)} {
		if err != nil {
			l.logger.Warn("stop listening", "address", l.udp.LocalAddr(), "error", err)
		}
	}
}

func (l *listener) close() error {
	var err error
	if l.tcp != nil {
		err = l.tcp.Close()
	}
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return errors.Join(err, l.udp.Close())
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
