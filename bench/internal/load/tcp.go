package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// prefixLen is the length of the field in front of a message over TCP (RFC 1035 section 4.2.2).
const prefixLen = 2

// connectTCP opens one more connection.
func (g *generator) connectTCP() error {
	fd, err := g.open(unix.SOCK_STREAM, prefixLen, &stream{buf: make([]byte, 4<<16)})
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("set no delay: %w", err)
	}
	return nil
}

// stream is the inbox of a connection.
type stream struct {
	buf     []byte   // what came: whole replies and, at the end, a part of one; longer than two of the greatest length
	full    int      // octets of buf that are read
	replies []extent // the whole ones, by the last call
	next    int      // where in buf the part begins
}

// extent is where a message lies.
type extent struct{ start, end int }

// errClosed says that the server ended a connection.
var errClosed = errors.New("the server closed a connection")

// receive reads once, without blocking, so that the scheduler need not be told of the call. Replies returned before are
// gone.
func (s *stream) receive(fd int) (int, error) {
	room := s.room()
	n, _, errno := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&room[0])), uintptr(len(room)))
	if errno != 0 {
		return 0, errno
	}
	if n == 0 {
		return 0, errClosed
	}
	s.add(int(n))
	return len(s.replies), nil
}

// room drops the whole messages and returns the buffer behind the part. It is longer than any message.
func (s *stream) room() []byte {
	s.full = copy(s.buf, s.buf[s.next:s.full])
	s.next, s.replies = 0, s.replies[:0]
	return s.buf[s.full:]
}

// add finds the whole messages once n more octets are in the buffer.
func (s *stream) add(n int) {
	s.full += n
	for s.full-s.next >= prefixLen {
		start := s.next + prefixLen
		end := start + int(binary.BigEndian.Uint16(s.buf[s.next:]))
		if end > s.full {
			return
		}
		s.replies = append(s.replies, extent{start, end})
		s.next = end
	}
}

func (s *stream) reply(i int) ([]byte, int) {
	r := s.replies[i]
	return s.buf[r.start:r.end], r.end - r.start
}
