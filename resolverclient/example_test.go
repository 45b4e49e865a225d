package resolverclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// exampleServer runs a DNS server for the examples and returns its address.
func exampleServer(records ...string) (addr string, stop func()) {
	z := new(zone)
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			panic(err)
		}
		z.add(rr)
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); servePackets(conn, z.serve) }()
	return conn.LocalAddr().String(), func() { conn.Close(); <-done }
}

func ExampleClient_Lookup() {
	server, stop := exampleServer(
		"_web._tcp.svc.internal. 5 SRV 0 1 8080 web-1.web.svc.internal.",
		"_web._tcp.svc.internal. 5 SRV 10 1 8080 spare.web.svc.internal.",
		"web-1.web.svc.internal. 5 A 10.0.0.5",
		"spare.web.svc.internal. 5 AAAA 2001:db8::5",
	)
	defer stop()

	client, err := resolverclient.New(resolverclient.Config{Servers: []string{server}, Zone: "svc.internal"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	answer, err := client.Lookup(context.Background(), "web")
	if errors.Is(err, resolverclient.ErrNotFound) {
		fmt.Println("no instance is registered")
		return
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range answer.Endpoints {
		fmt.Println(e.Priority, e.Target, e.HostPort())
	}
	// Output:
	// 0 web-1.web.svc.internal. 10.0.0.5:8080
	// 10 spare.web.svc.internal. [2001:db8::5]:8080
}

func ExampleClient_Balancer() {
	server, stop := exampleServer(threeWebs()...)
	defer stop()

	client, err := resolverclient.New(resolverclient.Config{Servers: []string{server}, Zone: "svc.internal"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	balancer, err := client.Balancer("_web._tcp", resolverclient.WeightedRoundRobin)
	if err != nil {
		fmt.Println(err)
		return
	}
	counts := map[string]int{}
	for range 1000 {
		picked, err := balancer.Pick(context.Background())
		if err != nil {
			fmt.Println(err)
			return
		}
		counts[picked.Endpoint.Target]++
		picked.Done(nil) // the call has ended
	}
	fmt.Println(counts)
	// Output: map[web-1.web.svc.internal.:100 web-2.web.svc.internal.:200 web-3.web.svc.internal.:700]
}

func ExampleClient_NewTransport() {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello from ", r.Host)
	}))
	defer app.Close()
	server, stop := exampleServer(
		fmt.Sprintf("_web._tcp.svc.internal. 5 SRV 0 1 %d web-1.web.svc.internal.", app.Listener.Addr().(*net.TCPAddr).Port),
		"web-1.web.svc.internal. 5 A 127.0.0.1",
	)
	defer stop()

	client, err := resolverclient.New(resolverclient.Config{Servers: []string{server}, Zone: "svc.internal"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	transport := client.NewTransport(nil)
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("http://web/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(string(body), err)
	// Output: hello from web <nil>
}

func ExampleClient_Watch() {
	server, stop := exampleServer(
		"_web._tcp.svc.internal. 5 PTR web-1._web._tcp.svc.internal.",
		"web-1._web._tcp.svc.internal. 5 SRV 0 1 8080 web-1.web.svc.internal.",
		`web-1._web._tcp.svc.internal. 5 TXT "version=1.2"`,
		"web-1.web.svc.internal. 5 A 10.0.0.5",
	)
	defer stop()

	client, err := resolverclient.New(resolverclient.Config{Servers: []string{server}, Zone: "svc.internal"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	watcher, err := client.Watch(context.Background(), "web")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer watcher.Stop()
	event, err := watcher.Next() // and so on, for as long as err is nil
	version, _ := event.Endpoint.Text("version")
	fmt.Println(event.Kind, event.Endpoint.Instance, event.Endpoint.HostPort(), version, err)
	// Output: up web-1 10.0.0.5:8080 1.2 <nil>
}

func ExampleClient_Do() {
	live, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer live.Close()
	port := live.Addr().(*net.TCPAddr).Port
	server, stop := exampleServer(
		"_web._tcp.svc.internal. 5 SRV 0 1 1 gone.web.svc.internal.",
		fmt.Sprintf("_web._tcp.svc.internal. 5 SRV 10 1 %d live.web.svc.internal.", port),
		"gone.web.svc.internal. 5 A 127.0.0.1",
		"live.web.svc.internal. 5 A 127.0.0.1",
	)
	defer stop()

	client, err := resolverclient.New(resolverclient.Config{Servers: []string{server}, Zone: "svc.internal"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	var tried []string
	dialer := net.Dialer{Timeout: time.Second}
	err = client.Do(context.Background(), "web", func(ctx context.Context, e resolverclient.Endpoint) error {
		tried = append(tried, e.Target)
		conn, err := dialer.DialContext(ctx, "tcp", e.HostPort())
		if err != nil {
			return err // refused: Do goes on to the next instance
		}
		return conn.Close()
	})
	fmt.Println(slices.Compact(tried), err)
	// Output: [gone.web.svc.internal. live.web.svc.internal.] <nil>
}
