package resolverclient

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/miekg/dns"
)

const (
	// maxAliases bounds a chain of CNAMEs over several queries.
	maxAliases = 8
	// maxTTL is the greatest TTL, in seconds (RFC 2181 section 8).
	maxTTL = 1<<31 - 1
)

// answer is what one question came to: the records of its type, or none.
type answer struct {
	records []dns.RR
	ttl     uint32 // least of the records and the aliases that led to them
	reply   *dns.Msg
}

// ask resolves a question, following aliases within a reply and, where the server stops at one, by further queries.
func (c *Client) ask(ctx context.Context, q question) (answer, error) {
	a := answer{ttl: maxTTL}
	for range maxAliases {
		reply, err := c.query(ctx, q)
		if err != nil {
			return answer{}, err
		}
		a.reply = reply
		owner := followAliases(reply.Answer, q.name, &a.ttl)
		for _, rr := range reply.Answer {
			if isOf(rr, owner, q.kind) {
				a.records = append(a.records, rr)
				a.ttl = min(a.ttl, ttlOf(rr))
			}
		}
		if len(a.records) > 0 || owner == q.name || reply.Rcode != dns.RcodeSuccess || hasSOA(reply) {
			return a, nil
		}
		q.name = owner
	}
	return answer{}, fmt.Errorf("lookup %v: more than %d aliases in a row", q, maxAliases)
}

// followAliases returns the name at the end of the chain of CNAMEs that starts at name, and lowers ttl to theirs.
func followAliases(records []dns.RR, name string, ttl *uint32) string {
	for range maxAliases {
		i := slices.IndexFunc(records, func(rr dns.RR) bool { return isOf(rr, name, dns.TypeCNAME) })
		if i < 0 {
			break
		}
		alias := records[i].(*dns.CNAME)
		name = dns.CanonicalName(alias.Target)
		*ttl = min(*ttl, ttlOf(alias))
	}
	return name
}

// isOf reports whether a record with data belongs to a name and has a type, in class IN.
func isOf(rr dns.RR, name string, kind uint16) bool {
	h := rr.Header()
	return h.Rrtype == kind && h.Class == dns.ClassINET && h.Rdlength > 0 && dns.CanonicalName(h.Name) == name
}

// ttlOf returns a record's TTL; one with the top bit set counts as 0 (RFC 2181 section 8).
func ttlOf(rr dns.RR) uint32 {
	if ttl := rr.Header().Ttl; ttl <= maxTTL {
		return ttl
	}
	return 0
}

func hasSOA(reply *dns.Msg) bool {
	return slices.ContainsFunc(reply.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA })
}

// lookup asks for the SRV records of name and the addresses of their targets. It fails with a *negative where there
// are none, and otherwise where no server answers or no target's addresses can be learnt. The answer before lends
// addresses that cannot be learnt now.
func (c *Client) lookup(ctx context.Context, name string, before lender) (found, error) {
	a, err := c.ask(ctx, question{name, dns.TypeSRV})
	if err != nil {
		return found{}, err
	}
	if len(a.records) == 0 {
		return found{}, &negative{question{name, dns.TypeSRV}, ErrNotFound, negativeText(a.reply), negativeTTL(a.reply)}
	}
	d := draft{before: before, ttl: a.ttl, extra: a.reply.Extra}
	for _, rr := range a.records {
		d.add(rr.(*dns.SRV))
	}
	return c.complete(ctx, name, &d)
}

// draft is an answer that lacks the addresses of its endpoints.
type draft struct {
	before    lender
	endpoints []Endpoint
	ttl       uint32   // least of the records used
	extra     []dns.RR // where addresses may stand
	missing   reasons  // why records could not be had
	lent      loans
}

// add takes the endpoint of a SRV record, to which the caller may add; nil where the record says that there is none.
func (d *draft) add(srv *dns.SRV) *Endpoint {
	d.ttl = min(d.ttl, ttlOf(srv))
	if srv.Target == "." {
		return nil
	}
	d.endpoints = append(d.endpoints, Endpoint{
		Target: dns.CanonicalName(srv.Target), Port: srv.Port, Priority: srv.Priority, Weight: srv.Weight,
	})
	return &d.endpoints[len(d.endpoints)-1]
}

// complete adds the addresses. Of endpoints with the same identity the one of the lowest priority counts.
func (c *Client) complete(ctx context.Context, name string, d *draft) (found, error) {
	if len(d.endpoints) == 0 {
		return found{}, &negative{question{name, dns.TypeSRV}, ErrNotOffered, `the target is "."`, seconds(d.ttl)}
	}
	if len(d.endpoints) > maxEndpoints {
		return found{}, fmt.Errorf("lookup %s: %d endpoints, more than %d", name, len(d.endpoints), maxEndpoints)
	}
	hosts := make(map[string]*host)
	for _, e := range d.endpoints {
		hosts[e.Target] = &host{ttl: d.ttl}
	}
	takeAdditional(hosts, d.extra)
	c.askAddresses(ctx, hosts)
	if err := d.borrowAddresses(hosts); err != nil {
		return found{}, err
	}
	f := found{set: new(set), ttl: seconds(d.ttl), lent: d.lent}
	for _, e := range d.endpoints {
		h := hosts[e.Target]
		e.Addresses = h.addresses
		f.set.endpoints = append(f.set.endpoints, e)
		f.ttl = min(f.ttl, seconds(h.ttl))
	}
	if len(d.missing) > 0 {
		f.missing = d.missing
	}
	f.set.normalize()
	return f, nil
}

// negativeText says which of the two kinds of "no" a reply is.
func negativeText(reply *dns.Msg) string {
	if reply.Rcode == dns.RcodeNameError {
		return "NXDOMAIN"
	}
	return "NODATA"
}

// negativeTTL is how long a negative reply holds (RFC 2308 section 5); without a SOA it does not say.
func negativeTTL(reply *dns.Msg) time.Duration {
	for _, rr := range reply.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return seconds(min(ttlOf(soa), soa.Minttl, maxTTL))
		}
	}
	return 0
}

func seconds(ttl uint32) time.Duration { return time.Duration(ttl) * time.Second }
