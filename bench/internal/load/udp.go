package load

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/dnsreg/dnsreg/bench/internal/mmsg"
)

// connectUDP opens one more flow of datagrams. Queries that are written together travel as one until they are datagrams
// of their own in the server's receive buffer (UDP_SEGMENT in udp(7)), and the kernel copies no more of a reply than its
// header: this leaves the generator the time to ask faster than any server answers.
func (g *generator) connectUDP() error {
	fd, err := g.open(unix.SOCK_DGRAM, 0, datagrams{mmsg.New(headerLen, false)})
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20); err != nil {
		return fmt.Errorf("set receive buffer: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT, len(g.Mix.Queries[0])); err != nil {
		return fmt.Errorf("set segment size: %w", err)
	}
	return nil
}

// open connects a flow of a socket type to the server.
func (g *generator) open(kind, prefix int, in inbox) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open socket: %w", err)
	}
	g.flows = append(g.flows, newFlow(g, fd, prefix, in))
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(g.Server.Port()), Addr: g.Server.Addr().As4()}); err != nil {
		return 0, fmt.Errorf("connect to %s: %w", g.Server, err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return 0, fmt.Errorf("set non-blocking: %w", err)
	}
	return fd, nil
}

// datagrams is the inbox of a flow over UDP.
type datagrams struct{ batch *mmsg.Batch }

func (d datagrams) receive(fd int) (int, error) { return d.batch.Receive(fd) }

func (d datagrams) reply(i int) ([]byte, int) { return d.batch.Data(i), d.batch.Len(i) }
