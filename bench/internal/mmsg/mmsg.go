// Package mmsg sends and receives datagrams in batches, with sendmmsg and recvmmsg of Linux.
package mmsg

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Size is how many datagrams a Batch holds.
const Size = 32

// header is struct mmsghdr.
type header struct {
	unix.Msghdr
	length uint32
	_      [4]byte
}

// Batch is buffers for Size datagrams. It is for one goroutine at a time and must not be copied.
type Batch struct {
	headers [Size]header
	vectors [Size]unix.Iovec
	names   [Size]unix.RawSockaddrInet4
	room    int
	data    []byte
}

// New returns a batch for datagrams of up to room octets. With addresses, it keeps where each datagram came from, and
// sends it back there; without, it is for connected sockets.
func New(room int, addresses bool) *Batch {
	b := &Batch{room: room, data: make([]byte, Size*room)}
	for i := range b.headers {
		h := &b.headers[i]
		b.vectors[i].Base = &b.data[i*room]
		h.Iov = &b.vectors[i]
		h.Iovlen = 1
		if addresses {
			h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
			h.Namelen = unix.SizeofSockaddrInet4
		}
	}
	return b
}

// Data returns the i-th buffer, whole.
func (b *Batch) Data(i int) []byte { return b.data[i*b.room : (i+1)*b.room] }

// Len returns the length of the i-th datagram received, which exceeds the buffer where it was cut.
func (b *Batch) Len(i int) int { return int(b.headers[i].length) }

// SetLen says how many octets of the i-th buffer to send.
func (b *Batch) SetLen(i, n int) { b.vectors[i].SetLen(n) }

// Receive fills the batch with what waits at the socket, without waiting itself: with nothing there its error is
// unix.EAGAIN.
//
// The call never blocks, so that the scheduler need not be told of it.
func (b *Batch) Receive(fd int) (int, error) {
	for i := range b.vectors {
		b.vectors[i].SetLen(b.room)
	}
	return b.call(unix.SYS_RECVMMSG, fd, Size, unix.MSG_DONTWAIT|unix.MSG_TRUNC)
}

// Send sends the first n datagrams and returns how many it could.
func (b *Batch) Send(fd, n int) (int, error) {
	return b.call(unix.SYS_SENDMMSG, fd, n, unix.MSG_DONTWAIT)
}

func (b *Batch) call(trap uintptr, fd, n, flags int) (int, error) {
	done, _, errno := syscall.RawSyscall6(trap, uintptr(fd), uintptr(unsafe.Pointer(&b.headers[0])), uintptr(n), uintptr(flags), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(done), nil
}
