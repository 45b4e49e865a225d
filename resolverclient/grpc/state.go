package dnsreggrpc

import (
	"cmp"
	"slices"

	"google.golang.org/grpc/attributes"
	"google.golang.org/grpc/resolver"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// share is what the SRV record of an endpoint says of its part in the load (RFC 2782).
type share struct{ priority, weight uint16 }

// Equal is what package attributes compares by.
func (s share) Equal(other any) bool { return other == any(s) }

// shareKey is the key of a share among an endpoint's attributes.
type shareKey struct{}

// shareOf returns the share of an endpoint; that of an equal among equals where another resolver made it.
func shareOf(e resolver.Endpoint) share {
	if s, ok := e.Attributes.Value(shareKey{}).(share); ok {
		return s
	}
	return share{weight: 1}
}

// stateOf returns the instances as gRPC takes them: one endpoint for each that has a port and an address, in an order
// that depends on nothing but the set, and the addresses of all for policies that know no endpoints. Of instances with
// the same addresses, which gRPC cannot tell apart, the first stands for all.
func stateOf(instances []resolverclient.Endpoint) resolver.State {
	instances = slices.Clone(instances)
	slices.SortFunc(instances, func(a, b resolverclient.Endpoint) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(identity(a), identity(b)), cmp.Compare(b.Weight, a.Weight))
	})
	state := resolver.State{Endpoints: []resolver.Endpoint{}}
	seen := resolver.NewEndpointMap[bool]()
	for _, i := range instances {
		e := endpointOf(i)
		if _, again := seen.Get(e); again || len(e.Addresses) == 0 {
			continue
		}
		seen.Set(e, true)
		state.Endpoints = append(state.Endpoints, e)
		state.Addresses = append(state.Addresses, e.Addresses...)
	}
	return state
}

func endpointOf(i resolverclient.Endpoint) resolver.Endpoint {
	e := resolver.Endpoint{Attributes: attributes.New(shareKey{}, share{i.Priority, i.Weight})}
	if i.Port == 0 {
		return e
	}
	for _, addr := range i.AddrPorts() {
		e.Addresses = append(e.Addresses, resolver.Address{Addr: addr.String()})
	}
	return e
}
