package dnsserver

import (
	"iter"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// hosts is the addresses of the hosts below one bare name, "web.Z", which the _tcp and the _udp service of that name
// share, by host label. It is immutable.
type hosts map[string]*host

// of returns the addresses of a host that a record of s refers to, nil for none.
func (h hosts) of(s *service, ref int32) *host { return h[s.hosts[ref]] }

// withAddresses iterates over the answered instances of two services that have addresses.
func withAddresses(first, second *store.Snapshot) iter.Seq[*store.Live] {
	return func(yield func(*store.Live) bool) {
		for _, snapshot := range [...]*store.Snapshot{first, second} {
			for live := range snapshot.Up() {
				if len(live.Addresses) > 0 && !dnssd.IsExternal(live.Host) && !yield(live) {
					return
				}
			}
		}
	}
}

// bareAddresses returns the addresses of the bare name itself.
func bareAddresses(first, second *store.Snapshot, ttl time.Duration) host {
	all, seen := newFamilies(ttl), make(distinctRecords)
	for live := range withAddresses(first, second) {
		for _, address := range live.Addresses {
			seen.add(all.of(address), addressRecord(address), live.TTL)
		}
	}
	return all.host()
}

// hostAddresses returns the addresses of each host below the bare name.
func hostAddresses(first, second *store.Snapshot, ttl time.Duration) hosts {
	n := 0
	for live := range withAddresses(first, second) {
		n += len(live.Addresses)
	}
	c := addressCompiler{
		ttl:     ttl,
		hosts:   make(hosts, n),
		all:     make([]host, n),
		sets:    make([]rrset, n),
		records: make([]record, n),
		octets:  make([]byte, 0, 16*n),
	}
	for live := range withAddresses(first, second) {
		c.add(live)
	}
	return c.hosts
}

// addressCompiler builds the addresses of hosts. There are no more hosts, sets or records than addresses, and they lie
// side by side.
type addressCompiler struct {
	ttl     time.Duration
	hosts   hosts
	all     []host
	sets    []rrset
	records []record
	octets  []byte
}

func (c *addressCompiler) add(live *store.Live) {
	own := c.hosts[live.Host]
	if own == nil {
		own = &c.all[0]
		c.all = c.all[1:]
		c.hosts[live.Host] = own
	}
	for _, address := range live.Addresses {
		if address.Is4() {
			own.a = c.addTo(own.a, dns.TypeA, address, live.TTL)
		} else {
			own.aaaa = c.addTo(own.aaaa, dns.TypeAAAA, address, live.TTL)
		}
	}
}

// addTo adds an address to a set of a host, nil if there is none yet, and returns the set.
func (c *addressCompiler) addTo(set *rrset, typ uint16, address netip.Addr, ttl time.Duration) *rrset {
	if set == nil {
		set = &c.sets[0]
		set.typ, set.class, set.ttl = typ, dns.ClassINET, seconds(c.ttl)
		set.records = c.records[:0:1]
		c.sets, c.records = c.sets[1:], c.records[1:]
	}
	set.addDistinct(record{data: c.data(address), ref: noReference}, ttl)
	return set
}

func (c *addressCompiler) data(address netip.Addr) []byte {
	start := len(c.octets)
	if address.Is4() {
		a := address.As4()
		c.octets = append(c.octets, a[:]...)
	} else {
		a := address.As16()
		c.octets = append(c.octets, a[:]...)
	}
	return c.octets[start:len(c.octets):len(c.octets)]
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
