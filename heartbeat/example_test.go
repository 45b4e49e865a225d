package heartbeat_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/heartbeat/endpoint"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// registryServer runs a server on an embedded store, for the examples: elsewhere it is "dnsreg serve".
func registryServer() (url string, client *http.Client, stop func()) {
	rules := store.Rules{Zone: "svc.internal."}
	s, err := memstore.New(memstore.Config{Rules: rules})
	if err != nil {
		return "", nil, func() {}
	}
	e, err := endpoint.New(endpoint.Config{Zones: []endpoint.Zone{{Store: s, Rules: rules}}, AnswerTTL: 5 * time.Second})
	if err != nil {
		return "", nil, func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	server := httptest.NewServer(e.Handler())
	return server.URL, server.Client(), func() { server.Close(); cancel(); <-done }
}

// An Agent keeps a service registered for as long as it runs, and takes it off the registry when it ends.
func ExampleAgent() {
	url, httpClient, stop := registryServer()
	defer stop()
	client, err := heartbeat.NewClient(heartbeat.Config{Server: url, HTTPClient: httpClient})
	if err != nil {
		fmt.Println(err)
		return
	}
	registered := make(chan heartbeat.Event, 1)
	agent, err := heartbeat.NewAgent(heartbeat.AgentConfig{
		Client: client,
		Entries: []heartbeat.Entry{{
			Service:  "_web._tcp",
			Instance: store.Instance{ID: "web-1", Port: 8080, Weight: store.DefaultWeight},
		}},
		Notify: func(e heartbeat.Event) { registered <- e },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- agent.Run(ctx) }()
	event := <-registered
	fmt.Println("registered as", event.Registration.DNS.Instance)
	cancel() // the service ends
	fmt.Println("ended with", <-done)
	list, err := client.Services(context.Background())
	fmt.Println(len(list.Services), "services left,", err)
	// Output:
	// registered as web-1._web._tcp.svc.internal.
	// ended with <nil>
	// 0 services left, <nil>
}

// A Client makes single calls: here an operator drains an instance.
func ExampleClient() {
	url, httpClient, stop := registryServer()
	defer stop()
	ctx := context.Background()
	client, err := heartbeat.NewClient(heartbeat.Config{Server: url, HTTPClient: httpClient})
	if err != nil {
		fmt.Println(err)
		return
	}
	in := store.Instance{ID: "web-1", Port: 8080, Weight: 1, TXT: []string{"version=1.2"}}
	r, err := client.Register(ctx, "web", in)
	fmt.Println("created:", r.Created, "target:", r.DNS.Target, "next heartbeat after", r.Lease.HeartbeatAfter, err)
	change, err := client.SetState(ctx, "web", "web-1", store.Draining)
	fmt.Println("state:", change.State, "safe later:", change.SafeAt.After(time.Now()), err)
	detail, err := client.Instance(ctx, "web", "web-1")
	fmt.Println("shown as:", detail.State, detail.TXT, err)
	_, err = client.Deregister(ctx, "web", "web-1")
	fmt.Println("deregistered:", err)
	_, err = client.Heartbeat(ctx, "web", "web-1", r.ETag)
	fmt.Println(err != nil)
	// Output:
	// created: true target: web-1.web.svc.internal. next heartbeat after 10s <nil>
	// state: draining safe later: true <nil>
	// shown as: draining [version=1.2] <nil>
	// deregistered: <nil>
	// true
}
