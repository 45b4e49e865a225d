package dnsserver

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/miekg/dns"
)

// NotifyTarget is a secondary that is told when a zone has changed (RFC 1996).
type NotifyTarget struct {
	Addr netip.AddrPort
	Key  string // name of the one of Config.Keys that signs the message and has to sign the acknowledgement; empty: none
}

// String returns the target in the form of 192.0.2.1:53@key.
func (t NotifyTarget) String() string {
	if t.Key == "" {
		return t.Addr.String()
	}
	return t.Addr.String() + "@" + t.Key
}

// Times of notifying: how far apart two changes are told, and how long the first message and the last one wait for
// their acknowledgement, each twice as long as the one before it.
const (
	notifyInterval = time.Second
	notifyFirst    = time.Second
	notifyLast     = 32 * time.Second
)

// notifier tells one secondary of one zone's changes. Changes that come fast are told together, and those that come
// while a message waits for its acknowledgement, by the next one.
type notifier struct {
	zone   *zone
	source Source
	target NotifyTarget
	key    *tsigKey // nil: messages are not signed
	counts *notifyCounts
	logger *slog.Logger
	wake   chan struct{} // holds at most one
}

// changed has the secondary told that the zone changed. It does not wait.
func (n *notifier) changed() {
	select {
	case n.wake <- struct{}{}:
	default: // it is to be told anyway
	}
}

// run tells the secondary until ctx ends. It logs when what came of that is not the same as the time before.
func (n *notifier) run(ctx context.Context) {
	last := "nothing yet"
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
		}
		err := n.tell(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && err.Error() != last:
			n.logger.Warn("notify secondary", "zone", n.zone.name, "secondary", n.target, "error", err)
		case err == nil && last != "":
			n.logger.Info("secondary notified", "zone", n.zone.name, "secondary", n.target)
		}
		last = text(err)
		pause(ctx, notifyInterval)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// refusalError is an acknowledgement that is an error.
type refusalError struct{ rcode int }

func (e refusalError) Error() string { return "answered " + dns.RcodeToString[e.rcode] }

var errUnheard = errors.New("no acknowledgement")

// tell sends messages until one is acknowledged, and counts what comes of it. Whichever it is that the acknowledgement
// is of, the secondary has been told.
func (n *notifier) tell(ctx context.Context) error {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(n.target.Addr))
	if err != nil {
		n.counts.failed.Add(1)
		return err
	}
	defer func() { _ = conn.Close() }() // nothing is lost with it
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })()
	told := exchange{notifier: n, conn: conn, sent: make(map[uint16][]byte)}
	for wait := notifyFirst; wait <= notifyLast && ctx.Err() == nil; wait *= 2 {
		if err = told.attempt(ctx, wait); err == nil {
			n.counts.acknowledged.Add(1)
			return nil
		}
		if errors.As(err, new(refusalError)) {
			n.counts.refused.Add(1)
			return err
		}
	}
	if ctx.Err() == nil {
		n.counts.failed.Add(1)
	}
	return err
}

// exchange is messages to one secondary of which none has been acknowledged.
type exchange struct {
	*notifier
	conn *net.UDPConn
	sent map[uint16][]byte // the MAC of each, by its id
}

// attempt sends one message and waits for an acknowledgement of any.
func (e *exchange) attempt(ctx context.Context, wait time.Duration) error {
	select {
	case <-e.wake: // this message tells that too
	default:
	}
	deadline := time.Now().Add(wait)
	id := uint16(rand.Uint32())
	msg, mac := e.message(id)
	e.sent[id] = mac
	e.counts.sent.Add(1)
	_, err := e.conn.Write(msg)
	if err == nil {
		err = e.conn.SetReadDeadline(deadline)
	}
	for err == nil && ctx.Err() == nil { // it may have ended before the deadline was set
		var rcode int
		rcode, err = e.receive()
		switch {
		case err == nil && rcode == dns.RcodeSuccess:
			return nil
		case err == nil:
			return refusalError{rcode}
		case errors.Is(err, os.ErrDeadlineExceeded):
			return errUnheard
		case errors.Is(err, errForeign):
			err = nil
		}
	}
	if err == nil {
		return errUnheard // for want of time, since ctx has ended
	}
	pause(ctx, time.Until(deadline)) // such as a closed port, which is known at once
	return err
}

var errForeign = errors.New("no acknowledgement of what was sent")

// receive reads one message and returns the response code, if it acknowledges one that was sent.
func (e *exchange) receive() (int, error) {
	buf := make([]byte, maxMaxUDPSize)
	n, err := e.conn.Read(buf)
	if err != nil {
		return 0, err
	}
	msg := buf[:n]
	if n < headerLen || msg[2]&0x80 == 0 || int(msg[2]>>3&0xf) != dns.OpcodeNotify {
		return 0, errForeign
	}
	mac, ours := e.sent[binary.BigEndian.Uint16(msg)]
	if !ours || e.key != nil && !e.key.signed(msg, mac) {
		return 0, errForeign
	}
	return int(msg[3] & 0xf), nil
}

// signed reports whether the key signed a reply to a message with the MAC request.
func (k *tsigKey) signed(msg, request []byte) bool {
	secret := base64.StdEncoding.EncodeToString(k.secret)
	return dns.TsigVerify(msg, secret, hex.EncodeToString(request), false) == nil
}

// message returns a message with an id, and its MAC. The SOA record in it is a hint of what has changed (RFC 1996
// section 3.7).
func (n *notifier) message(id uint16) (msg, mac []byte) {
	head := binary.BigEndian.AppendUint16(nil, id)
	head = append(head, dns.OpcodeNotify<<3|0x04, 0, 0, 0, 0, 0, 0, 0, 0, 0) // with AA
	head = append(head, n.zone.wire...)
	head = binary.BigEndian.AppendUint16(head, dns.TypeSOA)
	head = binary.BigEndian.AppendUint16(head, dns.ClassINET)
	p := packer{max: maxMaxUDPSize}
	p.start(head, true)
	p.put(n.zone.soaRecord(n.source.View().Revision().Serial())) // which fits: three names of at most 255 octets
	msg = p.finish()
	if n.key == nil {
		return msg, nil
	}
	s := signer{sig: signature{name: n.key.name, algorithm: n.key.algorithm, key: n.key}}
	msg = s.sign(msg, 0)
	return msg, s.sig.mac
}
