package resolverclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// Services returns the service types of the client's zone, such as "_web._tcp", sorted: those that it lists at
// _services._dns-sd._udp (RFC 6763 section 9). It is not cached. A zone that lists none is [ErrNotFound].
func (c *Client) Services(ctx context.Context) ([]string, error) {
	if c.zone == "" {
		return nil, errors.New("list services: the client has no zone")
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.LookupTimeout)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	q := question{dnssd.TypesLabel + "." + dnssd.MetaName + "._udp." + c.zone, dns.TypePTR}
	a, err := c.ask(ctx, q)
	switch {
	case c.ctx.Err() != nil:
		return nil, ErrClosed
	case err != nil:
		return nil, err
	}
	var types []string
	for _, rr := range a.records {
		name := dns.CanonicalName(rr.(*dns.PTR).Ptr)
		if service, ok := strings.CutSuffix(name, "."+c.zone); ok {
			types = append(types, service)
		}
	}
	if len(types) == 0 {
		return nil, &negative{q, ErrNotFound, negativeText(a.reply), 0}
	}
	slices.Sort(types)
	return slices.Compact(types), nil
}

// Service is [Client.Lookup] by way of DNS-SD (RFC 6763): PTR records name the instances, whose SRV and TXT records
// then fill [Endpoint.Instance] and [Endpoint.TXT]. Where a service has no PTR records it falls back to its SRV
// records, and those two are empty.
func (c *Client) Service(ctx context.Context, service string) (Answer, error) {
	e, err := c.entry(service, dns.TypePTR)
	if err != nil {
		return Answer{}, err
	}
	return e.answer(ctx)
}

// browse finds the instances that the PTR records of a name point to.
func (c *Client) browse(ctx context.Context, name string, before lender) (found, error) {
	q := question{name, dns.TypePTR}
	a, err := c.ask(ctx, q)
	switch {
	case err != nil:
		return found{}, err
	case len(a.records) == 0 && a.reply.Rcode == dns.RcodeSuccess:
		return c.lookup(ctx, name, before)
	case len(a.records) == 0:
		return found{}, &negative{q, ErrNotFound, negativeText(a.reply), negativeTTL(a.reply)}
	}
	instances := make([]*instance, len(a.records))
	for i, rr := range a.records {
		instances[i] = &instance{name: dns.CanonicalName(rr.(*dns.PTR).Ptr), shown: rr.(*dns.PTR).Ptr}
	}
	c.askInstances(ctx, instances, a.reply.Extra)
	d := draft{before: before, ttl: a.ttl, extra: a.reply.Extra}
	for _, i := range instances {
		i.addTo(&d)
	}
	switch {
	case len(d.endpoints) > 0:
	case len(d.missing) > 0:
		return found{}, fmt.Errorf("lookup %v: %w", q, d.missing)
	default:
		return found{}, &negative{q, ErrNotFound, "PTR records without SRV records", seconds(d.ttl)}
	}
	return c.complete(ctx, name, &d)
}

// instance is what is known of one instance of a service.
type instance struct {
	name, shown string // in small letters, and as the PTR record spells it
	srv, txt    answer
	err         error // of srv
	txtErr      error
}

// askInstances reads the instances' SRV and TXT records from the additional section, or asks for them.
func (c *Client) askInstances(ctx context.Context, instances []*instance, extra []dns.RR) {
	given := make(map[question][]dns.RR)
	for _, rr := range extra {
		q := question{dns.CanonicalName(rr.Header().Name), rr.Header().Rrtype}
		if isOf(rr, q.name, q.kind) {
			given[q] = append(given[q], rr)
		}
	}
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, addressQueries)
	for _, i := range instances {
		i.srv.records = given[question{i.name, dns.TypeSRV}]
		i.txt.records = given[question{i.name, dns.TypeTXT}]
		if len(i.srv.records) > 0 && len(i.txt.records) > 0 {
			continue
		}
		slots <- struct{}{}
		running.Go(func() {
			i.ask(ctx, c)
			<-slots
		})
	}
}

// ask looks up the records that are missing. Without a SRV record the instance is gone, and without a TXT record it has
// no strings: neither is a failure.
func (i *instance) ask(ctx context.Context, c *Client) {
	if len(i.srv.records) == 0 {
		i.srv, i.err = c.ask(ctx, question{i.name, dns.TypeSRV})
	}
	if len(i.txt.records) == 0 && len(i.srv.records) > 0 {
		i.txt, i.txtErr = c.ask(ctx, question{i.name, dns.TypeTXT})
	}
}

// addTo adds the instance's endpoints to a draft; those of the answer before where its records could not be had.
func (i *instance) addTo(d *draft) {
	labels, err := dnssd.Split(i.shown)
	if err != nil || len(labels) == 0 {
		return // the root, or a name that no server should send
	}
	if i.err != nil {
		known := d.before.set.of(labels[0])
		if d.miss(question{labels[0], dns.TypeSRV}, i.err, len(known)) {
			d.endpoints = append(d.endpoints, known...)
		}
		return
	}
	txt := i.strings(d, labels[0])
	d.extra = append(d.extra, i.srv.extra()...)
	for _, rr := range i.srv.records {
		if e := d.add(rr.(*dns.SRV)); e != nil {
			e.Instance, e.TXT = labels[0], txt
		}
	}
}

// strings returns those of the TXT records. That these could not be had is not the same as that there are none.
func (i *instance) strings(d *draft, id string) (txt []string) {
	if i.txtErr != nil {
		if known := d.before.set.of(id); len(known) > 0 {
			txt = known[0].TXT
		}
		if !d.miss(question{id, dns.TypeTXT}, i.txtErr, len(txt)) {
			return nil
		}
		return txt
	}
	for _, rr := range i.txt.records {
		d.ttl = min(d.ttl, ttlOf(rr))
		txt = append(txt, txtStrings(rr)...)
	}
	return txt
}

// of returns the endpoints of one instance.
func (s *set) of(instance string) (out []Endpoint) {
	if s == nil {
		return nil
	}
	for _, e := range s.endpoints {
		if e.Instance == instance {
			out = append(out, e)
		}
	}
	return out
}

// extra returns the additional section of the reply, where there was one.
func (a answer) extra() []dns.RR {
	if a.reply == nil {
		return nil
	}
	return a.reply.Extra
}

// txtStrings returns the strings of a TXT record as they are on the wire, without the escapes that package dns puts in.
// The one empty string that stands for none is left out (RFC 6763 section 6.1).
func txtStrings(rr dns.RR) []string {
	buf := make([]byte, dns.Len(rr)+1)
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return nil
	}
	var out []string
	for data := buf[end-int(rr.Header().Rdlength) : end]; len(data) > 0; {
		n := int(data[0])
		if n > 0 {
			out = append(out, string(data[1:1+n]))
		}
		data = data[1+n:]
	}
	return out
}
