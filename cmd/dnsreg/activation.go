package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/dnsreg/dnsreg/configs"
	"github.com/dnsreg/dnsreg/dnsserver"
)

// sockets are what the service manager has bound for this process.
type sockets struct {
	dns  []dnsserver.Sockets
	http []net.Listener
}

// firstInherited is the number of the first file that systemd hands on, and maxInherited how many are taken
// (sd_listen_fds(3)).
const (
	firstInherited = 3
	maxInherited   = 128
)

// inherited takes over the sockets that LISTEN_FDS announces, if LISTEN_PID says that they are for this process, and
// takes the variables out of the environment. UDP sockets are DNS'. A TCP socket is DNS' or HTTP's as LISTEN_FDNAMES calls
// it dns or http, else DNS' if its address is that of a UDP socket.
func inherited() (sockets, error) {
	pid, count, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	if pid != strconv.Itoa(os.Getpid()) || count == "" {
		return sockets{}, nil
	}
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		if err := os.Unsetenv(name); err != nil {
			return sockets{}, err
		}
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 || n > maxInherited {
		return sockets{}, fmt.Errorf("LISTEN_FDS %q: must be a number from 1 to %d", count, maxInherited)
	}
	labels := strings.Split(names, ":")
	var given handed
	for i := range n {
		label := ""
		if len(labels) == n {
			label = labels[i]
		}
		err = errors.Join(err, given.take(firstInherited+i, label))
	}
	all, sorted := given.sort()
	return all, errors.Join(err, sorted)
}

// handed is sockets as they were handed on.
type handed struct {
	udp []*net.UDPConn
	tcp []namedListener
}

type namedListener struct {
	*net.TCPListener
	name string
}

// take takes over the socket of a file.
func (h *handed) take(fd int, name string) error {
	f := os.NewFile(uintptr(fd), name)
	defer func() { _ = f.Close() }() // of which a copy is kept
	if l, err := net.FileListener(f); err == nil {
		tcp, ok := l.(*net.TCPListener)
		if !ok {
			return errors.Join(fmt.Errorf("inherited socket %d, %q: must be of TCP or UDP, not %v", fd, name, l.Addr().Network()), l.Close())
		}
		h.tcp = append(h.tcp, namedListener{tcp, name})
		return nil
	}
	c, err := net.FilePacketConn(f)
	if err != nil {
		return fmt.Errorf("inherited socket %d, %q: %w", fd, name, err)
	}
	udp, ok := c.(*net.UDPConn)
	if !ok {
		return errors.Join(fmt.Errorf("inherited socket %d, %q: must be of TCP or UDP, not %v", fd, name, c.LocalAddr().Network()), c.Close())
	}
	h.udp = append(h.udp, udp)
	return nil
}

// sort puts every socket where it belongs. DNS is answered over UDP and TCP (RFC 7766 section 5), so one needs the other.
func (h *handed) sort() (sockets, error) {
	var all sockets
	var errs []error
	left := make(map[string]*net.TCPListener)
	for _, l := range h.tcp {
		address := l.Addr().String()
		switch {
		case l.name == "http":
			all.http = append(all.http, l.TCPListener)
		case l.name == "dns" || h.hasUDP(address):
			left[address] = l.TCPListener
		default:
			all.http = append(all.http, l.TCPListener)
		}
	}
	for _, udp := range h.udp {
		address := udp.LocalAddr().String()
		if left[address] == nil {
			errs = append(errs, fmt.Errorf("inherited socket of UDP %s: must go with one of TCP", address))
			continue
		}
		all.dns = append(all.dns, dnsserver.Sockets{UDP: udp, TCP: left[address]})
		delete(left, address)
	}
	for address := range left {
		errs = append(errs, fmt.Errorf("inherited socket of TCP %s for dns: must go with one of UDP", address))
	}
	return all, errors.Join(errs...)
}

func (h *handed) hasUDP(address string) bool {
	for _, udp := range h.udp {
		if udp.LocalAddr().String() == address {
			return true
		}
	}
	return false
}

// replace returns a configuration that listens where the sockets are bound, as far as there are any.
func (s sockets) replace(cfg configs.Config) configs.Config {
	if len(s.dns) > 0 {
		cfg.DNS.Listen = each(s.dns, func(d dnsserver.Sockets) string { return d.TCP.Addr().String() })
	}
	if len(s.http) > 0 {
		cfg.HTTP.Listen = each(s.http, func(l net.Listener) string { return l.Addr().String() })
	}
	return cfg
}
