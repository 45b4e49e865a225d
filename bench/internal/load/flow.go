package load

import (
	"encoding/binary"
	"errors"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/dnsreg/dnsreg/bench/internal/mmsg"
)

const (
	// batch is how many queries are sent at a time at most.
	batch = 32
	// replyRoom is all that is looked at of a reply. The kernel need not copy the rest, which leaves this side the time
	// to ask faster than any server answers.
	replyRoom = 12
)

// flow is one socket and the queries that wait for a reply to it, by their id.
type flow struct {
	*generator
	fd      int
	out     []byte // queries, one behind the other
	in      *mmsg.Batch
	id      uint16
	waiting int
	oldest  uint16                 // ids before it wait no more
	due     [1 << 16]time.Duration // when the query of an id was due, since the start, 1 ns later; 0: none waits
}

func newFlow(g *generator, fd int) *flow {
	return &flow{generator: g, fd: fd, out: make([]byte, batch*len(g.Mix.Queries[0])), in: mmsg.New(replyRoom, false)}
}

// send sends n queries, the i-th of which is due at due(i), and returns how many the kernel took. It takes all or none:
// they travel as one until they are datagrams of their own in the server's receive buffer (UDP_SEGMENT in udp(7)).
func (f *flow) send(n int, due func(i int) time.Duration) (int, error) {
	for i := range n {
		f.write(i)
	}
	err := f.push(f.out[:n*len(f.Mix.Queries[0])])
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOBUFS) {
		return 0, nil
	}
	if err != nil {
		return 0, err
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

// push writes to the socket, which does not block, so that the scheduler need not be told of the call.
func (f *flow) push(data []byte) error {
	_, _, errno := syscall.RawSyscall(unix.SYS_WRITE, uintptr(f.fd), uintptr(unsafe.Pointer(&data[0])), uintptr(len(data)))
	if errno != 0 {
		return errno
	}
	return nil
}

// write puts the query that is to be the i-th of the batch into its place.
func (f *flow) write(i int) {
	query := f.Mix.Queries[(f.asked+i)%len(f.Mix.Queries)]
	buf := f.out[i*len(query):]
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

// receive takes in what has come, and returns how many replies that is.
func (f *flow) receive(now time.Duration) (int, error) {
	n, err := f.in.Receive(f.fd)
	if errors.Is(err, unix.EAGAIN) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for i := range n {
		f.take(f.in.Data(i), f.in.Len(i), now)
	}
	return n, nil
}

// take counts a reply.
func (f *flow) take(head []byte, length int, now time.Duration) {
	id := binary.BigEndian.Uint16(head)
	if length < replyRoom || !f.expected(head) {
		f.result.Bad++
		return
	}
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
