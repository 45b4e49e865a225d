package resolverclient

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"

	"github.com/miekg/dns"
)

const (
	// addressQueries is of how many hosts one lookup asks the addresses at a time.
	addressQueries = 16
	// addressRetry is for how long, in seconds, a target is believed to have no address.
	addressRetry = 5
)

// host is what is known of an SRV target.
type host struct {
	addresses []netip.Addr
	ttl       uint32 // least of the records used
	err       error  // why the addresses are not known; nil where there are none
}

// add takes the address of an A or AAAA record.
func (h *host) add(rr dns.RR) {
	var addr netip.Addr
	switch rr := rr.(type) {
	case *dns.A:
		addr, _ = netip.AddrFromSlice(rr.A.To4())
	case *dns.AAAA:
		addr, _ = netip.AddrFromSlice(rr.AAAA)
	}
	if addr.IsValid() && !slices.Contains(h.addresses, addr) {
		h.addresses = append(h.addresses, addr)
		h.ttl = min(h.ttl, ttlOf(rr))
	}
}

// sort puts the addresses into one order whatever the order of the records, which servers rotate.
func (h *host) sort() { slices.SortFunc(h.addresses, netip.Addr.Compare) }

// takeAdditional reads the targets' addresses from the additional section; records of other names do not count.
func takeAdditional(hosts map[string]*host, extra []dns.RR) {
	for _, rr := range extra {
		if h := hosts[dns.CanonicalName(rr.Header().Name)]; h != nil {
			h.add(rr)
		}
	}
	for _, h := range hosts {
		h.sort()
	}
}

// askAddresses asks for the addresses of the hosts that have none yet; where they cannot be learnt, those of the old
// set hold on. It fails where it knows of none; a host that has no address is not a failure.
func (c *Client) askAddresses(ctx context.Context, hosts map[string]*host, old *set) error {
	var (
		running sync.WaitGroup
		slots   = make(chan struct{}, addressQueries)
		unknown []*host
	)
	for name, h := range hosts {
		if len(h.addresses) > 0 {
			continue
		}
		unknown = append(unknown, h)
		slots <- struct{}{}
		running.Go(func() {
			h.ask(ctx, c, name)
			<-slots
		})
	}
	running.Wait()
	old.lend(hosts)
	var last error
	for _, h := range unknown {
		if h.err == nil {
			return nil
		}
		last = h.err
	}
	if len(unknown) < len(hosts) {
		return nil
	}
	return last
}

// lend gives the addresses of a set to hosts whose own cannot be learnt.
func (s *set) lend(hosts map[string]*host) {
	if s == nil {
		return
	}
	for _, e := range s.endpoints {
		if h := hosts[e.Target]; h != nil && h.err != nil && len(e.Addresses) > 0 {
			h.addresses, h.err = e.Addresses, nil
		}
	}
}

// ask looks up the host's IPv4 and IPv6 addresses. One kind that cannot be learnt does not spoil the other.
func (h *host) ask(ctx context.Context, c *Client, name string) {
	var v6 answer
	var err6 error
	done := make(chan struct{})
	go func() {
		defer close(done)
		v6, err6 = c.ask(ctx, question{name, dns.TypeAAAA})
	}()
	v4, err4 := c.ask(ctx, question{name, dns.TypeA})
	<-done
	for _, a := range []answer{v4, v6} {
		for _, rr := range a.records {
			h.add(rr)
		}
		if len(a.records) > 0 {
			h.ttl = min(h.ttl, a.ttl)
		}
	}
	h.sort()
	if len(h.addresses) == 0 {
		h.ttl, h.err = min(h.ttl, addressRetry), cmp.Or(err4, err6)
	}
}
