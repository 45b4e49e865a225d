package resolverclient

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// Endpoint is one instance of a service as its SRV record describes it, a value that may be copied. Target and Port
// together, and Instance where it is known, identify it.
type Endpoint struct {
	// Target is the absolute name of the instance's host, in small letters, with a dot at its end.
	Target string
	// Port is where the instance listens. 0 is never picked.
	Port uint16
	// Priority orders the endpoints: the lowest is used first (RFC 2782).
	Priority uint16
	// Weight is the endpoint's share among those of its priority; 0 is a very small one.
	Weight uint16
	// Addresses are the target's addresses, IPv4 first. They are shared: do not change them. An endpoint whose target
	// has no address is returned by Lookup and never picked.
	Addresses []netip.Addr
	// Instance is the instance's id, the first label of its DNS-SD name, and TXT its strings, "key", "key=" or
	// "key=value" (RFC 6763 section 6), shared like Addresses. Only answers that come by way of PTR records have
	// them: those of Service and Watch, and picks of a balancer whose options need them.
	Instance string
	TXT      []string
}

// Text returns the value of a key of TXT, in whatever case, and whether the key is there (RFC 6763 section 6.4). The
// first of several counts.
func (e Endpoint) Text(key string) (value string, ok bool) {
	for _, s := range e.TXT {
		if k, v, _ := dnssd.TXTKey(s); k != "" && dnssd.Fold(k) == dnssd.Fold(key) {
			return v, true
		}
	}
	return "", false
}

// HostPort returns the first address and the port as dialers take them, "10.0.0.5:8080" or "[2001:db8::1]:8080", or the
// target's name and the port where no address is known.
func (e Endpoint) HostPort() string {
	host := strings.TrimSuffix(e.Target, ".")
	if len(e.Addresses) > 0 {
		host = e.Addresses[0].String()
	}
	return net.JoinHostPort(host, strconv.Itoa(int(e.Port)))
}

// AddrPorts returns each address with the port, in the order in which to dial them.
func (e Endpoint) AddrPorts() []netip.AddrPort {
	out := make([]netip.AddrPort, len(e.Addresses))
	for i, addr := range e.Addresses {
		out[i] = netip.AddrPortFrom(addr, e.Port)
	}
	return out
}

// usable reports whether the endpoint can be dialled.
func (e *Endpoint) usable() bool { return e.Port != 0 && len(e.Addresses) > 0 }

func (e *Endpoint) equal(other *Endpoint) bool {
	return e.Target == other.Target && e.Port == other.Port && e.Priority == other.Priority &&
		e.Weight == other.Weight && e.Instance == other.Instance &&
		slices.Equal(e.Addresses, other.Addresses) && slices.Equal(e.TXT, other.TXT)
}

// compareEndpoints orders endpoints by priority, then by what identifies them.
func compareEndpoints(a, b Endpoint) int {
	return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Target, b.Target),
		cmp.Compare(a.Port, b.Port), cmp.Compare(a.Instance, b.Instance))
}

// Answer is what is known of a service.
type Answer struct {
	// Name is the absolute name that was asked for.
	Name string
	// Endpoints are in the order in which to try them: by priority, and within one drawn by weight (RFC 2782), anew in
	// each answer. The slice is the caller's.
	Endpoints []Endpoint
	// TTL is how much longer the answer holds: the least TTL of the records used, less its age; 5 s at most where some of
	// them could not be had. 0 when it is stale.
	TTL time.Duration
	// Stale says why the answer, or some record in it, is past its TTL and yet in use. Nil while all is fresh.
	Stale error
}

// set is the endpoints of one service, sorted by compareEndpoints and immutable.
type set struct{ endpoints []Endpoint }

// maxEndpoints bounds a set. One answer of SRV records has room for a fifth of them; many instances that DNS-SD
// names, with many records each, or a file may have more.
const maxEndpoints = 1 << 14

// normalize sorts the endpoints and leaves, of those with the same identity, the one of the lowest priority.
func (s *set) normalize() {
	slices.SortStableFunc(s.endpoints, compareEndpoints)
	seen := make(map[identity]bool, len(s.endpoints))
	s.endpoints = slices.DeleteFunc(s.endpoints, func(e Endpoint) bool {
		again := seen[e.identity()]
		seen[e.identity()] = true
		return again
	})
}

// equal reports whether the endpoints are the same.
func (s *set) equal(other *set) bool {
	return slices.EqualFunc(s.endpoints, other.endpoints, func(a, b Endpoint) bool { return a.equal(&b) })
}

// classes returns the endpoints of each priority, lowest first.
func (s *set) classes() [][]Endpoint {
	var out [][]Endpoint
	for rest := s.endpoints; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Priority == rest[0].Priority {
			n++
		}
		out, rest = append(out, rest[:n]), rest[n:]
	}
	return out
}

// identity is what stays the same of an endpoint when its weight, addresses and the like change.
type identity struct {
	instance, target string
	port             uint16
}

func (e *Endpoint) identity() identity { return identity{e.Instance, e.Target, e.Port} }
