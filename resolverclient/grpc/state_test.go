package dnsreggrpc_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"google.golang.org/grpc/resolver"

	"github.com/dnsreg/dnsreg/resolverclient"
	dnsreggrpc "github.com/dnsreg/dnsreg/resolverclient/grpc"
)

func TestState(t *testing.T) {
	dual := at(second, 0, 1)
	dual.Addresses = append(dual.Addresses, netip.MustParseAddr("2001:db8::2"))
	nowhere, portless := at(first, 0, 1), at(first, 0, 1)
	nowhere.Addresses, portless.Port = nil, 0
	twice := at(first, 10, 1)
	twice.Instance = "other"
	for _, tt := range []struct {
		name string
		in   []resolverclient.Endpoint
		want []string
	}{
		{"none", nil, nil},
		{"by priority", []resolverclient.Endpoint{at(spare, 10, 1), at(first, 0, 1)}, []string{"[10.0.0.1:80]", "[10.0.1.1:80]"}},
		{"two addresses", []resolverclient.Endpoint{dual}, []string{"[10.0.0.2:80 [2001:db8::2]:80]"}},
		{"no address, no port", []resolverclient.Endpoint{nowhere, at(second, 0, 1), portless}, []string{"[10.0.0.2:80]"}},
		{"the same address twice", []resolverclient.Endpoint{twice, at(first, 0, 1)}, []string{"[10.0.0.1:80]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			state := dnsreggrpc.StateOf(tt.in)
			var got []string
			n := 0
			for _, e := range state.Endpoints {
				got = append(got, fmt.Sprint(addrs(e.Addresses)))
				n += len(e.Addresses)
			}
			if !slices.Equal(got, tt.want) || len(state.Addresses) != n || state.Endpoints == nil {
				t.Errorf("got %v and %v, want %v", got, state.Addresses, tt.want)
			}
		})
	}
}

func addrs(in []resolver.Address) (out []string) {
	for _, a := range in {
		out = append(out, a.Addr+a.ServerName)
	}
	return out
}

// The order of an answer is drawn anew each time, and must not reach gRPC.
func TestStateHasOneOrder(t *testing.T) {
	in := fleet()
	want := dnsreggrpc.StateOf(in)
	for range 20 {
		rand.Shuffle(len(in), func(i, j int) { in[i], in[j] = in[j], in[i] })
		if got := dnsreggrpc.StateOf(in); !reflect.DeepEqual(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}
