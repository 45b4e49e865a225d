package resolverclient_test

import (
	"context"
	"fmt"
	"time"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// discovered is a zone that lists its services, of which one has two instances of different versions.
func discovered() (addr string, stop func()) {
	return exampleServer(
		"_services._dns-sd._udp.svc.internal. 5 PTR _web._tcp.svc.internal.",
		"_services._dns-sd._udp.svc.internal. 5 PTR _api._tcp.svc.internal.",
		"_web._tcp.svc.internal. 5 PTR web-1._web._tcp.svc.internal.",
		"_web._tcp.svc.internal. 5 PTR web-2._web._tcp.svc.internal.",
		"web-1._web._tcp.svc.internal. 5 SRV 0 1 8080 a.svc.internal.",
		"web-2._web._tcp.svc.internal. 5 SRV 5 1 8080 b.svc.internal.",
		`web-1._web._tcp.svc.internal. 5 TXT "version=1.2"`,
		`web-2._web._tcp.svc.internal. 5 TXT "version=1.3"`,
		"a.svc.internal. 5 A 10.0.0.5",
		"b.svc.internal. 5 A 10.0.0.6",
	)
}

// What is there, and what is known of it.
func ExampleClient_Service() {
	server, stop := discovered()
	defer stop()
	client, err := resolverclient.New(resolverclient.Config{Servers: []string{server}, Zone: "svc.internal"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	fmt.Println(client.Services(context.Background()))
	answer, err := client.Service(context.Background(), "web")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range answer.Endpoints {
		version, _ := e.Text("version")
		fmt.Println(e.Instance, e.HostPort(), version)
	}
	// Output:
	// [_api._tcp _web._tcp] <nil>
	// web-1 10.0.0.5:8080 1.2
	// web-2 10.0.0.6:8080 1.3
}

// A canary is picked by its metadata.
func ExampleFilterTXT() {
	server, stop := discovered()
	defer stop()
	client, err := resolverclient.New(resolverclient.Config{Servers: []string{server}, Zone: "svc.internal"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	canary, err := client.Balancer("web", resolverclient.RoundRobin, resolverclient.FilterTXT("version", "1.3"))
	if err != nil {
		fmt.Println(err)
		return
	}
	picked, err := canary.Pick(context.Background())
	picked.Done(nil)
	fmt.Println(picked.Endpoint.Instance, err)
	// Output: web-2 <nil>
}

// The first instance hangs. After a while a second one is called, which answers.
func ExampleHedge() {
	server, stop := discovered()
	defer stop()
	client, err := resolverclient.New(resolverclient.Config{Servers: []string{server}, Zone: "svc.internal"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	balancer, err := client.Balancer("web", resolverclient.RoundRobin, resolverclient.PreferTXT("version", "1.2"))
	if err != nil {
		fmt.Println(err)
		return
	}
	call := func(ctx context.Context, e resolverclient.Endpoint) (string, error) {
		if e.Instance == "web-1" {
			<-ctx.Done() // the call is given up when another has answered
			return "", ctx.Err()
		}
		return "hello from " + e.Instance, nil
	}
	fmt.Println(resolverclient.Hedge(context.Background(), balancer, 10*time.Millisecond, call))
	// Output: hello from web-2 <nil>
}
