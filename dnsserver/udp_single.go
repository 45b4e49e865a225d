package dnsserver

import (
	"bytes"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// maxOOB has room for the packet information of either family.
const maxOOB = 128

// singleLoop is the loop for every system: one query at a time. Several may share a socket.
type singleLoop struct {
	worker
	conn    *net.UDPConn
	in, out []byte
	oob     []byte
	source  sourceCache
}

func (l *listener) newSingleLoop(conn *net.UDPConn, w worker) *singleLoop {
	s := &singleLoop{worker: w, conn: conn, in: make([]byte, maxMessageSize), out: make([]byte, 0, maxMaxUDPSize)}
	if l.any {
		s.oob = make([]byte, maxOOB)
	}
	return s
}

func (s *singleLoop) serve() error {
	n, oobn, _, client, err := s.conn.ReadMsgUDPAddrPort(s.in, s.oob)
	if err != nil {
		return err
	}
	start := time.Now()
	d := datagram{msg: s.in[:min(n, maxQuery)], cut: n > maxQuery, client: client.Addr().Unmap().WithZone("")}
	s.out = s.accept(d, s.out[:0])
	if len(s.out) > 0 {
		s.send(client, s.source.control(s.oob[:oobn]))
	}
	s.counts.times[UDP].add(1, time.Since(start))
	return nil
}

func (s *singleLoop) send(client netip.AddrPort, oob []byte) {
	if _, _, err := s.conn.WriteMsgUDPAddrPort(s.out, oob, client); err != nil {
		s.counts.sendErrors.Add(1)
		s.logger.Debug("write udp", "client", client, "error", err)
	}
}

// sourceCache makes the control message that sends a reply from the address that the query was sent to (RFC 2181
// section 4). It remembers the last one: a server hardly ever has more than one address in use.
type sourceCache struct {
	received, reply []byte
}

func (c *sourceCache) control(oob []byte) []byte {
	if len(oob) == 0 {
		return nil
	}
	if !bytes.Equal(oob, c.received) {
		c.received = append(c.received[:0], oob...)
		c.reply = sourceControl(oob)
	}
	return c.reply
}

// sourceControl turns the control message of a query into that of its reply. The interface is left to routing but for
// link-local addresses, which mean nothing without it.
func sourceControl(oob []byte) []byte {
	dst, ifIndex := destination(oob)
	switch {
	case dst == nil:
		return nil
	case dst.To4() != nil: // on an IPv6 socket too
		return (&ipv4.ControlMessage{Src: dst}).Marshal()
	case dst.IsLinkLocalUnicast():
		return (&ipv6.ControlMessage{Src: dst, IfIndex: ifIndex}).Marshal()
	default:
		return (&ipv6.ControlMessage{Src: dst}).Marshal()
	}
}

// destination returns the local address that a query was sent to, nil if its control message does not tell.
func destination(oob []byte) (dst net.IP, ifIndex int) {
	var in6 ipv6.ControlMessage
	if in6.Parse(oob) == nil && in6.Dst != nil {
		return in6.Dst, in6.IfIndex
	}
	var in4 ipv4.ControlMessage
	if in4.Parse(oob) == nil {
		return in4.Dst, 0
	}
	return nil, 0
}
