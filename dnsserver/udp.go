package dnsserver

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// maxOOB has room for the packet information of either family.
const maxOOB = 128

// prepareUDP sets the socket's options. A smaller receive buffer than asked for is no error.
func (l *listener) prepareUDP() error {
	if err := l.udp.SetReadBuffer(receiveBuffer); err != nil {
		l.logger.Debug("receive buffer", "address", l.udp.LocalAddr(), "error", err)
	}
	if !l.any {
		return nil
	}
	err4 := ipv4.NewPacketConn(l.udp).SetControlMessage(ipv4.FlagDst, true)
	err6 := ipv6.NewPacketConn(l.udp).SetControlMessage(ipv6.FlagDst|ipv6.FlagInterface, true)
	if err4 != nil && err6 != nil {
		return errors.Join(err4, err6)
	}
	return nil
}

// udpReader is the buffers of one goroutine that serves UDP.
type udpReader struct {
	*listener
	in, out []byte
	oob     []byte
	source  sourceCache
}

// serveUDP answers queries one after another until ctx ends. Each reader has at most one query in hand; the rest wait in
// the kernel's receive buffer, which drops what does not fit.
func (l *listener) serveUDP(ctx context.Context) {
	r := udpReader{listener: l, in: make([]byte, maxMessageSize), out: make([]byte, 0, maxMaxUDPSize)}
	if l.any {
		r.oob = make([]byte, maxOOB)
	}
	wait := minPause
	for {
		err := r.serveOne()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			wait = minPause
		default:
			l.logger.Warn("read udp", "address", l.udp.LocalAddr(), "error", err)
			wait = pause(ctx, wait)
		}
	}
}

// serveOne reads one query and sends the reply. Its error is that of reading; what cannot be sent is counted, since the
// client asks again.
func (r *udpReader) serveOne() error {
	n, oobn, _, client, err := r.udp.ReadMsgUDPAddrPort(r.in, r.oob)
	if err != nil {
		return err
	}
	r.accept(r.in[:n], client.Addr().Unmap())
	if len(r.out) == 0 {
		return nil
	}
	if err := r.send(client, r.source.control(r.oob[:oobn])); err != nil {
		r.stats.sendErrors.Add(1)
		r.logger.Debug("write udp", "client", client, "error", err)
	}
	return nil
}

// accept leaves the reply to a query in out, nothing where there is to be none: beyond the rate of its client's prefix,
// unless the query proves with a cookie where it comes from (RFC 7873 section 5.2.3).
func (r *udpReader) accept(msg []byte, client netip.Addr) {
	r.out = r.out[:0]
	q := query{from: Client{Addr: client, Transport: UDP}}
	if !r.read(&q, msg) {
		return
	}
	v := pass
	if !q.proven {
		v = r.limiter.admit(client)
	}
	switch {
	case v == pass:
		r.out = r.reply(&q, r.out)
	case v == slip && q.opcode == dns.OpcodeQuery && !q.bad:
		r.stats.slipped.Add(1)
		r.out = r.slipped(&q, r.out)
	default:
		r.stats.limited.Add(1)
	}
}

func (r *udpReader) send(client netip.AddrPort, oob []byte) error {
	_, _, err := r.udp.WriteMsgUDPAddrPort(r.out, oob, client)
	return err
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
