package dnsreggrpc_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/dnsreg/dnsreg/resolverclient"
	dnsreggrpc "github.com/dnsreg/dnsreg/resolverclient/grpc"
)

const withPolicy = `{"loadBalancingConfig":[{"dnsreg_srv":{}}]}`

func TestServiceConfigChoice(t *testing.T) {
	for _, tt := range []struct {
		name, in, want, fails string
	}{
		{name: "for all", in: `[{"serviceConfig":{}}]`, want: withPolicy},
		{name: "names a policy", in: `[{"serviceConfig":{"loadBalancingConfig":[{"round_robin":{}}]}}]`, want: `{"loadBalancingConfig":[{"round_robin":{}}]}`},
		{name: "names one in the old way", in: `[{"serviceConfig":{"loadBalancingPolicy":"pick_first"}}]`, want: `{"loadBalancingPolicy":"pick_first"}`},
		{name: "first that holds", in: `[{"clientLanguage":["java"],"serviceConfig":{"a":1}},{"serviceConfig":{"loadBalancingPolicy":"b"}},{"serviceConfig":{}}]`, want: `{"loadBalancingPolicy":"b"}`},
		{name: "language", in: `[{"clientLanguage":["java","GO"],"serviceConfig":{}}]`, want: withPolicy},
		{name: "other language", in: `[{"clientLanguage":["java"],"serviceConfig":{}}]`},
		{name: "no language", in: `[{"clientLanguage":[],"serviceConfig":{}}]`},
		{name: "host", in: `[{"clientHostName":["other","HERE"],"serviceConfig":{}}]`, want: withPolicy},
		{name: "host as the proposal spells it", in: `[{"clientHostname":["here"],"serviceConfig":{}}]`, want: withPolicy},
		{name: "other host", in: `[{"clientHostName":["other"],"serviceConfig":{}}]`},
		{name: "percentage above the draw", in: `[{"percentage":41,"serviceConfig":{}}]`, want: withPolicy},
		{name: "percentage of the draw", in: `[{"percentage":40,"serviceConfig":{}}]`},
		{name: "none", in: `[]`},
		{name: "no list", in: `{}`, fails: "cannot unmarshal"},
		{name: "no JSON", in: `[{`, fails: "unexpected end"},
		{name: "no config", in: `[{"percentage":100}]`, fails: "no serviceConfig"},
		{name: "no object", in: `[{"serviceConfig":3}]`, fails: "cannot unmarshal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := dnsreggrpc.Chosen(tt.in, "here", 40)
			if got != tt.want || (err != nil) != (tt.fails != "") || err != nil && !strings.Contains(err.Error(), tt.fails) {
				t.Errorf("got %s, %v, want %s, %s", got, err, tt.want, tt.fails)
			}
		})
	}
}

func TestServiceConfigTexts(t *testing.T) {
	has := func(n int, txt ...string) []resolverclient.Endpoint {
		return slices.Repeat([]resolverclient.Endpoint{{TXT: txt}}, n)
	}
	for _, tt := range []struct {
		name string
		in   []resolverclient.Endpoint
		want []string
	}{
		{"none", has(3, "version=1"), nil},
		{"one for all", has(3, "version=1", "grpc_config=[1]"), []string{"[1]"}},
		{"the most frequent first", slices.Concat(has(1, "grpc_config=[1]"), has(2, "grpc_config=[2]"), has(9)), []string{"[2]", "[1]"}},
		{"a tie", slices.Concat(has(2, "grpc_config=[2]"), has(2, "grpc_config=[1]")), []string{"[1]", "[2]"}},
		{"in parts", has(1, "grpc_config.3=]", "grpc_config=[", "grpc_config.2=2", "grpc_config.5=x"), []string{"[2]"}},
		{"no first part", has(1, "grpc_config.2=2"), nil},
		{"in capitals", has(1, "GRPC_CONFIG=[1]"), []string{"[1]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := dnsreggrpc.ConfigTexts(tt.in); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Whatever instances put into their TXT, a chosen config is a JSON object that names a policy.
func FuzzServiceConfig(f *testing.F) {
	f.Add(`[{"clientLanguage":["go"],"percentage":50,"clientHostName":["here"],"serviceConfig":{"methodConfig":[]}}]`)
	f.Add(`[{"serviceConfig":{"loadBalancingPolicy":"round_robin"}}]`)
	f.Add(`[{"serviceConfig":null},null,{}]`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := dnsreggrpc.Chosen(text, "here", 40)
		if err != nil || got == "" {
			return
		}
		var config map[string]json.RawMessage
		if err := json.Unmarshal([]byte(got), &config); err != nil {
			t.Fatalf("got %s: %v", got, err)
		}
		if config["loadBalancingConfig"] == nil && config["loadBalancingPolicy"] == nil {
			t.Errorf("got %s without a policy", got)
		}
	})
}

// FuzzSettings reads the policy's settings.
func FuzzSettings(f *testing.F) {
	f.Add([]byte(`{"ejectAfter":5,"ejectFor":"10s","failoverDelay":"1s"}`))
	f.Add([]byte(`{"ejectFor":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if config, err := newParser(t).ParseConfig(raw); (config == nil) == (err == nil) {
			t.Errorf("got %v, %v", config, err)
		}
	})
}
