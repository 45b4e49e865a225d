package dnsserver

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
)

// Defaults and bounds of the rate limit. A slip of 1 would be no limit for queries that bring half a cookie, whose other
// half makes a truncated reply longer than they are.
const (
	defaultRateLimit = 200
	maxRateLimit     = 100_000
	defaultRateSlip  = 2
	minRateSlip      = 2
	maxRateSlip      = 100
)

// rateBuckets is how many prefixes are told apart. It bounds the memory to 1 MiB however many addresses a flood names.
const rateBuckets = 1 << 17

// burst is how much of the rate may be used at once.
const burst = uint64(time.Second / time.Microsecond)

// localPrefixes is where a source address is not forged from elsewhere, and one resolver speaks for thousands.
func localPrefixes() []netip.Prefix {
	var prefixes []netip.Prefix
	for _, s := range []string{
		"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10",
	} {
		prefixes = append(prefixes, netip.MustParsePrefix(s))
	}
	return prefixes
}

// verdict is what becomes of a query over UDP.
type verdict uint8

const (
	pass verdict = iota
	slip         // a truncated reply: whoever is there can ask over TCP
	drop
)

// limiter bounds the replies that each prefix gets over UDP, so that a server is no use for a flood in somebody else's
// name. It is a table of fixed size without locks. Prefixes that fall into one bucket share its rate; which ones do
// nobody outside can tell.
type limiter struct {
	exempt   []netip.Prefix
	interval uint64 // microseconds for each reply
	slip     uint64 // 0: none
	start    time.Time
	seed     maphash.Seed

	// In each, the high 48 bits are when the replies so far are paid for, in microseconds since start, and the low 16
	// count queries beyond the rate. It is the generic cell rate algorithm with a burst of one second.
	buckets []atomic.Uint64
}

// newLimiter returns the limiter of a config that has been checked, nil if there is no limit.
func newLimiter(c Config) *limiter {
	if c.RateLimit < 0 {
		return nil
	}
	exempt := slices.Clone(c.RateExempt)
	return &limiter{
		exempt:   exempt,
		interval: burst / uint64(c.RateLimit),
		slip:     uint64(max(c.RateSlip, 0)),
		start:    time.Now(),
		seed:     maphash.MakeSeed(),
		buckets:  make([]atomic.Uint64, rateBuckets),
	}
}

// admit judges one query from an address.
func (l *limiter) admit(addr netip.Addr) verdict {
	if l == nil || l.isExempt(addr) {
		return pass
	}
	b := &l.buckets[maphash.Comparable(l.seed, prefixKey(addr))%rateBuckets]
	now := uint64(time.Since(l.start) / time.Microsecond)
	for {
		old := b.Load()
		paid, over := old>>16, old&0xffff
		next, v := max(paid, now)+l.interval, pass
		if next > now+burst {
			next, over, v = paid, (over+1)&0xffff, drop
			if l.slip > 0 && over%l.slip == 0 {
				v = slip
			}
		}
		if b.CompareAndSwap(old, next<<16|over) {
			return v
		}
	}
}

func (l *limiter) isExempt(addr netip.Addr) bool {
	for _, prefix := range l.exempt {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// prefixKey is the /24 of an IPv4 address, or the /56 of one of IPv6, each different from all others.
func prefixKey(addr netip.Addr) uint64 {
	if addr.Is4() {
		a := addr.As4()
		return 1<<63 | uint64(binary.BigEndian.Uint32(a[:])>>8)
	}
	a := addr.As16()
	return binary.BigEndian.Uint64(a[:8]) >> 8
}
