package dnsreggrpc_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/resolverclient"
	dnsreggrpc "github.com/dnsreg/dnsreg/resolverclient/grpc"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// exampleApp runs a gRPC server with the health service and returns its address.
func exampleApp() (addr netip.AddrPort, stop func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, health.NewServer())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l)
	}()
	return l.Addr().(*net.TCPAddr).AddrPort(), func() { server.Stop(); <-ended }
}

// exampleRegistry runs a DNS server that names instances of web and returns its address.
func exampleRegistry(instances ...store.Instance) (addr string, stop func()) {
	rules := store.Rules{Zone: "svc.internal."}
	s, err := memstore.New(memstore.Config{Rules: rules})
	if err != nil {
		panic(err)
	}
	for _, i := range instances {
		normal, _, err := rules.Normalize("_web._tcp", i)
		if err != nil {
			panic(err)
		}
		if _, err := s.Register(context.Background(), "_web._tcp", normal); err != nil {
			panic(err)
		}
	}
	server, err := dnsserver.New(dnsserver.Config{Zones: []dnsserver.Zone{{Name: "svc.internal.", Source: s}}, Listen: []string{"127.0.0.1:0"}})
	if err != nil {
		panic(err)
	}
	if err := server.Listen(); err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Run(ctx)
	}()
	return server.Addrs()[0].String(), func() { cancel(); <-ended }
}

func Example() {
	app, stopApp := exampleApp()
	defer stopApp()
	server, stop := exampleRegistry(instance("web-1", app, 1))
	defer stop()

	dnsreggrpc.Register() // once, at the start of main

	client, err := resolverclient.New(resolverclient.Config{Servers: []string{server}, Zone: "svc.internal"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	conn, err := grpc.NewClient("dnsreg:///web",
		grpc.WithResolvers(&dnsreggrpc.Builder{Client: client}),
		grpc.WithDefaultServiceConfig(dnsreggrpc.ServiceConfig),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()

	reply, err := healthpb.NewHealthClient(conn).Check(context.Background(), &healthpb.HealthCheckRequest{})
	fmt.Println(reply.GetStatus(), err)
	// Output: SERVING <nil>
}

// The resolver works with gRPC's own policies too, and then nothing is to be registered. They know neither priority
// nor weight.
func ExampleBuilder() {
	one, stopOne := exampleApp()
	defer stopOne()
	two, stopTwo := exampleApp()
	defer stopTwo()
	server, stop := exampleRegistry(instance("web-1", one, 1), instance("web-2", two, 1))
	defer stop()

	client, err := resolverclient.New(resolverclient.Config{Servers: []string{server}, Zone: "svc.internal"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	conn, err := grpc.NewClient("dnsreg:///_web._tcp.svc.internal.",
		grpc.WithResolvers(&dnsreggrpc.Builder{Client: client}),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()

	conn.Connect()
	for state := conn.GetState(); state != connectivity.Ready; state = conn.GetState() {
		conn.WaitForStateChange(context.Background(), state)
	}
	fmt.Println(conn.GetState())
	// Output: READY
}
