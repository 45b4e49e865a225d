package dnsserver

import (
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// addresses is the address records below one bare name, "web.Z", which the _tcp and the _udp service of that name share.
// It is immutable.
type addresses struct {
	sibling *store.Snapshot  // the other service it was made of, nil for none
	all     host             // of the name itself
	hosts   map[string]*host // by host label
	byRef   []*host          // in the order of service.hosts
}

// addressCompiler builds addresses.
type addressCompiler struct {
	ttl   time.Duration
	all   *addressSet
	hosts map[string]*addressSet
}

// addressSet is the addresses of one name in the making.
type addressSet struct {
	a, aaaa *rrset
	seen    map[netip.Addr]bool
}

func (c *addressCompiler) newSet() *addressSet {
	return &addressSet{
		a:    newRRset(dns.TypeA, c.ttl),
		aaaa: newRRset(dns.TypeAAAA, c.ttl),
		seen: make(map[netip.Addr]bool),
	}
}

// compileAddresses returns the addresses of the name that s and the service of the snapshot sibling share.
func compileAddresses(s *service, sibling *store.Snapshot, ttl time.Duration) *addresses {
	c := addressCompiler{ttl: ttl, hosts: make(map[string]*addressSet)}
	c.all = c.newSet()
	for _, snapshot := range []*store.Snapshot{s.snapshot, sibling} {
		for live := range snapshot.Up() {
			c.add(live)
		}
	}
	result := &addresses{sibling: sibling, all: c.all.host(), hosts: make(map[string]*host, len(c.hosts))}
	for name, set := range c.hosts {
		h := set.host()
		result.hosts[name] = &h
	}
	for _, name := range s.hosts {
		result.byRef = append(result.byRef, result.hosts[name])
	}
	return result
}

func (c *addressCompiler) add(live *store.Live) {
	if dnssd.IsExternal(live.Host) {
		return
	}
	for _, address := range live.Addresses {
		own := c.hosts[live.Host]
		if own == nil {
			own = c.newSet()
			c.hosts[live.Host] = own
		}
		own.add(address, live.TTL)
		c.all.add(address, live.TTL)
	}
}

// add adds an address once; the TTL of the instance that has it counts in any case.
func (s *addressSet) add(address netip.Addr, ttl time.Duration) {
	if !s.seen[address] {
		s.seen[address] = true
		addAddress(s.a, s.aaaa, address, ttl)
		return
	}
	set := s.aaaa
	if address.Is4() {
		set = s.a
	}
	set.ttl = min(set.ttl, seconds(ttl))
}

func (s *addressSet) host() host { return host{a: s.a.orNil(), aaaa: s.aaaa.orNil()} }
