//go:build linux && (amd64 || arm64)

package dnsserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// bindMore opens n more sockets with the address of conn, among which the kernel spreads the clients by address and port.
// It does so only now: a socket that is bound with SO_REUSEPORT may share a port with another process that does the
// same, as with a server that was started twice.
func bindMore(conn *net.UDPConn, network string, n int) ([]*net.UDPConn, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	address := conn.LocalAddr().String()
	if err := reusePort(network, address, raw); err != nil {
		return nil, fmt.Errorf("listen udp %s: share the port: %w", address, err)
	}
	config := net.ListenConfig{Control: reusePort}
	var more []*net.UDPConn
	for range n {
		c, err := config.ListenPacket(context.Background(), network, address)
		if err != nil {
			return more, err
		}
		more = append(more, c.(*net.UDPConn))
	}
	return more, nil
}

func reusePort(_, _ string, raw syscall.RawConn) error {
	return setOption(raw, unix.SO_REUSEPORT, 1)
}

// setBuffers asks for buffers beyond the system's limit, which privileged processes may have, else for as much as the
// limit allows.
func setBuffers(conn *net.UDPConn, size int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	if setOption(raw, unix.SO_RCVBUFFORCE, size) != nil {
		err = conn.SetReadBuffer(size)
	}
	if setOption(raw, unix.SO_SNDBUFFORCE, size) != nil {
		err = errors.Join(err, conn.SetWriteBuffer(size))
	}
	return err
}

// setOption sets an option of the socket layer.
func setOption(raw syscall.RawConn, option, value int) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, value))
	})
	return errors.Join(err, failed)
}
