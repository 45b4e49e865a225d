package resolverclient

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// udpSize is the reply size that queries advertise: what passes every common path unfragmented (RFC 9715).
const udpSize = 1232

// question is what a lookup asks: a name in small letters and a type, of class IN.
type question struct {
	name string
	kind uint16
}

func (q question) String() string { return dns.TypeToString[q.kind] + " " + q.name }

var (
	// errForeign marks a datagram that does not answer the query, be it late, stray or forged: the true reply may follow.
	errForeign = errors.New("not a reply to the query")
	// errUnproven marks a reply that does not repeat the question letter by letter, as a forger's would not who guessed
	// the id alone.
	errUnproven = errors.New("reply without the query's letters")
)

// newQuery returns a query with a random id and letters of random case, both of which a forger must guess (RFC 5452,
// draft-vixie-dnsext-dns0x20).
func newQuery(q question, edns bool) *dns.Msg {
	var secret [34]byte
	_, _ = rand.Read(secret[:]) // never fails
	m := new(dns.Msg)
	m.SetQuestion(mixCase(q.name, secret[2:]), q.kind)
	m.Id = binary.BigEndian.Uint16(secret[:])
	if edns {
		m.SetEdns0(udpSize, false)
	}
	return m
}

// mixCase flips the case of the letters that a bit stands for.
func mixCase(name string, bits []byte) string {
	b := []byte(name)
	for i, c := range b {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if letter && bits[i/8%len(bits)]>>(i%8)&1 == 1 {
			b[i] ^= 0x20
		}
	}
	return string(b)
}

// parseReply reads the reply to query from a message. Besides malformed and truncated replies it tells apart, by
// errForeign, those that are not meant, and by errUnproven, with the reply, those that only TCP can vouch for.
func parseReply(query *dns.Msg, wire []byte) (*dns.Msg, error) {
	const header, flagTC = 12, 0x02
	switch {
	case len(wire) < header:
		return nil, fmt.Errorf("%w: %d octets", errForeign, len(wire))
	case binary.BigEndian.Uint16(wire) != query.Id:
		return nil, fmt.Errorf("%w: another id", errForeign)
	}
	reply := new(dns.Msg)
	if err := reply.Unpack(wire); err != nil {
		if wire[2]&flagTC != 0 {
			return nil, errTruncated
		}
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	err := checkReply(query, reply)
	switch {
	case err != nil && !errors.Is(err, errUnproven):
		return nil, err
	case reply.Truncated:
		return nil, errTruncated
	}
	return reply, err
}

func checkReply(query, reply *dns.Msg) error {
	switch {
	case !reply.Response || reply.Opcode != dns.OpcodeQuery:
		return fmt.Errorf("%w: no reply at all", errForeign)
	case len(reply.Question) == 0 && reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError:
		return errUnproven // an error reply of a server that could not read the question, or that leaves it out
	case len(reply.Question) != 1:
		return fmt.Errorf("%w: %d questions", errForeign, len(reply.Question))
	}
	asked, got := query.Question[0], reply.Question[0]
	switch {
	case asked == got:
		return nil
	case asked.Qtype == got.Qtype && asked.Qclass == got.Qclass && strings.EqualFold(asked.Name, got.Name):
		return errUnproven
	}
	return fmt.Errorf("%w: another question", errForeign)
}

// verdict returns nil for a reply that answers, NXDOMAIN included, and else why another server should be asked.
func verdict(reply *dns.Msg) error {
	switch {
	case reply.Rcode == dns.RcodeRefused:
		return fmt.Errorf("%w%s", ErrRefused, extendedText(reply))
	case reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError:
		return errors.New(rcodeText(reply) + extendedText(reply))
	case isLame(reply):
		return errors.New("lame: a referral to other servers")
	}
	return nil
}

// isLame reports a reply of a server that neither knows the zone nor asks others: no answer, no SOA that would make it
// a negative one (RFC 2308 section 2.2), only a referral or nothing.
func isLame(reply *dns.Msg) bool {
	if reply.Rcode != dns.RcodeSuccess || reply.Authoritative || reply.RecursionAvailable || len(reply.Answer) > 0 {
		return false
	}
	for _, rr := range reply.Ns {
		if rr.Header().Rrtype == dns.TypeSOA {
			return false
		}
	}
	return true
}

// rcodeText names the reply's code.
func rcodeText(reply *dns.Msg) string {
	if text := dns.RcodeToString[reply.Rcode]; text != "" {
		return text
	}
	return fmt.Sprintf("RCODE %d", reply.Rcode)
}

// extendedText returns what the reply's extended errors say (RFC 8914), each in brackets behind a space.
func extendedText(reply *dns.Msg) string {
	opt := reply.IsEdns0()
	if opt == nil {
		return ""
	}
	var text string
	for _, option := range opt.Option {
		if ede, ok := option.(*dns.EDNS0_EDE); ok {
			text += fmt.Sprintf(" (%s)", strings.TrimSuffix(dns.ExtendedErrorCodeToString[ede.InfoCode]+": "+ede.ExtraText, ": "))
		}
	}
	return text
}
