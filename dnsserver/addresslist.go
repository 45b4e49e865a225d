package dnsserver

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// addressList is addresses with their owners, in order. It is immutable: a change copies the chunks that it is in, and
// the list of chunks, of which there is one for some hundred addresses.
type addressList [][]*owned

// owned is an address with its owners. But for the set, which is made when it is first asked for, it is immutable.
type owned struct {
	addr   netip.Addr
	owners []owner
	set    atomic.Pointer[rrset]
}

// maxChunk is how many addresses stand in one chunk at most.
const maxChunk = 512

func compareAddress(o *owned, addr netip.Addr) int { return o.addr.Compare(addr) }

// chunk returns the number of the chunk where an address is, or would be put.
func (l addressList) chunk(addr netip.Addr) int {
	after, _ := slices.BinarySearchFunc(l, addr, func(chunk []*owned, addr netip.Addr) int {
		if chunk[0].addr.Compare(addr) > 0 {
			return 1
		}
		return -1
	})
	return max(after-1, 0)
}

// find returns an address, nil if it is not there.
func (l addressList) find(addr netip.Addr) *owned {
	if first := l.from(addr); first != nil && first.addr == addr {
		return first
	}
	return nil
}

// within reports whether any address is in a prefix.
func (l addressList) within(prefix netip.Prefix) bool {
	first := l.from(prefix.Addr())
	return first != nil && prefix.Contains(first.addr)
}

// from returns the first address that is not below addr, nil if all are.
func (l addressList) from(addr netip.Addr) *owned {
	if len(l) == 0 {
		return nil
	}
	n := l.chunk(addr)
	if i, _ := slices.BinarySearchFunc(l[n], addr, compareAddress); i < len(l[n]) {
		return l[n][i]
	}
	if n+1 < len(l) {
		return l[n+1][0]
	}
	return nil
}

// apply returns the list after edits, which are in the order of their addresses.
func (l addressList) apply(edits []*edit) addressList {
	var next addressList
	for len(edits) > 0 {
		n := l.chunk(edits[0].addr)
		next, l = append(next, l[:n]...), l[n:]
		var chunk []*owned
		count := len(edits)
		if len(l) > 0 {
			chunk, l = l[0], l[1:]
		}
		if len(l) > 0 {
			count, _ = slices.BinarySearchFunc(edits, l[0][0].addr, func(e *edit, addr netip.Addr) int { return e.addr.Compare(addr) })
		}
		next = next.add(merge(chunk, edits[:count]))
		edits = edits[count:]
	}
	return append(next, l...)
}

// merge returns the addresses of a chunk after edits.
func merge(chunk []*owned, edits []*edit) []*owned {
	merged := make([]*owned, 0, len(chunk)+len(edits))
	for _, e := range edits {
		n, found := slices.BinarySearchFunc(chunk, e.addr, compareAddress)
		merged, chunk = append(merged, chunk[:n]...), chunk[n:]
		var owners []owner
		if found {
			owners, chunk = chunk[0].owners, chunk[1:]
		}
		if owners = e.apply(owners); len(owners) > 0 {
			merged = append(merged, &owned{addr: e.addr, owners: owners})
		}
	}
	return append(merged, chunk...)
}

// add puts addresses at the end of the list, in chunks that are neither too large nor, beside one another, too small.
func (l addressList) add(addresses []*owned) addressList {
	if last := len(l) - 1; last >= 0 && len(l[last])+len(addresses) <= maxChunk/2 {
		addresses, l = slices.Concat(l[last], addresses), l[:last]
	}
	if len(addresses) <= maxChunk {
		if len(addresses) == 0 {
			return l
		}
		return append(l, addresses)
	}
	for chunk := range slices.Chunk(addresses, maxChunk/2) {
		l = append(l, slices.Clip(chunk))
	}
	return l
}

// pointers returns the PTR set of the address, nil if a name in it cannot be encoded. The greatest TTL that it may have
// is ttl. A set that no message can hold is cut short behind that, and never written.
func (o *owned) pointers(zone string, ttl time.Duration) *rrset {
	if set := o.set.Load(); set != nil {
		return set
	}
	set := o.compile(zone, ttl, maxMessageSize)
	o.set.Store(set)
	return set
}

// compile is pointers up to a size of its own.
func (o *owned) compile(zone string, ttl time.Duration, size int) *rrset {
	set, seen := newRRset(dns.TypePTR, ttl), make(distinctRecords)
	for _, owner := range o.owners {
		name, err := wireName(dnssd.TargetName(zone, string(owner.service), owner.host))
		if err != nil {
			return nil
		}
		seen.add(set, record{data: name, ref: noReference}, owner.ttl)
		if set.size > size {
			break
		}
	}
	return set
}
