//go:build linux && (amd64 || arm64)

package dnsserver

import (
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BatchConn is batchConn.
type BatchConn = batchConn

// ServeBatches answers what comes over conn, which may be of any kind of datagrams, until its read deadline.
func (s *Server) ServeBatches(conn BatchConn) {
	l := &listener{Server: s}
	loop := l.newBatchLoop(conn, worker{Server: s, counts: s.stats.worker()})
	for loop.serve() == nil {
	}
}

// SendBatch sends the same reply to IPv4 addresses as one batch.
func (s *Server) SendBatch(conn BatchConn, reply []byte, to ...netip.AddrPort) error {
	l := &listener{Server: s}
	b := l.newBatchLoop(conn, worker{Server: s, counts: s.stats.worker()}).(*batchLoop)
	for i, addr := range to {
		name := unix.RawSockaddrInet4{Family: unix.AF_INET, Port: addr.Port()<<8 | addr.Port()>>8, Addr: addr.Addr().As4()}
		h := &b.out[i]
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&name)), unix.SizeofSockaddrInet4
		b.vectors[i].Base = &reply[0]
		b.vectors[i].SetLen(len(reply))
	}
	b.end = len(to)
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	b.raw = raw
	return raw.Control(b.send)
}

// ReplyControl is replyControl.
func ReplyControl(control []byte) { replyControl(control) }

// AddrOf is addrOf.
func AddrOf(name []byte) netip.Addr { return addrOf(name) }

// SendPatience is sendPatience.
const SendPatience time.Duration = sendPatience

// BatchSize is batchSize.
const BatchSize = batchSize

// Batch is a batchLoop without a socket.
type Batch struct{ loop *batchLoop }

// NewBatch returns a loop that answers what it is handed.
func (s *Server) NewBatch() Batch {
	l := &listener{Server: s}
	return Batch{l.newBatchLoop(nil, worker{Server: s, counts: s.stats.worker()}).(*batchLoop)}
}

// AnswerSome answers what waits at a socket and reports whether more may wait.
func (b Batch) AnswerSome(conn syscall.Conn) (more bool, err error) {
	if b.loop.raw, err = conn.SyscallConn(); err != nil {
		return false, err
	}
	return more, b.loop.raw.Control(func(fd uintptr) { more = b.loop.answerSome(fd) })
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
