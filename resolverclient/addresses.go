package resolverclient

import (
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
	failed    []failure
}

// failure is why the records of a question could not be had.
type failure struct {
	question question
	err      error
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
}

// askAddresses asks for the addresses of the hosts that have none yet.
func (c *Client) askAddresses(ctx context.Context, hosts map[string]*host) {
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, addressQueries)
	for name, h := range hosts {
		if len(h.addresses) > 0 {
			continue
		}
		slots <- struct{}{}
		running.Go(func() {
			h.ask(ctx, c, name)
			<-slots
		})
	}
}

// ask looks up the host's IPv4 and IPv6 addresses. One kind that cannot be learnt does not spoil the other.
func (h *host) ask(ctx context.Context, c *Client, name string) {
	questions := [...]question{{name, dns.TypeA}, {name, dns.TypeAAAA}}
	var answers [len(questions)]answer
	var errs [len(questions)]error
	var running sync.WaitGroup
	for i, q := range questions {
		running.Go(func() { answers[i], errs[i] = c.ask(ctx, q) })
	}
	running.Wait()
	for i, a := range answers {
		if errs[i] != nil {
			h.failed = append(h.failed, failure{questions[i], errs[i]})
		}
		for _, rr := range a.records {
			h.add(rr)
		}
		if len(a.records) > 0 {
			h.ttl = min(h.ttl, a.ttl)
		}
	}
	if len(h.addresses) == 0 {
		h.ttl = min(h.ttl, addressRetry)
	}
}

// kindOf returns the type of the records that have such an address.
func kindOf(addr netip.Addr) uint16 {
	if addr.Is4() {
		return dns.TypeA
	}
	return dns.TypeAAAA
}
