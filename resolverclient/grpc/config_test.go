package dnsreggrpc_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/balancer"

	dnsreggrpc "github.com/dnsreg/dnsreg/resolverclient/grpc"
)

// newParser returns what gRPC reads the policy's settings with.
func newParser(tb testing.TB) balancer.ConfigParser {
	tb.Helper()
	p, ok := balancer.Get(dnsreggrpc.PolicyName).(balancer.ConfigParser)
	if !ok {
		tb.Fatal("the registered policy reads no settings")
	}
	return p
}

func TestSettings(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []string // in the error; empty for none
	}{
		{"default", `{}`, nil},
		{"all", `{"ejectAfter":3,"ejectFor":"1.5s","failoverDelay":"0s"}`, nil},
		{"never eject", `{"ejectAfter":-1}`, nil},
		{"null is default", `{"ejectAfter":null,"ejectFor":null,"failoverDelay":null}`, nil},
		{"of a later version", `{"new":1}`, nil},
		{"limit of none", `{"ejectAfter":0}`, []string{"ejectAfter 0"}},
		{"all wrong", `{"ejectAfter":0,"ejectFor":"0s","failoverDelay":"-1s"}`, []string{"ejectAfter 0", "ejectFor 0s", "failoverDelay -1s"}},
		{"no unit", `{"ejectFor":"10"}`, []string{"missing unit"}},
		{"a number for a duration", `{"ejectFor":10}`, []string{"cannot unmarshal"}},
		{"no object", `[]`, []string{"cannot unmarshal"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newParser(t).ParseConfig([]byte(tt.in))
			if (err != nil) != (tt.want != nil) {
				t.Fatalf("got %v", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
		})
	}
}
