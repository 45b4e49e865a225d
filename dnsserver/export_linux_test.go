//go:build linux && (amd64 || arm64)

package dnsserver

import (
	"errors"
	"net"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SocketConn is socketConn.
type SocketConn = socketConn

// SetBuffers asks for the buffers that a server's socket has.
func SetBuffers(conn *net.UDPConn) error { return setBuffers(conn, socketBuffer) }

// ReplyControl is replyControl.
func ReplyControl(control []byte) { replyControl(control) }

// AddrOf is addrOf.
func AddrOf(name []byte) netip.Addr { return addrOf(name) }

// SendPatience is sendPatience.
const SendPatience time.Duration = sendPatience

// BatchSize is batchSize.
const BatchSize = batchSize

// Batch is a batchLoop.
type Batch struct{ loop *batchLoop }

// NewBatch returns a loop without a socket.
func (s *Server) NewBatch() Batch {
	return Batch{(&listener{Server: s}).newBatchLoop(nil, worker{Server: s, counts: s.stats.worker()})}
}

// OpenBatch returns a loop that takes over conn, which may be of any kind of datagrams.
func (s *Server) OpenBatch(conn SocketConn) (Batch, error) {
	b := s.NewBatch()
	var err error
	b.loop.conn, err = newBatchConn(conn)
	return b, err
}

// Close closes the socket.
func (b Batch) Close() error { return b.loop.conn.Close() }

// Serve answers what comes over the socket until Stop.
func (b Batch) Serve() {
	for b.loop.serve() == nil {
	}
}

// Stop ends Serve.
func (b Batch) Stop() error { return b.loop.conn.SetReadDeadline(longAgo()) }

// AnswerSome answers what waits at the socket and reports whether more may wait.
func (b Batch) AnswerSome() (more bool, err error) {
	more = b.loop.answerSome()
	return more, b.loop.failed
}

// Turn does the same as often as Serve does at a time, and reports whether the poller is told of what comes.
func (b Batch) Turn() (watched bool, err error) {
	failed := b.loop.conn.raw.Control(func(bell uintptr) { b.loop.turn(bell) })
	return b.loop.conn.watched, errors.Join(b.loop.failed, failed)
}

// Await waits until the poller is told of what cause does, at most until the deadline.
func (b Batch) Await(deadline time.Time, cause func() error) error {
	if err := b.loop.conn.SetReadDeadline(deadline); err != nil {
		return err
	}
	var failed error
	caused := false
	err := b.loop.conn.raw.Read(func(bell uintptr) bool {
		if caused {
			return true
		}
		caused = true
		failed = errors.Join(cause(), b.loop.conn.watch(int(bell), true))
		return failed != nil
	})
	return errors.Join(failed, err)
}

// Send sends the same reply to IPv4 addresses as one batch.
func (b Batch) Send(reply []byte, to ...netip.AddrPort) {
	for i, addr := range to {
		name := unix.RawSockaddrInet4{Family: unix.AF_INET, Port: addr.Port()<<8 | addr.Port()>>8, Addr: addr.Addr().As4()}
		h := &b.loop.out[i]
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&name)), unix.SizeofSockaddrInet4
		b.loop.vectors[i].Base = &reply[0]
		b.loop.vectors[i].SetLen(len(reply))
	}
	b.loop.unsent, b.loop.end = 0, len(to)
	b.loop.send()
}

// Answer answers BatchSize queries at most, as those of one system call from 127.0.0.1 are, and returns the octets of the
// replies.
func (b Batch) Answer(queries [][]byte) (octets int) {
	for i, q := range queries {
		b.loop.in[i].length = uint32(copy(b.loop.queries[i*querySlot:], q))
		b.loop.in[i].Namelen = uint32(copy(b.loop.origins[i].name[:], "\x02\x00\x00\x35\x7f\x00\x00\x01"))
	}
	b.loop.answer(len(queries))
	for _, v := range b.loop.vectors[:b.loop.end] {
		octets += int(v.Len)
	}
	return octets
}
