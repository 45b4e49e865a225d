package dnsserver

import (
	"errors"
	"net"
	"os"
	"time"
)

// write gives the client the message timeout to take all of b. Setting a deadline costs as much as an answer, so an
// earlier one is left as long as it does not pass.
func (c *tcpConn) write(b []byte) error {
	now := time.Now()
	due := now.Add(c.messageTimeout)
	c.stalledSince.Store(now.UnixNano())
	defer c.stalledSince.Store(0)
	for len(b) > 0 {
		if c.writeDeadline.IsZero() {
			if err := c.conn.SetWriteDeadline(due); err != nil {
				return err
			}
			c.writeDeadline = due
		}
		n, err := c.conn.Write(b)
		b = b[n:]
		if err != nil && (!errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(due)) {
			return err
		}
		if err != nil {
			c.writeDeadline = time.Time{}
		}
	}
	return nil
}

// longAgo is a deadline that has passed.
func longAgo() time.Time { return time.Unix(1, 0) }

// setReadDeadline gives the client until due, or no time at all if the server is stopping.
func (c *tcpConn) setReadDeadline(due time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		due = longAgo()
	}
	c.readDeadline = due
	c.logError("set deadline", c.conn.SetReadDeadline(due))
}

// extendReadDeadline is setReadDeadline but leaves an earlier deadline: when that passes, the client may have more time.
func (c *tcpConn) extendReadDeadline(due time.Time) {
	c.mu.Lock()
	leave := !c.stopping && !c.readDeadline.IsZero() && !c.readDeadline.After(due)
	c.mu.Unlock()
	if !leave {
		c.setReadDeadline(due)
	}
}

// expired notes that the read deadline has passed, and reports whether the client may have more time.
func (c *tcpConn) expired() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readDeadline = time.Time{}
	return !c.stopping
}

// stop makes the connection end once it has answered what it has read.
func (c *tcpConn) stop() {
	c.mu.Lock()
	c.stopping = true
	c.mu.Unlock()
	c.setReadDeadline(longAgo())
}

func (c *tcpConn) close() { c.logError("close", c.conn.Close()) }

// logError notes an error that changes nothing: the connection is ending anyway.
func (c *tcpConn) logError(what string, err error) {
	if err != nil && !errors.Is(err, net.ErrClosed) {
		c.logger.Debug(what+" tcp", "client", c.addr, "error", err)
	}
}
