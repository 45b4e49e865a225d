//go:build linux && (amd64 || arm64)

package dnsserver

import (
	"net/netip"
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
