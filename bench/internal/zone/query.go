package zone

import (
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/miekg/dns"
)

// Kind is what is asked for.
type Kind string

// Kinds of queries.
const (
	SRV     Kind = "SRV"      // at a service's name: as many answers as instances, with an address each
	PTR     Kind = "PTR"      // at a service's name: as many answers as instances
	A       Kind = "A"        // at a service's bare name: as many answers as instances
	TXT     Kind = "TXT"      // at an instance's name: one answer
	Missing Kind = "NXDOMAIN" // SRV at a service's name that does not exist, another one every time
)

// randomLen is how many octets of a missing service's label are random.
const randomLen = 12

// PayloadSize is how long a reply over UDP may be where EDNS says so (RFC 6891 section 6.2.3).
const PayloadSize = 1232

// Query is what to ask and with which extensions.
type Query struct {
	Kind   Kind
	EDNS   bool   // offers PayloadSize octets
	Cookie []byte // client's and, where known, server's (RFC 7873); nil for none; needs EDNS
}

// Mix is ready-made queries in wire form and what every reply to them must be.
type Mix struct {
	Queries [][]byte // with an id of 0, all of one length
	Random  int      // offset of RandomLen octets to set at random in a copy of the query, 0 for none
	Rcode   int
	Answers int  // in a reply without TC
	Echo    bool // the query itself comes back
}

// RandomLen is how many octets at Mix.Random are to be set.
func (m Mix) RandomLen() int { return randomLen }

// Mix returns one query for each service, in an order that is shuffled but always the same.
func (z Zone) Mix(q Query) (Mix, error) {
	m := Mix{Answers: z.Instances}
	switch q.Kind {
	case TXT:
		m.Answers = 1
	case Missing:
		m.Answers, m.Rcode, m.Random = 0, dns.RcodeNameError, headerLen+len(`_s`)+1
	}
	for _, i := range shuffled(z.Services) {
		name, qtype := z.question(q.Kind, i)
		msg, err := q.pack(name, qtype)
		if err != nil {
			return Mix{}, fmt.Errorf("pack query for %s: %w", name, err)
		}
		m.Queries = append(m.Queries, msg)
	}
	return m, nil
}

// headerLen is the length of a message's header (RFC 1035 section 4.1.1).
const headerLen = 12

// question returns the name and type that are asked for the i-th service.
func (z Zone) question(kind Kind, i int) (string, uint16) {
	switch service := string(z.Service(i)); kind {
	case PTR:
		return service + "." + Name, dns.TypePTR
	case A:
		return bare(i) + "." + Name, dns.TypeA
	case TXT:
		return id(i%z.Instances) + "." + service + "." + Name, dns.TypeTXT
	case Missing:
		return "_m000000000000._tcp." + Name, dns.TypeSRV
	default:
		return service + "." + Name, dns.TypeSRV
	}
}

func (q Query) pack(name string, qtype uint16) ([]byte, error) {
	msg := new(dns.Msg).SetQuestion(name, qtype)
	msg.Id, msg.RecursionDesired = 0, false
	if q.EDNS {
		msg.SetEdns0(PayloadSize, false)
	}
	if q.EDNS && q.Cookie != nil {
		cookie := &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: hex.EncodeToString(q.Cookie)}
		msg.IsEdns0().Option = append(msg.IsEdns0().Option, cookie)
	}
	return msg.Pack()
}

// shuffled returns 0 to n-1.
func shuffled(n int) []int {
	return rand.New(rand.NewPCG(5, 7)).Perm(n)
}

// WriteQueries writes the same questions as Mix in the form that dnsperf reads.
func (z Zone) WriteQueries(w io.Writer, kind Kind) error {
	for _, i := range shuffled(z.Services) {
		name, qtype := z.question(kind, i)
		if _, err := fmt.Fprintln(w, name, dns.TypeToString[qtype]); err != nil {
			return fmt.Errorf("write queries: %w", err)
		}
	}
	return nil
}
