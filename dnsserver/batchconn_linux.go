//go:build linux && (amd64 || arm64)

package dnsserver

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// batchConn is the socket of a batchLoop: one that never blocks, and that the runtime's poller does not watch itself.
//
// The poller would watch it for as long as it is open, for room to write too: the kernel would call it back for each
// query that comes and each reply that has left, a twentieth of what a query costs. So the poller watches an epoll instance
// (epoll(7): one can be watched by another), which watches the socket for reading only, and not at all while queries come
// faster than they are answered, when there is no need to be told.
//
// It is for one goroutine at a time, but for SetReadDeadline.
type batchConn struct {
	fd      int
	local   net.Addr
	bell    *os.File        // the epoll instance
	raw     syscall.RawConn // of bell
	watched bool            // the bell rings for the socket
}

// socketConn is what becomes a batchConn, such as a *net.UDPConn.
type socketConn interface {
	syscall.Conn
	io.Closer
	LocalAddr() net.Addr
}

// newBatchConn takes the socket of conn over, which it closes.
func newBatchConn(conn socketConn) (*batchConn, error) {
	fd, err := duplicate(conn)
	if err != nil {
		return nil, err
	}
	b := &batchConn{fd: fd, local: conn.LocalAddr()}
	if err := b.hang(); err != nil {
		return nil, errors.Join(err, os.NewSyscallError("close", unix.Close(fd)))
	}
	if err := conn.Close(); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// duplicate returns another descriptor of a socket.
func duplicate(conn syscall.Conn) (fd int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = raw.Control(func(old uintptr) {
		fd, failed = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	return fd, errors.Join(err, os.NewSyscallError("fcntl", failed))
}

// hang makes the bell, which does not ring yet.
func (b *batchConn) hang() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // what os.NewFile asks of a file that the poller is to watch
		return errors.Join(os.NewSyscallError("fcntl", err), unix.Close(fd))
	}
	b.bell = os.NewFile(uintptr(fd), "epoll")
	b.raw, err = b.bell.SyscallConn()
	if err := errors.Join(err, b.tryBell(fd)); err != nil {
		return errors.Join(err, b.bell.Close())
	}
	return nil
}

// tryBell tells now what would keep the loop from waiting later: os.NewFile hides that the poller refuses to watch a file,
// and the system limits how much can be watched.
func (b *batchConn) tryBell(fd int) error {
	return errors.Join(b.bell.SetReadDeadline(time.Time{}), b.watch(fd, true), b.watch(fd, false))
}

// watch has the bell ring when something can be read, at once if it can already, or has it silent.
func (b *batchConn) watch(bell int, on bool) error {
	if on == b.watched {
		return nil
	}
	op := unix.EPOLL_CTL_DEL
	if on {
		op = unix.EPOLL_CTL_ADD
	}
	if err := unix.EpollCtl(bell, op, b.fd, &unix.EpollEvent{Events: unix.EPOLLIN}); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	b.watched = on
	return nil
}

// waitForRoom waits until something can be sent and reports false where that takes until the deadline. It holds a thread
// meanwhile, but hardly ever.
func (b *batchConn) waitForRoom(deadline time.Time) bool {
	d := time.Until(deadline)
	if d < time.Millisecond {
		return false
	}
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(b.fd), Events: unix.POLLOUT}}, int(d.Milliseconds()))
	return n > 0 || errors.Is(err, unix.EINTR)
}

func (b *batchConn) LocalAddr() net.Addr { return b.local }

// SetReadDeadline ends waiting at t. It may be called while another goroutine reads.
func (b *batchConn) SetReadDeadline(t time.Time) error { return b.bell.SetReadDeadline(t) }

// SetWriteDeadline does nothing: nobody waits for longer than sendPatience.
func (b *batchConn) SetWriteDeadline(time.Time) error { return nil }

// Close closes the socket, once nobody reads any more. Further calls return an error.
func (b *batchConn) Close() error {
	if err := b.bell.Close(); err != nil {
		return err
	}
	return os.NewSyscallError("close", unix.Close(b.fd))
}
