package dnsserver

import (
	"context"
	"net"
	"net/netip"

	"github.com/miekg/dns"
)

// maxQuery is how long a query over UDP may be, in octets: more than three times what clients are told (RFC 6891 section
// 6.2.5). Longer ones are cut by the kernel, and their form is in error then.
const maxQuery = 4096

// worker is what one goroutine that answers over UDP has for itself.
type worker struct {
	*Server
	counts *counters
}

// datagram is one message that came over UDP.
type datagram struct {
	msg    []byte
	cut    bool       // it was longer than maxQuery
	client netip.Addr // in its own form and without a zone; the zero Addr is not known
}

// accept appends the reply to a datagram to buf, nothing where there is to be none.
func (w *worker) accept(d datagram, buf []byte) []byte {
	var q query
	if !w.take(&q, d) {
		return buf
	}
	return w.give(&q, buf)
}

// take reads a datagram into q and reports whether it deserves a reply.
func (w *worker) take(q *query, d datagram) bool {
	*q = query{}
	q.from = Client{Addr: d.client, Transport: UDP}
	q.counts, q.cut = w.counts, d.cut
	return w.read(q, d.msg)
}

// give appends the reply to a query that was taken to buf, nothing beyond the rate of its client's prefix, unless the query
// proves with a cookie where it comes from (RFC 7873 section 5.2.3).
func (w *worker) give(q *query, buf []byte) []byte {
	v := pass
	if !q.proven {
		v = w.limiter.admit(q.from.Addr)
	}
	switch {
	case v == pass:
		return w.reply(q, buf)
	case v == slip && q.slips():
		w.counts.slipped.Add(1)
		return w.slipped(q, buf)
	default:
		w.counts.limited.Add(1)
		return buf
	}
}

// slips reports whether a query may be told to come back over TCP: one without an error that would have to be told first.
func (q *query) slips() bool {
	return q.opcode == dns.OpcodeQuery && !q.bad && q.question > 0 && q.version == 0 && (q.sig == nil || q.sig.fail == 0)
}

// udpLoop serves one socket for one goroutine.
type udpLoop interface {
	// serve answers some queries, waiting for the first. Its error is that of reading; what cannot be sent is counted,
	// since the client asks again.
	serve() error
}

// serveUDP answers queries until ctx ends. What a loop has taken from the kernel is bounded by its buffers; the rest waits
// in the kernel's receive buffer, which drops what does not fit.
func (l *listener) serveUDP(ctx context.Context, conn udpConn) {
	loop := l.newLoop(conn)
	wait := minPause
	for {
		err := loop.serve()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			wait = minPause
		default:
			l.logger.Warn("read udp", "address", conn.LocalAddr(), "error", err)
			wait = pause(ctx, wait)
		}
	}
}

func (l *listener) newLoop(conn udpConn) udpLoop {
	w := worker{Server: l.Server, counts: l.stats.worker()}
	if c, ok := conn.(*batchConn); ok {
		return l.newBatchLoop(c, w)
	}
	return l.newSingleLoop(conn.(*net.UDPConn), w)
}
