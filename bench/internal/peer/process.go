// Package peer starts the servers under test, each in the foreground with a configuration of its own, and fills them.
package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/bench/internal/zone"
)

// Server is a running server. Stop ends it.
type Server struct {
	Addr    netip.AddrPort // UDP and, but for echoes, TCP
	Version string
	Control string // base URL of its HTTP listener, "" for none

	cmd  *exec.Cmd
	log  tail
	done chan struct{} // closed when the process has ended
	err  error         // of the process; read after done
}

// Place is where a server runs.
type Place struct {
	Dir   string // for its files; it exists and is empty
	Cores []int
}

// patience bounds how long a server may take to load the largest zone and to answer.
const patience = 10 * time.Minute

// start starts a command on the cores of a place.
func start(place Place, addr netip.AddrPort, name string, args ...string) (*Server, error) {
	var cores []string
	for _, core := range place.Cores {
		cores = append(cores, strconv.Itoa(core))
	}
	args = append([]string{"-c", strings.Join(cores, ","), name}, args...)
	s := &Server{Addr: addr, cmd: exec.Command("taskset", args...), done: make(chan struct{})}
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = place.Dir, &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.done)
	}()
	return s, nil
}

// PID returns the process's id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// stopTimeout is how long a server may take to end before it is killed.
const stopTimeout = 10 * time.Second

// Stop ends the process and waits for it. How it ends does not matter any more.
func (s *Server) Stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(stopTimeout):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
}

// ready waits until ask succeeds. If the process ends, or patience does, it is stopped and the error has its last words.
func (s *Server) ready(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("%s ended: %w: %s", s.cmd.Args[3], errors.Join(s.err, err), s.log.String())
		case <-ctx.Done():
			s.Stop()
			return fmt.Errorf("%s does not answer: %w: %s", s.cmd.Args[3], err, s.log.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// apex asks for the zone's SOA.
func (s *Server) apex(ctx context.Context) error {
	client := dns.Client{Timeout: time.Second}
	reply, _, err := client.ExchangeContext(ctx, new(dns.Msg).SetQuestion(zone.Name, dns.TypeSOA), s.Addr.String())
	if err == nil && reply.Rcode != dns.RcodeSuccess {
		err = errors.New(dns.RcodeToString[reply.Rcode])
	}
	return err
}

// Ports of servers are below those that Linux gives to sockets that do not ask for one, which could otherwise take them
// between the look and the start.
const (
	leastPort = 20_000
	ports     = 12_000
)

// freePort returns a loopback port that is free for UDP and TCP.
func freePort() (netip.AddrPort, error) {
	var last error
	for range 100 {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(leastPort+rand.N(ports)))
		if last = free(addr); last == nil {
			return addr, nil
		}
	}
	return netip.AddrPort{}, fmt.Errorf("no port of 127.0.0.1 is free for both UDP and TCP: %w", last)
}

// free listens at an address for a moment.
func free(addr netip.AddrPort) error {
	tcp, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return err
	}
	udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return errors.Join(err, tcp.Close())
	}
	return errors.Join(udp.Close(), tcp.Close())
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// tailLen is how much of a server's log an error shows.
const tailLen = 2048

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-tailLen):]
	return len(p), nil
}

// String returns what was written last.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.text))
}
