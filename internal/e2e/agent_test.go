package e2e_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/store"
)

// TestAgentsSurviveAKilledServer kills a server with three agents and starts another, which knows nothing, on the same
// addresses. All three are answered again within one heartbeat interval after it listens.
func TestAgentsSurviveAKilledServer(t *testing.T) {
	t.Parallel()
	const ttl = 2 * store.DefaultTTL // a tenth of the interval is what a slow machine may take
	const interval = ttl / 3
	s := serve(t)
	var want []string
	for i := range 3 {
		id := fmt.Sprintf("agent-%d", i)
		runAgent(t, s.http, id, ttl)
		want = append(want, id+"._web._tcp."+zone)
	}
	answered := func(s *server) bool {
		got := dig(t, s, "_web._tcp."+zone, "PTR")
		slices.Sort(got)
		return slices.Equal(got, want)
	}
	within(t, patience, "three agents are answered", func() bool { return answered(s) })
	s.kill()
	again := serveOn(t, s.dns, strings.TrimPrefix(s.http, "http://"))
	listening := time.Now()
	within(t, interval, "three agents are answered again", func() bool { return answered(again) })
	t.Logf("answered again %v after the server listens, of %v allowed", time.Since(listening).Round(time.Millisecond), interval)
}

// TestAgentLeaves holds that an instance is deregistered when its agent is closed: at once, not at the lease's end.
func TestAgentLeaves(t *testing.T) {
	t.Parallel()
	s := serve(t)
	agent := runAgent(t, s.http, "leaver", time.Hour)
	name := "leaver._web._tcp." + zone
	within(t, patience, "the agent's instance is answered", func() bool { return dig(t, s, name, "SRV")[0] != "" })
	if err := agent.Close(); err != nil {
		t.Fatal(err)
	}
	if got := dig(t, s, name, "SRV"); got[0] != "" {
		t.Errorf("still answered after Close: %q", got)
	}
}

// runAgent keeps one instance registered until the test ends or the agent is closed.
func runAgent(t *testing.T, url, id string, ttl time.Duration) *heartbeat.Agent {
	t.Helper()
	client, err := heartbeat.NewClient(heartbeat.Config{Server: url})
	if err != nil {
		t.Fatal(err)
	}
	agent, err := heartbeat.NewAgent(heartbeat.AgentConfig{Client: client, Entries: []heartbeat.Entry{{
		Service: "_web._tcp",
		Instance: store.Instance{
			ID: id, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}, Port: 80, Weight: store.DefaultWeight, TTL: ttl,
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- agent.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return agent
}
