package endpoint_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/heartbeat/endpoint"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// killable is a server whose connections break off as they do when its process is killed.
type killable struct {
	store   *memstore.Store
	address string
	since   time.Time // of its listening
	kill    func()
}

// newKillable starts a server with an empty store on an address, port 0 for any.
func newKillable(t testing.TB, address string) *killable {
	t.Helper()
	s, err := memstore.New(memstore.Config{Rules: rules()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- s.Run(ctx) }()
	server := &http.Server{Handler: newServer(t, config(s)).Handler()}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	k := &killable{store: s, address: l.Addr().String(), since: time.Now()}
	go func() { ended <- server.Serve(l) }()
	k.kill = func() {
		_ = server.Close()
		cancel()
		<-ended
		<-ended
	}
	return k
}

// answered returns how many of n agents the store's view would answer for.
func (k *killable) answered(n int) int {
	up := 0
	for i := range n {
		for range k.store.View().Service(store.Service(fmt.Sprintf("_web-%d._tcp", i))).Up() {
			up++
		}
	}
	return up
}

// TestAgentsThroughRestart has three Agents of their own through a server that is killed and comes back empty, at once and
// after a while: within one heartbeat interval after it listens all three are answered, without help.
func TestAgentsThroughRestart(t *testing.T) {
	const agents, ttl = 3, 45 * time.Second // a tenth of its interval is what a slow machine may take
	for _, outage := range []time.Duration{0, 2 * time.Second} {
		t.Run(outage.String(), func(t *testing.T) {
			t.Parallel()
			first := newKillable(t, "127.0.54.1:0") // where nobody takes the port meanwhile
			var stops []func() error
			for i := range agents {
				stops = append(stops, start(t, newAgent(t, first.address, fmt.Sprintf("web-%d", i), ttl).Run))
			}
			within(t, patience, "three instances", func() bool { return first.answered(agents) == agents })
			first.kill()
			<-time.After(outage) // the outage itself, no synchronisation
			second := newKillable(t, first.address)
			t.Cleanup(second.kill)
			within(t, ttl/3-time.Since(second.since), "three instances again", func() bool { return second.answered(agents) == agents })
			t.Logf("all back %s after the server listened; the interval is %s", time.Since(second.since).Round(time.Millisecond), ttl/3)
			for _, stop := range stops {
				if err := stop(); err != nil {
					t.Errorf("run: %v", err)
				}
			}
			if n := second.store.View().Instances(); n != 0 {
				t.Errorf("%d instances after the agents have left", n)
			}
		})
	}
}

func newAgent(t testing.TB, address, service string, ttl time.Duration) *heartbeat.Agent {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client, err := heartbeat.NewClient(heartbeat.Config{Server: "http://" + address, HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	agent, err := heartbeat.NewAgent(heartbeat.AgentConfig{Client: client, Entries: []heartbeat.Entry{
		{Service: store.Service(service), Instance: store.Instance{ID: "a b.ü", Port: 80, Weight: 1, TTL: ttl}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return agent
}

// TestAgentOverServer has an Agent of many entries over the whole server, with a token.
func TestAgentOverServer(t *testing.T) {
	s := newStore(t, memstore.Config{})
	cfg := config(s)
	cfg.Tokens = tokens(t, "ci:"+secret)
	server, _ := listen(t, cfg)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client, err := heartbeat.NewClient(heartbeat.Config{Server: server.URL(), Token: secret, HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	const n = 50
	entries := make([]heartbeat.Entry, n)
	for i := range entries {
		entries[i] = heartbeat.Entry{Service: "web", Instance: store.Instance{ID: fmt.Sprint(i), Port: 80, Weight: 1, TTL: 3 * time.Second}}
	}
	agent, err := heartbeat.NewAgent(heartbeat.AgentConfig{Client: client, Entries: entries, Leave: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	stop := start(t, agent.Run)
	within(t, patience, "all registered and renewed three times, in batches", func() bool {
		stats := server.Stats()
		batches := stats.Requests[endpoint.Request{Route: "POST /v1/heartbeats", Status: 200}]
		return s.View().Instances() == n && stats.Heartbeats["renewed"] >= 3*n && batches >= 3
	})
	if stats := server.Stats(); stats.Registrations["created"] < n {
		t.Errorf("registrations %v", stats.Registrations)
	}
	if err := stop(); err != nil || s.View().Instances() != 0 {
		t.Errorf("run: %v, %d instances", err, s.View().Instances())
	}
}
