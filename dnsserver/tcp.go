package dnsserver

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
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

func clientAddr(conn *net.TCPConn) netip.Addr {
	addr, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return addr.AddrPort().Addr().Unmap()
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
	body   []byte // the current message
	out    []byte // replies that were not sent yet, each behind its length

	// In Unix nanoseconds, 0 if it does not wait so.
	idleSince    atomic.Int64 // when the wait for a message began
	stalledSince atomic.Int64 // when the wait began for the rest of a message, or for the client to take replies

	mu       sync.Mutex // guards stopping, and with it the read deadline
	stopping bool
}

// serve answers queries until the client is done, a timeout passes or the server stops.
func (c *tcpConn) serve() {
	defer c.conns.remove(c)
	defer c.close()
	for {
		if err := c.next(); err != nil {
			return
		}
		if !c.answer() {
			c.flush()
			return
		}
		// Replies to queries that have come already leave together.
		if c.hasWhole() && len(c.out) < maxBatch {
			continue
		}
		if !c.flush() {
			return
		}
	}
}

// next reads a message into body. The client may let the idle timeout pass before the message begins, but once it has
// begun the rest must come within the message timeout.
func (c *tcpConn) next() error {
	if c.in.Buffered() == 0 {
		c.idleSince.Store(time.Now().UnixNano())
		c.setReadDeadline(c.conns.patience())
		if _, err := c.in.Peek(1); err != nil {
			return err
		}
		c.idleSince.Store(0)
	}
	if !c.hasWhole() {
		c.setReadDeadline(c.messageTimeout)
		c.stalledSince.Store(time.Now().UnixNano())
		defer c.stalledSince.Store(0)
	}
	length, err := c.in.Peek(lengthLen)
	if err != nil {
		return err
	}
	n := int(binary.BigEndian.Uint16(length))
	if _, err := c.in.Discard(lengthLen); err != nil {
		return err
	}
	return c.readBody(n)
}

// readBody makes room as octets come, not as many as the length promises.
func (c *tcpConn) readBody(n int) error {
	if cap(c.body) > readChunk {
		c.body = nil
	}
	c.body = c.body[:0]
	for len(c.body) < n {
		have := len(c.body)
		chunk := min(n-have, readChunk)
		c.body = append(c.body, make([]byte, chunk)...)
		if _, err := io.ReadFull(c.in, c.body[have:]); err != nil {
			return err
		}
	}
	return nil
}

// hasWhole reports whether a whole message has been read ahead.
func (c *tcpConn) hasWhole() bool {
	if c.in.Buffered() < lengthLen {
		return false
	}
	length, err := c.in.Peek(lengthLen)
	return err == nil && c.in.Buffered() >= lengthLen+int(binary.BigEndian.Uint16(length))
}

// answer appends the reply to the current message to out. It reports false if there is none: what does not deserve one
// is not from a client.
func (c *tcpConn) answer() bool {
	start := len(c.out)
	from := Client{Addr: c.addr, Transport: TCP, Idle: c.conns.promise()}
	var t *transfer
	if c.out, t = c.answerOrStream(from, c.counts, c.body, append(c.out, 0, 0)); t != nil {
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

// stream sends a zone transfer behind the replies that are still in out, message by message, and reports whether the
// client took all of it.
func (c *tcpConn) stream(t *transfer) bool {
	err := t.run(func(msg []byte) error {
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
	if len(c.out) == 0 {
		return true
	}
	now := time.Now()
	err := c.conn.SetWriteDeadline(now.Add(c.messageTimeout))
	if err == nil {
		c.stalledSince.Store(now.UnixNano())
		defer c.stalledSince.Store(0)
		_, err = c.conn.Write(c.out)
	}
	c.out = c.out[:0]
	if cap(c.out) > readChunk {
		c.out = nil
	}
	if err != nil {
		c.counts.sendErrors.Add(1)
		c.logger.Debug("write tcp", "client", c.addr, "error", err)
	}
	return err == nil
}

// setReadDeadline gives the client d from now, or no time at all if the server is stopping.
func (c *tcpConn) setReadDeadline(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	deadline := time.Now().Add(d)
	if c.stopping {
		deadline = time.Unix(1, 0)
	}
	c.logError("set deadline", c.conn.SetReadDeadline(deadline))
}

// stop makes the connection end once it has answered what it has read.
func (c *tcpConn) stop() {
	c.mu.Lock()
	c.stopping = true
	c.mu.Unlock()
	c.setReadDeadline(0)
}

func (c *tcpConn) close() { c.logError("close", c.conn.Close()) }

// logError notes an error that changes nothing: the connection is ending anyway.
func (c *tcpConn) logError(what string, err error) {
	if err != nil && !errors.Is(err, net.ErrClosed) {
		c.logger.Debug(what+" tcp", "client", c.addr, "error", err)
	}
}
