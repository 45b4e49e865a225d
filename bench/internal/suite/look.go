package suite

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/bench/internal/zone"
)

// looks is how many services are asked for before a server is measured.
const looks = 16

// look learns the server's cookie, then holds that the server answers what the zone has: what all servers answer alike
// is what can be compared.
func (t *trial) look(ctx context.Context) error {
	query := t.Scenario.Query
	z := t.Scenario.Zone
	var err error
	if t.Scenario.Cookies {
		if query.Cookie, err = t.learn(ctx, query); err != nil {
			return err
		}
	}
	if t.mix, err = z.Mix(query); err != nil {
		return err
	}
	for n, i := range z.Order()[:min(looks, z.Services)] {
		reply, octets, err := t.exchange(ctx, t.mix.Queries[n])
		if err != nil {
			return err
		}
		if err := z.Check(query, i, reply, octets, t.room()); err != nil {
			return fmt.Errorf("reply to the query for service %d: %w", i, err)
		}
		t.Reply = describe(reply)
	}
	return nil
}

// learn returns the whole cookie that the server gives to our client's, which may come with BADCOOKIE.
func (t *trial) learn(ctx context.Context, query zone.Query) ([]byte, error) {
	query.Cookie = clientCookie()
	mix, err := t.Scenario.Zone.Mix(query)
	if err != nil {
		return nil, err
	}
	reply, _, err := t.exchange(ctx, mix.Queries[0])
	if err != nil {
		return nil, err
	}
	if learned := cookieIn(reply); learned != nil {
		return learned, nil
	}
	return nil, errors.New("the server gives no cookie")
}

// clientCookie is what the client side of every cookie is.
func clientCookie() []byte { return []byte{1, 2, 3, 4, 5, 6, 7, 8} }

// room is how long a reply may be.
func (t *trial) room() int {
	switch {
	case t.Scenario.TCP:
		return dns.MaxMsgSize
	case t.Scenario.Query.EDNS:
		return zone.PayloadSize
	default:
		return dns.MinMsgSize
	}
}

// exchange sends a query, and returns the reply and its length.
func (t *trial) exchange(ctx context.Context, query []byte) (*dns.Msg, int, error) {
	network := "udp"
	if t.Scenario.TCP {
		network = "tcp"
	}
	dialer := net.Dialer{Timeout: lookTimeout}
	socket, err := dialer.DialContext(ctx, network, t.server.Addr.String())
	if err != nil {
		return nil, 0, fmt.Errorf("look at a reply: %w", err)
	}
	defer socket.Close()
	if err := socket.SetDeadline(time.Now().Add(lookTimeout)); err != nil {
		return nil, 0, err
	}
	conn := dns.Conn{Conn: socket, UDPSize: dns.MaxMsgSize}
	if _, err := conn.Write(query); err != nil {
		return nil, 0, fmt.Errorf("look at a reply: %w", err)
	}
	packed, err := conn.ReadMsgHeader(nil)
	if err != nil {
		return nil, 0, fmt.Errorf("look at a reply: %w", err)
	}
	reply := new(dns.Msg)
	return reply, len(packed), reply.Unpack(packed)
}

// lookTimeout bounds the wait for one reply, on a machine that may do other things.
const lookTimeout = 5 * time.Second

// cookieIn returns the whole cookie of a reply, nil if there is none.
func cookieIn(reply *dns.Msg) []byte {
	opt := reply.IsEdns0()
	if opt == nil {
		return nil
	}
	for _, option := range opt.Option {
		if cookie, ok := option.(*dns.EDNS0_COOKIE); ok {
			if raw, err := hex.DecodeString(cookie.Cookie); err == nil {
				return raw
			}
		}
	}
	return nil
}

// describe returns how many records each section of a reply has.
func describe(reply *dns.Msg) string {
	text := fmt.Sprintf("%d/%d/%d", len(reply.Answer), len(reply.Ns), len(reply.Extra))
	if reply.Truncated {
		text += " TC"
	}
	return text
}
