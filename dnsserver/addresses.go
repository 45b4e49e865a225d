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
	all   host             // of the name itself
	hosts map[string]*host // by host label
}

// of returns the addresses of a host that a record of s refers to, nil for none.
func (a *addresses) of(s *service, ref int32) *host {
	if ref < 0 {
		return nil
	}
	return a.hosts[s.hosts[ref]]
}

// addressCompiler builds addresses.
type addressCompiler struct {
	ttl   time.Duration
	all   *addressSet
	hosts map[string]*addressSet
}

// addressSet is the addresses of one name in the making.
type addressSet struct {
	families
	seen distinctRecords
}

func (c *addressCompiler) newSet() *addressSet {
	return &addressSet{families: newFamilies(c.ttl), seen: make(distinctRecords)}
}

func (s *addressSet) add(address netip.Addr, ttl time.Duration) {
	s.seen.add(s.of(address), addressRecord(address), ttl)
}

// compileAddresses returns the addresses of the name that two services share; either may be nil.
func compileAddresses(first, second *store.Snapshot, ttl time.Duration) *addresses {
	c := addressCompiler{ttl: ttl, hosts: make(map[string]*addressSet)}
	c.all = c.newSet()
	for _, snapshot := range []*store.Snapshot{first, second} {
		for live := range snapshot.Up() {
			c.add(live)
		}
	}
	result := &addresses{all: c.all.host(), hosts: make(map[string]*host, len(c.hosts))}
	for name, set := range c.hosts {
		h := set.host()
		result.hosts[name] = &h
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

// families is the address records of one name that is being compiled.
type families struct {
	a, aaaa *rrset
}

func newFamilies(ttl time.Duration) families {
	return families{a: newRRset(dns.TypeA, ttl), aaaa: newRRset(dns.TypeAAAA, ttl)}
}

// of returns the set that an address belongs to.
func (f families) of(address netip.Addr) *rrset {
	if address.Is4() {
		return f.a
	}
	return f.aaaa
}

func (f families) host() host { return host{a: f.a.orNil(), aaaa: f.aaaa.orNil()} }

func addressRecord(address netip.Addr) record {
	return record{data: address.AsSlice(), ref: noReference}
}
