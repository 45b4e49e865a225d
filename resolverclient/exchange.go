package resolverclient

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// penalty is how long a server that failed is asked after those that did not.
const penalty = 10 * time.Second

// server is one DNS server and how it fared.
type server struct {
	addr    string
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	timeout time.Duration
	failed  atomic.Int64 // when it failed last, in Unix nanoseconds; 0 when the last reply was good
}

// penalised reports whether the server failed of late.
func (s *server) penalised(now time.Time) bool {
	at := s.failed.Load()
	return at != 0 && now.Sub(time.Unix(0, at)) < penalty
}

// ask sends a question and returns a reply that answers it. It asks over UDP, and over TCP where the reply was
// truncated or does not prove by the question's letters that it is the server's; without EDNS where the server has none.
func (s *server) ask(ctx context.Context, q question) (*dns.Msg, error) {
	query := newQuery(q, true)
	reply, err := s.exchange(ctx, query)
	if err == nil && refusesEDNS(reply) {
		query = newQuery(q, false)
		reply, err = s.exchange(ctx, query)
	}
	if err != nil {
		return nil, err
	}
	return reply, verdict(reply)
}

// refusesEDNS reports the reply of a server older than EDNS (RFC 6891 section 7).
func refusesEDNS(reply *dns.Msg) bool {
	return (reply.Rcode == dns.RcodeFormatError || reply.Rcode == dns.RcodeNotImplemented) && reply.IsEdns0() == nil
}

func (s *server) exchange(ctx context.Context, query *dns.Msg) (*dns.Msg, error) {
	reply, err := s.roundTrip(ctx, "udp", query, datagrams)
	if !errors.Is(err, errTruncated) && !errors.Is(err, errUnproven) {
		return reply, err
	}
	if reply, err = s.roundTrip(ctx, "tcp", query, stream); err != nil {
		return nil, fmt.Errorf("over tcp: %w", err)
	}
	return reply, nil
}

// roundTrip opens a connection, and so a source port drawn by the kernel, for one query and its reply.
func (s *server) roundTrip(ctx context.Context, network string, query *dns.Msg,
	talk func(net.Conn, *dns.Msg, []byte) (*dns.Msg, error),
) (*dns.Msg, error) {
	wire, err := query.Pack()
	if err != nil {
		return nil, fmt.Errorf("pack query: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	conn, err := s.dial(ctx, network, s.addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	// A deadline in the past wakes a blocked read, be it for the timeout or for the caller's end.
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	reply, err := talk(conn, query, wire)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("no reply within %v: %w", s.timeout, err)
	}
	return reply, err
}

// datagrams sends a query over UDP and reads until a datagram is the reply to it.
func datagrams(conn net.Conn, query *dns.Msg, wire []byte) (*dns.Msg, error) {
	if _, err := conn.Write(wire); err != nil {
		return nil, err
	}
	buf := make([]byte, 4096)
	var ignored error
	for {
		n, err := conn.Read(buf)
		switch {
		case err != nil && ignored != nil:
			return nil, fmt.Errorf("%w (%w)", err, ignored)
		case err != nil:
			return nil, err
		}
		reply, err := parseReply(query, buf[:n])
		if !errors.Is(err, errForeign) {
			return reply, err
		}
		ignored = err
	}
}

// stream sends a query over TCP (RFC 7766 section 8) and reads the one reply. What comes back on the server's own
// connection needs no proof by letters.
func stream(conn net.Conn, query *dns.Msg, wire []byte) (*dns.Msg, error) {
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(wire)), uint16(len(wire)))
	if _, err := conn.Write(append(framed, wire...)); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, fmt.Errorf("read length: %w", err)
	}
	buf := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, buf); err != nil {
		return nil, fmt.Errorf("read %d octets: %w", len(buf), err)
	}
	reply, err := parseReply(query, buf)
	if errors.Is(err, errUnproven) {
		err = nil
	}
	return reply, err
}
