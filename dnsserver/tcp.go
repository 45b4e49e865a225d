package dnsserver

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	lengthLen = 2    // RFC 1035 section 4.2.2
	readChunk = 4096 // octets that are read, or made room for, at once
	maxBatch  = 64 << 10
)

// serveTCP accepts connections until ctx ends, and returns when all of them have ended.
func (l *listener) serveTCP(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wait := minPause
	for {
		conn, err := l.tcp.AcceptTCP()
		switch {
		case err == nil:
			wait = minPause
			l.accept(&wg, conn)
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default:
			l.logger.Warn("accept tcp", "address", l.tcp.Addr(), "error", err)
			wait = pause(ctx, wait)
		}
	}
}

// accept serves a connection in a goroutine of its own if the limits allow it.
func (l *listener) accept(wg *sync.WaitGroup, conn *net.TCPConn) {
	addr := clientAddr(conn)
	c := &tcpConn{Server: l.Server, conn: conn, addr: addr, client: clientOf(addr), counts: l.stats.share(), in: bufio.NewReaderSize(conn, readChunk)}
	c.idleSince.Store(time.Now().UnixNano())
	evicted, ok := l.conns.admit(c)
	if evicted != nil {
		l.stats.tcpEvicted.Add(1)
		evicted.close()
	}
	if !ok {
		l.stats.tcpRefuse.Add(1)
		c.close()
		return
	}
	l.stats.tcpAccepted.Add(1)
	wg.Go(c.serve)
}

// clientAddr returns the client's address as Client has it: prefixes match none with a zone.
func clientAddr(conn *net.TCPConn) netip.Addr {
	addr, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return addr.AddrPort().Addr().Unmap().WithZone("")
}

// tcpConn is one TCP connection. Its queries are answered in the order in which they come: an answer takes microseconds
// and never waits, so nothing is gained by overtaking (RFC 7766 section 7). How many are in hand is bounded by the
// buffers; a client that does not read its replies is not read from either.
type tcpConn struct {
	*Server
	conn   net.Conn
	addr   netip.Addr
	client netip.Addr // what stands for it in the limits
	counts *counters
	in     *bufio.Reader
	out    []byte  // replies that were not sent yet, each behind its length
	room   *buffer // that out is in, nil while out is empty

	writeDeadline time.Time // that is set

	// In Unix nanoseconds, 0 if it does not wait so.
	idleSince    atomic.Int64 // when the wait for a message began
	stalledSince atomic.Int64 // when the wait began for the rest of a message, or for the client to take replies

	mu           sync.Mutex // guards the fields below, and with them the read deadline
	readDeadline time.Time  // that is set
	stopping     bool
}

// buffer is room for replies, which only connections that are being answered have.
type buffer struct{ octets []byte }

// serve answers queries until the client is done, a timeout passes or the server stops.
func (c *tcpConn) serve() {
	defer c.conns.remove(c)
	defer c.close()
	for c.serveBatch() {
	}
}

// serveBatch waits for a query, answers it and those that have come with it, and sends the replies together. It reports
// whether the connection goes on.
func (c *tcpConn) serveBatch() bool {
	msg, err := c.next()
	if err != nil {
		return false
	}
	start, n := time.Now(), 1
	ok := c.answer(msg)
	for ; ok && c.hasWhole() && len(c.out) < maxBatch; n++ {
		if msg, err = c.next(); err != nil {
			return false
		}
		ok = c.answer(msg)
	}
	ok = c.flush() && ok
	c.counts.times[TCP].add(n, time.Since(start))
	return ok
}

// next returns a message, which is good until the next call. The client may let the idle timeout pass before the message
// begins, but once it has begun the rest must come within the message timeout.
func (c *tcpConn) next() ([]byte, error) {
	if c.in.Buffered() == 0 {
		if err := c.idle(); err != nil {
			return nil, err
		}
	}
	whole := c.hasWhole()
	if !whole {
		now := time.Now()
		c.setReadDeadline(now.Add(c.messageTimeout))
		c.stalledSince.Store(now.UnixNano())
		defer c.stalledSince.Store(0)
	}
	length, err := c.in.Peek(lengthLen)
	if err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(length))
	if _, err := c.in.Discard(lengthLen); err != nil {
		return nil, err
	}
	if !whole {
		return c.readBody(n)
	}
	msg, err := c.in.Peek(n)
	if err != nil {
		return nil, err
	}
	_, err = c.in.Discard(n) // the octets stay until more is read
	return msg, err
}

// idle waits for a message to begin.
func (c *tcpConn) idle() error {
	now := time.Now()
	due := now.Add(c.conns.patience())
	c.idleSince.Store(now.UnixNano())
	for {
		c.extendReadDeadline(due)
		_, err := c.in.Peek(1)
		if err == nil {
			c.idleSince.Store(0)
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(due) || !c.expired() {
			return err
		}
	}
}

// readBody makes room as octets come, not as many as the length promises.
func (c *tcpConn) readBody(n int) ([]byte, error) {
	var body []byte
	for len(body) < n {
		have := len(body)
		chunk := min(n-have, readChunk)
		body = append(body, make([]byte, chunk)...)
		if _, err := io.ReadFull(c.in, body[have:]); err != nil {
			return nil, err
		}
	}
	return body, nil
}

// hasWhole reports whether a whole message has been read ahead.
func (c *tcpConn) hasWhole() bool {
	if c.in.Buffered() < lengthLen {
		return false
	}
	length, err := c.in.Peek(lengthLen)
	return err == nil && c.in.Buffered() >= lengthLen+int(binary.BigEndian.Uint16(length))
}

// answer appends the reply to a message to out. It reports false if there is none: what does not deserve one
// is not from a client.
func (c *tcpConn) answer(msg []byte) bool {
	c.reserve()
	start := len(c.out)
	from := Client{Addr: c.addr, Transport: TCP, Idle: c.conns.promise()}
	var t *transfer
	if c.out, t = c.answerOrStream(from, c.counts, msg, append(c.out, 0, 0)); t != nil {
		c.out = c.out[:start]
		return c.stream(t)
	}
	n := len(c.out) - start - lengthLen
	if n == 0 {
		c.out = c.out[:start]
		return false
	}
	binary.BigEndian.PutUint16(c.out[start:], uint16(n))
	return true
}

// reserve makes sure that out has room.
func (c *tcpConn) reserve() {
	if c.room == nil {
		c.room = c.buffers.Get().(*buffer)
		c.out = c.room.octets[:0]
	}
}

// release gives the room back. What a transfer or the largest answers took is not kept.
func (c *tcpConn) release() {
	if cap(c.out) <= 2*maxBatch {
		c.room.octets = c.out
		c.buffers.Put(c.room)
	}
	c.out, c.room = nil, nil
}

// stream sends a zone transfer behind the replies that are still in out, message by message, and reports whether the
// client took all of it.
func (c *tcpConn) stream(t *transfer) bool {
	err := t.run(func(msg []byte) error {
		c.reserve()
		c.out = append(binary.BigEndian.AppendUint16(c.out, uint16(len(msg))), msg...)
		if !c.flush() {
			return errNotTaken
		}
		return nil
	})
	if err != nil {
		c.logger.Warn("zone transfer", "client", c.addr, "error", err)
	}
	return err == nil
}

var errNotTaken = errors.New("the client does not take the messages")

// flush sends what is in out in one write (RFC 7766 section 8) and reports whether that went well.
func (c *tcpConn) flush() bool {
	if c.room == nil {
		return true
	}
	err := c.write(c.out)
	if err != nil {
		c.counts.sendErrors.Add(1)
		c.logger.Debug("write tcp", "client", c.addr, "error", err)
	}
	c.release()
	return err == nil
}
