//go:build linux && (amd64 || arm64)

package dnsserver

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batched says that this system has a batchLoop, with a socket for each.
const batched = true

const (
	// batchSize is how many datagrams one system call takes. A batch of queries holds its processor for about 50 µs,
	// in which the scheduler has no say; larger ones would gain less than 5 %.
	batchSize = 32
	// batchTurn is how many batches are answered before other goroutines have a turn.
	batchTurn = 32
	// sendPatience is how long a batch of replies waits for room in a full send buffer. Queries wait in the receive
	// buffer meanwhile.
	sendPatience = 100 * time.Millisecond

	// Strides of the buffers. That of queries is no multiple of a page: else the headers of all would compete for the
	// same few lines of the cache.
	querySlot = maxQuery + cacheLine
	replySlot = (maxMaxUDPSize + cacheLine - 1) / cacheLine * cacheLine

	nameRoom    = unix.SizeofSockaddrInet6
	controlRoom = 128 // for the packet information of both families
)

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	unix.Msghdr
	length uint32
	_      [4]byte
}

// origin is where one query came from, and where its octets are.
type origin struct {
	vector  unix.Iovec
	name    [nameRoom]byte
	control [controlRoom]byte
}

// batchLoop is the loop for Linux: batches of queries in, batches of replies out, with system calls that never wait. They
// bypass the scheduler, whose handing over of the processor would be a quarter of all cost. Where nothing is to be read it
// waits in the runtime's poller, and for a while, with its thread, where nothing can be sent. It has its socket to itself
// and must not be copied, since the kernel is given pointers into it.
type batchLoop struct {
	worker
	ahead
	conn     *batchConn
	turnFunc func(bell uintptr) bool // the method, as a value that is made once

	in, out  [batchSize]mmsghdr
	origins  [batchSize]origin
	vectors  [batchSize]unix.Iovec // of replies
	asked    [batchSize]query
	asks     [batchSize]bool // whether they deserve a reply
	queries  []byte
	replies  []byte
	received int  // origins that the kernel has written to since they were made ready
	sparse   bool // the last read was in vain, and queries have come one by one since

	unsent, end int  // the replies in out that are still to be sent
	jammed      bool // the last wait for room was in vain, and nothing was sent since
	failed      error
}

func (l *listener) newBatchLoop(conn *batchConn, w worker) *batchLoop {
	b := &batchLoop{worker: w, conn: conn, received: batchSize}
	b.turnFunc = b.turn
	b.queries = make([]byte, batchSize*querySlot)
	b.replies = make([]byte, batchSize*replySlot)
	for i := range b.in {
		p := &b.origins[i]
		p.vector.Base = &b.queries[i*querySlot]
		p.vector.SetLen(maxQuery)
		b.in[i].Iov, b.in[i].Iovlen = &p.vector, 1
		b.in[i].Name = &p.name[0]
		if l.any {
			b.in[i].Control = &p.control[0]
		}
		b.out[i].Iov, b.out[i].Iovlen = &b.vectors[i], 1
	}
	return b
}

// serve answers batchTurn batches, if the queries do not end before, and then lets others run.
func (b *batchLoop) serve() error {
	b.failed = nil
	err := b.conn.raw.Read(b.turnFunc)
	runtime.Gosched()
	return errors.Join(b.failed, err)
}

// turn reports false where the bell tells when there is something to read again.
func (b *batchLoop) turn(bell uintptr) bool {
	more := b.answerSome()
	b.failed = errors.Join(b.failed, b.conn.watch(int(bell), !more))
	return more || b.failed != nil
}

// answerSome reports false where there is nothing to read. At low rates it does so after a single query without having
// looked: recvmmsg returns a single one only after it found no second, and the bell rings for what comes after that.
func (b *batchLoop) answerSome() bool {
	for range batchTurn {
		n, errno := b.receive()
		switch errno {
		case 0:
			start := time.Now()
			b.answer(n)
			b.send()
			b.counts.times[UDP].add(n, time.Since(start))
			b.sparse = b.sparse && n == 1
			if b.sparse {
				return false
			}
		case unix.EINTR:
		case unix.EAGAIN:
			b.sparse = true
			return false
		default:
			b.failed = os.NewSyscallError("recvmmsg", errno)
			return true
		}
	}
	return true
}

// receive fills the origins with what waits at the socket.
func (b *batchLoop) receive() (int, syscall.Errno) {
	for i := range b.in[:b.received] {
		h := &b.in[i]
		h.Namelen = nameRoom
		h.Flags = 0
		if h.Control != nil {
			h.SetControllen(controlRoom)
		}
	}
	n, errno := mmsg(unix.SYS_RECVMMSG, b.conn.fd, b.in[:])
	b.received = n
	return n, errno
}

// answer leaves the replies to the first n origins in out.
func (b *batchLoop) answer(n int) {
	for i := range b.in[:n] {
		h, p := &b.in[i], &b.origins[i]
		b.asks[i] = b.take(&b.asked[i], datagram{
			msg:    b.queries[i*querySlot:][:h.length],
			cut:    h.Flags&unix.MSG_TRUNC != 0,
			client: addrOf(p.name[:h.Namelen]),
		})
	}
	if n > 1 {
		b.fetch(b.asked[:n])
	}
	b.unsent, b.end = 0, 0
	for i := range b.in[:n] {
		if !b.asks[i] {
			continue
		}
		at := b.end * replySlot
		reply := b.give(&b.asked[i], b.replies[at:at:at+replySlot])
		if len(reply) == 0 {
			continue
		}
		h, p, o := &b.in[i], &b.origins[i], &b.out[b.end]
		o.Name, o.Namelen = h.Name, h.Namelen
		if h.Control != nil {
			o.Control, o.Controllen = h.Control, h.Controllen
			replyControl(p.control[:h.Controllen])
		}
		b.vectors[b.end].Base = unsafe.SliceData(reply)
		b.vectors[b.end].SetLen(len(reply))
		b.end++
	}
}

// send sends the replies that are in out. What the kernel does not take, or has no room for in time, is lost. After a
// wait in vain it does not wait again until there was room: clients that cannot be reached would hold up all others.
func (b *batchLoop) send() {
	from := b.unsent
	if b.push() {
		b.jammed = false
		return
	}
	if b.jammed = b.jammed && b.unsent == from; b.jammed {
		b.counts.sendErrors.Add(uint64(b.end - b.unsent))
		return
	}
	for deadline := time.Now().Add(sendPatience); b.conn.waitForRoom(deadline); {
		before := b.unsent
		if b.push() {
			return
		}
		if b.unsent == before { // the kernel says that there is room and takes nothing: a socket with an error to tell
			time.Sleep(time.Millisecond)
		}
	}
	b.jammed = true
	b.counts.sendErrors.Add(uint64(b.end - b.unsent))
	b.logger.Debug("write udp: no room", "replies", b.end-b.unsent)
}

// push sends what is unsent and reports false where the send buffer is full. The kernel stops at a reply that it does not
// take: those behind it are sent all the same.
func (b *batchLoop) push() bool {
	for b.unsent < b.end {
		n, errno := mmsg(unix.SYS_SENDMMSG, b.conn.fd, b.out[b.unsent:b.end])
		switch errno {
		case 0:
			b.unsent += n
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			b.counts.sendErrors.Add(1)
			b.unsent++
		}
	}
	return true
}

// mmsg is recvmmsg or sendmmsg. With MSG_DONTWAIT neither waits, so the scheduler need not know of the call.
func mmsg(trap uintptr, fd int, headers []mmsghdr) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(trap, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(headers))), uintptr(len(headers)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// addrOf returns the address in a struct sockaddr, the zero Addr for another family than IP.
func addrOf(name []byte) netip.Addr {
	switch {
	case len(name) >= 8 && binary.NativeEndian.Uint16(name) == unix.AF_INET:
		return netip.AddrFrom4([4]byte(name[4:]))
	case len(name) >= 24 && binary.NativeEndian.Uint16(name) == unix.AF_INET6:
		return netip.AddrFrom16([16]byte(name[8:])).Unmap()
	default:
		return netip.Addr{}
	}
}

// Layout of a control message with packet information (cmsg(3), ip(7), ipv6(7)).
const (
	cmsgLevel     = 8
	cmsgData      = unix.SizeofCmsghdr
	pktinfo4Index = cmsgData
	pktinfo6Addr  = cmsgData
	pktinfo6Index = cmsgData + 16
)

// replyControl turns the packet information of a query into that of its reply, in place: from the address that was asked
// (RFC 2181 section 4), through the interface that routing chooses but for link-local addresses, which mean nothing
// without theirs.
func replyControl(control []byte) {
	for len(control) >= cmsgData {
		n := int(binary.NativeEndian.Uint64(control))
		if n < cmsgData || n > len(control) {
			return
		}
		message := control[:n]
		switch level := binary.NativeEndian.Uint32(message[cmsgLevel:]); {
		case level == unix.IPPROTO_IP && n >= cmsgData+unix.SizeofInet4Pktinfo:
			clear(message[pktinfo4Index:][:4])
		case level == unix.IPPROTO_IPV6 && n >= cmsgData+unix.SizeofInet6Pktinfo:
			if !netip.AddrFrom16([16]byte(message[pktinfo6Addr:])).IsLinkLocalUnicast() {
				clear(message[pktinfo6Index:][:4])
			}
		}
		control = control[min(len(control), unix.CmsgSpace(n-cmsgData)):]
	}
}
