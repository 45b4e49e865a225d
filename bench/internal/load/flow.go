package load

import (
	"encoding/binary"
	"errors"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// batch is how many queries are sent at a time at most.
	batch = 32
	// headerLen is the length of a message's header (RFC 1035 section 4.1.1), which is all that is looked at of a reply.
	headerLen = 12
)

// flow is one socket and the queries that wait for a reply to it, by their id.
type flow struct {
	*generator
	fd      int
	prefix  int    // octets in front of each query: its length, over TCP
	out     []byte // queries, one behind the other
	rest    []byte // of out, that the kernel had no room for
	in      inbox
	id      uint16
	waiting int
	oldest  uint16                 // ids before it wait no more
	due     [1 << 16]time.Duration // when the query of an id was due, since the start, 1 ns later; 0: none waits
}

// inbox takes replies from a socket.
type inbox interface {
	// receive takes what has come, without waiting; its error is unix.EAGAIN if that is nothing.
	receive(fd int) (int, error)
	// reply returns the header of the i-th reply received last, or less if there was less, and the reply's length.
	reply(i int) (head []byte, length int)
}

func newFlow(g *generator, fd, prefix int, in inbox) *flow {
	f := &flow{generator: g, fd: fd, prefix: prefix, in: in}
	f.out = make([]byte, batch*f.stride())
	return f
}

// stride is how long a query is in out.
func (f *flow) stride() int { return f.prefix + len(f.Mix.Queries[0]) }

// send sends n queries, the i-th of which is due at due(i), and returns how many it could: all or none.
func (f *flow) send(n int, due func(i int) time.Duration) (int, error) {
	if len(f.rest) > 0 {
		return 0, nil
	}
	for i := range n {
		f.write(i)
	}
	f.rest = f.out[:n*f.stride()]
	if err := f.push(); err != nil {
		return 0, err
	}
	if len(f.rest) == n*f.stride() {
		f.rest = nil
		return 0, nil
	}
	for i := range n {
		f.id++
		f.forget(f.id)
		f.due[f.id] = due(i) + 1
	}
	f.waiting += n
	f.asked = (f.asked + n) % len(f.Mix.Queries)
	f.result.Sent += uint64(n)
	return n, nil
}

// push writes the rest to the socket, which does not block, so that the scheduler need not be told of the call.
func (f *flow) push() error {
	n, _, errno := syscall.RawSyscall(unix.SYS_WRITE, uintptr(f.fd), uintptr(unsafe.Pointer(&f.rest[0])), uintptr(len(f.rest)))
	switch errno {
	case 0:
		f.rest = f.rest[n:]
		return nil
	case unix.EAGAIN, unix.ENOBUFS:
		return nil
	default:
		return errno
	}
}

// write puts the query that is to be the i-th of the batch into its place.
func (f *flow) write(i int) {
	query := f.Mix.Queries[(f.asked+i)%len(f.Mix.Queries)]
	buf := f.out[i*f.stride():]
	if f.prefix > 0 {
		binary.BigEndian.PutUint16(buf, uint16(len(query)))
	}
	buf = buf[f.prefix:]
	copy(buf, query)
	binary.BigEndian.PutUint16(buf, f.id+uint16(i)+1)
	if at := f.Mix.Random; at > 0 {
		f.randomize(buf[at : at+f.Mix.RandomLen()])
	}
}

// randomize sets label to letters, by a multiplicative generator: it need not be good, but never repeat soon.
func (f *flow) randomize(label []byte) {
	f.random = f.random*6364136223846793005 + 1442695040888963407
	x := f.random
	x ^= x >> 32
	for i := range label {
		label[i] = 'a' + byte(x&0xf)
		x >>= 4
	}
}

// receive takes in what has come, and returns how many replies that is. What is left of the queries goes out first.
func (f *flow) receive() (int, error) {
	if len(f.rest) > 0 {
		if err := f.push(); err != nil {
			return 0, err
		}
	}
	n, err := f.in.receive(f.fd)
	if errors.Is(err, unix.EAGAIN) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var now time.Duration
	if f.result.Latency != nil {
		now = time.Since(f.start)
	}
	for i := range n {
		head, length := f.in.reply(i)
		f.take(head, length, now)
	}
	return n, nil
}

// take counts a reply.
func (f *flow) take(head []byte, length int, now time.Duration) {
	if length < headerLen || !f.expected(head) {
		f.result.Bad++
		return
	}
	id := binary.BigEndian.Uint16(head)
	f.result.Octets += uint64(length)
	if f.due[id] == 0 {
		f.result.Late++
		return
	}
	if f.result.Latency != nil {
		_ = f.result.Latency.RecordValue(min(max(int64(now-f.due[id]), 1), maxLatency))
	}
	f.due[id] = 0
	f.waiting--
	f.result.Answered++
	if !f.Mix.Echo && head[2]&0x02 != 0 {
		f.result.Truncated++
	}
}

// expected reports whether the header is that of the reply that the mix expects. Whether it is truncated is the
// server's affair.
func (f *flow) expected(head []byte) bool {
	if f.Mix.Echo {
		return true
	}
	if head[2]&0x80 == 0 || int(head[3]&0xf) != f.Mix.Rcode {
		return false
	}
	return head[2]&0x02 != 0 || int(binary.BigEndian.Uint16(head[6:])) == f.Mix.Answers
}

// forget counts the query of an id as lost if it still waits.
func (f *flow) forget(id uint16) {
	if f.due[id] != 0 {
		f.due[id] = 0
		f.waiting--
		f.result.Lost++
	}
}

// expire counts as lost what was due before a moment.
func (f *flow) expire(before time.Duration) {
	for f.waiting > 0 && f.due[f.oldest] <= before {
		f.forget(f.oldest)
		f.oldest++
	}
}
