package dnsreggrpc

import (
	"google.golang.org/grpc/resolver"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// StateOf is what the resolver tells gRPC of some instances.
func StateOf(instances []resolverclient.Endpoint) resolver.State { return stateOf(instances) }

// Picks returns whose turns the first n are of members with these weights; members of weight 0 that get none are not
// counted.
func Picks(n int, weights ...uint16) []int {
	members := make([]member, len(weights))
	for i, w := range weights {
		members[i].weight = w
	}
	p := newPicker(members, newTurns())
	out := make([]int, n)
	for i := range out {
		out[i] = p.next()
	}
	return out
}

// Chosen returns the service config that a text has for a client at a host, which drew a number from 0 to 99.
func Chosen(text, host string, draw int) (string, error) { return chooser{host, draw}.choose(text) }

// ConfigTexts returns the texts of service configs of some instances in the order in which they are tried.
func ConfigTexts(instances []resolverclient.Endpoint) []string { return configTexts(instances) }
