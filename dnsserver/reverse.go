package dnsserver

import (
	"context"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// reverse is what a reverse zone has in place of services: PTR records from the addresses of one prefix to host names
// (RFC 1035 section 3.5, RFC 3596 section 2.5).
type reverse struct {
	prefix   netip.Prefix
	cuts     []netip.Prefix // that have zones of their own
	zone     string         // of the hosts
	ttl      time.Duration
	pointers *pointers
}

// newReverse returns the authorities for the reverse zones of a zone whose config has been completed and checked. They
// have its source, name servers and mailbox, and whoever may have it as a whole may have them.
func newReverse(c Config, pool *transferPool, config Zone) ([]*authority, error) {
	hosts := &pointers{prefixes: config.Reverse}
	var list []*authority
	for _, prefix := range config.Reverse {
		name, err := dnssd.ReverseZone(prefix)
		if err != nil {
			return nil, err
		}
		zone := config
		zone.Name = name
		a, err := newAuthority(c, pool, zone)
		if err != nil {
			return nil, err
		}
		a.reverse = &reverse{prefix: prefix, zone: config.Name, ttl: c.TTL, pointers: hosts}
		a.transfers.journal.contents.reverse = a.reverse
		a.zone.browse = nil
		list = append(list, a)
	}
	return list, nil
}

// find returns the node of the question's name, which is below the zone's.
func (v *reverse) find(l *lookup, q *query) node {
	prefix, ok := v.prefixOf(q)
	if !ok {
		return node{}
	}
	addresses := v.pointers.at(l.view)
	if !prefix.IsSingleIP() {
		return node{exists: addresses.within(prefix)}
	}
	o := addresses.find(prefix.Addr())
	if o == nil {
		return node{}
	}
	set := o.pointers(v.zone, v.ttl)
	if set == nil {
		return node{broken: true}
	}
	return setsNode(set)
}

// Bits of an address, and the place of an IPv4 address in the IPv6 address that stands for it.
const (
	addressBits = 128
	mappedBits  = 96
)

// prefixOf returns the addresses whose names the question's is or is above, false if there are none.
func (v *reverse) prefixOf(q *query) (netip.Prefix, bool) {
	addr, bits, width, first := v.prefix.Addr().As16(), v.prefix.Bits(), 4, 0
	if v.prefix.Addr().Is4() {
		width, first = 8, mappedBits
	}
	for n := 1; n <= q.depth; n++ {
		value, ok := digits(q.below(n), width)
		at := first + bits
		if !ok || at == addressBits {
			return netip.Prefix{}, false
		}
		addr[at/8] |= value << (8 - width - at%8)
		bits += width
	}
	if first > 0 {
		return netip.PrefixFrom(netip.AddrFrom16(addr).Unmap(), bits), true
	}
	return netip.PrefixFrom(netip.AddrFrom16(addr), bits), true
}

// digits returns the number that a label is: of 8 bits in decimal, of 4 in hexadecimal, each in its one shortest form.
func digits(label []byte, width int) (value byte, ok bool) {
	if width == 4 {
		return nibble(label)
	}
	n := 0
	for _, c := range label {
		if c < '0' || c > '9' || len(label) > 3 {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return byte(n), n <= 255 && (label[0] != '0' || len(label) == 1)
}

func nibble(label []byte) (value byte, ok bool) {
	switch c := label[0]; {
	case len(label) != 1:
		return 0, false
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	default:
		return 0, false
	}
}

// has reports whether an address has its name in the zone.
func (v *reverse) has(addr netip.Addr) bool {
	return v.prefix.Contains(addr) && !slices.ContainsFunc(v.cuts, func(cut netip.Prefix) bool { return cut.Contains(addr) })
}

// all yields the sets at addresses of a view, and reports whether to go on.
func (v *reverse) all(z *zone, view *store.View, yield func(placed) bool) bool {
	addresses := v.pointers.at(view)
	for _, chunk := range addresses[addresses.chunk(v.prefix.Addr()):] {
		for _, o := range chunk {
			if v.has(o.addr) && !v.yield(z, o, yield) {
				return false
			}
		}
	}
	return true
}

// yield yields the set at an address, nil for none, if it can be encoded.
func (v *reverse) yield(z *zone, o *owned, yield func(placed) bool) bool {
	if o == nil {
		return true
	}
	set := o.compile(v.zone, v.ttl, math.MaxInt)
	return set == nil || yield(placed{v.nameOf(z, o.addr), set})
}

// nameOf returns the name of an address in its reverse zone.
func (v *reverse) nameOf(z *zone, addr netip.Addr) []byte {
	width := 4
	if addr.Is4() {
		width = 8
	}
	labels := dnssd.ReverseLabels(addr)[v.prefix.Bits()/width:]
	slices.Reverse(labels)
	return join(z.wire, labels...)
}

// followEvery is how often pointers are brought up to date where nobody asks, so that who asks next finds little to do.
const followEvery = 100 * time.Millisecond

// keepPointers keeps the pointers of a zone up to date until ctx ends.
func (a *authority) keepPointers(ctx context.Context) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		a.reverse.pointers.at(a.source.View())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
