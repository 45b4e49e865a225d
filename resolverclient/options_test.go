package resolverclient_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// fleet are four instances in two zones and two versions, the last with a higher priority number; c has a subtype.
func fleet() []string {
	var records []string
	for i, txt := range []string{`"zone=a" "v=1"`, `"zone=a" "v=2"`, `"zone=b" "v=1"`, `"zone=b" "v=2"`} {
		id := string(rune('a' + i))
		records = append(records,
			fmt.Sprintf("_web._tcp.svc.internal. 5 PTR %s._web._tcp.svc.internal.", id),
			fmt.Sprintf("%s._web._tcp.svc.internal. 5 SRV %d 1 80 %s.web.svc.internal.", id, i/3, id),
			fmt.Sprintf("%s._web._tcp.svc.internal. 5 TXT %s", id, txt),
			fmt.Sprintf("%s.web.svc.internal. 5 A 127.0.0.%d", id, i+1))
	}
	return append(records, "_canary._sub._web._tcp.svc.internal. 5 PTR c._web._tcp.svc.internal.")
}

func TestOptionsNarrowTheChoice(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts []resolverclient.Option
		want string
	}{
		{"none", nil, "a b c"},
		{"TXT", []resolverclient.Option{resolverclient.FilterTXT("V", "1")}, "a c"},
		{"two filters", []resolverclient.Option{resolverclient.FilterTXT("v", "1"), resolverclient.FilterTXT("zone", "b")}, "c"},
		{"the best priority that is left", []resolverclient.Option{
			resolverclient.FilterTXT("v", "2"), resolverclient.FilterTXT("zone", "b"),
		}, "d"},
		{"function", []resolverclient.Option{
			resolverclient.Filter(func(e resolverclient.Endpoint) bool { return e.Instance != "a" }),
		}, "b c"},
		{"subtype", []resolverclient.Option{resolverclient.Subtype("_canary")}, "c"},
		{"own zone", []resolverclient.Option{resolverclient.PreferTXT("zone", "a")}, "a b"},
		{"other zone, priority counts more", []resolverclient.Option{resolverclient.PreferTXT("zone", "b")}, "c"},
		{"zone without instances", []resolverclient.Option{resolverclient.PreferTXT("zone", "x")}, "a b c"},
		{"subset larger than the set", []resolverclient.Option{
			resolverclient.Subset("me", 9), resolverclient.FilterTXT("v", "1"),
		}, "a c"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := clientOf(t, newZone(t, append(fleet(), fleetSRV()...)...).serve)
			b, err := c.Balancer("web", resolverclient.RoundRobin, tt.opts...)
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]bool{}
			for range 12 {
				p, err := b.Pick(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				seen[p.Endpoint.Target[:1]] = true
			}
			if got := strings.Join(slices.Sorted(maps.Keys(seen)), " "); got != tt.want {
				t.Errorf("picked %s, want %s", got, tt.want)
			}
		})
	}
}

// fleetSRV are the SRV records of the fleet at the service's own name.
func fleetSRV() (records []string) {
	for i, id := range []string{"a", "b", "c", "d"} {
		records = append(records, fmt.Sprintf("_web._tcp.svc.internal. 5 SRV %d 1 80 %s.web.svc.internal.", i/3, id))
	}
	return records
}

func TestNothingPassesTheFilter(t *testing.T) {
	c := clientOf(t, newZone(t, fleet()...).serve)
	b, err := c.Balancer("web", resolverclient.Random, resolverclient.FilterTXT("v", "3"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Pick(t.Context()); !errors.Is(err, resolverclient.ErrNoEndpoint) {
		t.Errorf("got %v, want ErrNoEndpoint", err)
	}
}

// subset returns the ports that a client's subset of n endpoints has.
func subset(t *testing.T, name string, size, n int) map[uint16]bool {
	t.Helper()
	c := clientOf(t, newZone(t, weighted(0, make([]int, n)...)...).serve)
	b, err := c.Balancer("web", resolverclient.RoundRobin, resolverclient.Subset(name, size))
	if err != nil {
		t.Fatal(err)
	}
	ports := map[uint16]bool{}
	for range 3 * size {
		p, err := b.Pick(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ports[p.Endpoint.Port] = true
	}
	return ports
}

func TestSubsetIsDeterministicAndStable(t *testing.T) {
	const size, n = 5, 20
	first := subset(t, "client-0", size, n)
	if again := subset(t, "client-0", size, n); !maps.Equal(first, again) || len(first) != size {
		t.Errorf("the same client got %v and %v", first, again)
	}
	kept := 0
	for port := range subset(t, "client-0", size, n-1) {
		if first[port] {
			kept++
		}
	}
	if kept < size-1 {
		t.Errorf("%d of %d endpoints stayed after one of %d left", kept, size, n)
	}
	counts := make([]int, n)
	for i := range 60 {
		for port := range subset(t, fmt.Sprintf("client-%d", i), size, n) {
			counts[port-1]++
		}
	}
	if least, most := slices.Min(counts), slices.Max(counts); least < 4 || most > 30 {
		t.Errorf("60 clients of 5 endpoints each load them by %v, want about 15 each", counts)
	}
}

func TestOptionsRefuse(t *testing.T) {
	c := clientOf(t, silent)
	_, err := c.Balancer("web", resolverclient.Random,
		resolverclient.Subset("x", 0), resolverclient.SlowStart(-1), resolverclient.Subtype(""))
	for _, text := range []string{"Subset of 0", "SlowStart of -1ns", `Subtype ""`} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v does not say %q", err, text)
		}
	}
	if _, err := c.Balancer("we b", resolverclient.Random, resolverclient.Subtype("x")); err == nil {
		t.Error("a malformed name was taken")
	}
}

// A balancer that needs no metadata asks for none.
func TestOptionsDecideWhatIsAsked(t *testing.T) {
	queries := &counted{next: newZone(t, append(fleet(), fleetSRV()...)...).serve}
	c := clientOf(t, queries.serve)
	for _, opts := range [][]resolverclient.Option{{resolverclient.Subset("x", 2)}, {resolverclient.FilterTXT("v", "1")}} {
		asked := queries.of(dns.TypePTR)
		b, err := c.Balancer("web", resolverclient.Random, opts...)
		if err != nil {
			t.Fatal(err)
		}
		p, err := b.Pick(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if browsed := queries.of(dns.TypePTR) > asked; browsed != (p.Endpoint.Instance != "") {
			t.Errorf("asked for PTR %v, instance %q", browsed, p.Endpoint.Instance)
		}
	}
}
