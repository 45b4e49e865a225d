// Package subject is the servers that the benchmark brings itself: two that echo datagrams, and one that embeds the
// registry. Each is run as a process of its own.
package subject

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dnsreg/dnsreg/bench/internal/mmsg"
	"github.com/dnsreg/dnsreg/bench/internal/zone"
)

// Run is the child's main: args are a verb, the address to listen on and what the verb needs. It serves until ctx ends.
func Run(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return errors.New("child: a verb and an address are needed")
	}
	addr, err := netip.ParseAddrPort(args[1])
	if err != nil {
		return err
	}
	switch verb := args[0]; verb {
	case "echo":
		return listen(ctx, addr, Echo)
	case "echo-batches":
		return listen(ctx, addr, func(conn *net.UDPConn) error { return EchoBatches(ctx, conn) })
	case "embed":
		return embed(ctx, addr, args[2:])
	default:
		return fmt.Errorf("child: unknown verb %q", verb)
	}
}

// listen serves one socket until ctx ends.
func listen(ctx context.Context, addr netip.AddrPort, serve func(*net.UDPConn) error) error {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return err
	}
	if err := conn.SetReadBuffer(4 << 20); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := serve(conn); ctx.Err() == nil {
		return err
	}
	return nil
}

// Echo sends every datagram back as a plain Go program does, one by one. It returns when the socket is closed.
func Echo(conn *net.UDPConn) error {
	buf := make([]byte, 1500)
	for {
		n, client, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return err
		}
		if _, err := conn.WriteToUDPAddrPort(buf[:n], client); err != nil {
			return err
		}
	}
}

// replySize is the length of an SRV reply of five instances with their addresses.
const replySize = 343

// look is how often EchoBatches sees whether it is to end while nothing comes.
const look = 100 * time.Millisecond

// EchoBatches sends replySize octets back for every datagram, in batches, and nothing else: by system calls that the
// scheduler does not see, on a descriptor that the runtime's poller does not watch. It returns when ctx ends.
func EchoBatches(ctx context.Context, conn *net.UDPConn) error {
	fd, err := detach(conn)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	batch := mmsg.New(1500, true)
	for ctx.Err() == nil {
		if err := echoAll(fd, batch); err != nil {
			return err
		}
		waiting := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(waiting, int(look.Milliseconds())); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return nil
}

// detach returns another descriptor of the socket and closes conn.
func detach(conn *net.UDPConn) (fd int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	if err := raw.Control(func(old uintptr) { fd, failed = unix.Dup(int(old)) }); err != nil {
		return 0, err
	}
	return fd, errors.Join(failed, conn.Close())
}

// echoAll echoes until nothing waits any more. What the kernel does not take is lost.
func echoAll(fd int, batch *mmsg.Batch) error {
	for {
		n, err := batch.Receive(fd)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil {
			return err
		}
		for i := range n {
			batch.SetLen(i, replySize)
		}
		if _, err := batch.Send(fd, n); err != nil && !errors.Is(err, unix.EAGAIN) {
			return err
		}
	}
}

// embed parses what an embedded server needs and runs it.
func embed(ctx context.Context, addr netip.AddrPort, args []string) error {
	if len(args) != 4 {
		return errors.New("child embed: control address, services, instances and changes a second are needed")
	}
	values := make([]int, 3)
	for i, arg := range args[1:] {
		n, err := strconv.Atoi(arg)
		if err != nil {
			return fmt.Errorf("child embed: %w", err)
		}
		values[i] = n
	}
	e, err := NewEmbedded(addr.String(), zone.Zone{Services: values[0], Instances: values[1]})
	if err != nil {
		return err
	}
	return e.Run(ctx, args[0], values[2])
}
