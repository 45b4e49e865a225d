// Package dnsreggrpc lets gRPC find and choose the instances of a service through a [resolverclient.Client]: a resolver
// for targets such as dnsreg:///web, and a load balancing policy that honours the priorities and weights of SRV records
// (RFC 2782), which gRPC's own resolver and policies do not know.
//
//	dnsreggrpc.Register() // once, at the start of main
//	…
//	client, err := resolverclient.New(resolverclient.Config{Zone: "svc.internal"})
//	…
//	conn, err := grpc.NewClient("dnsreg:///web",
//		grpc.WithResolvers(&dnsreggrpc.Builder{Client: client}),
//		grpc.WithDefaultServiceConfig(dnsreggrpc.ServiceConfig),
//		grpc.WithTransportCredentials(creds),
//	)
//
// The target names the service as [resolverclient.Client.Lookup] takes it: web, _web._tcp, or an absolute name with a
// dot at its end. Certificates are verified against that name; where they bear another, grpc.WithAuthority says which.
// Close the connection before the client.
//
// # Following the service
//
// The resolver hears of every change as soon as the TTL lets the client see it; gRPC's own looks again when a connection
// fails, and no more often than every 30 seconds. Through failures of DNS it keeps the last good addresses without a
// limit: that a connection works is better evidence than that a server answers. "There is no such service" is no
// failure; it empties the set, and calls then fail at once with the code Unavailable, or wait where they say so
// (grpc.WaitForReady).
//
// An instance that left the answers, deregistered or draining, gets no new calls, and those under way on its connection
// go on to their end.
//
// # Policy
//
// Calls go to the instances of the lowest priority number of which one is connected and not ejected, in turn, as often
// as their weights say and evenly spread: 1, 2 and 7 times in any ten for the weights 1, 2 and 7. An instance of weight
// 0 gets a turn only where all connected ones have weight 0. Instances of every priority are kept connected, so that
// taking over costs no handshake. While instances of the priority in use are being connected, at the start and after
// the last one was lost, calls wait for them, but no longer than failoverDelay.
//
// An instance whose calls end ejectAfter times in a row with Unavailable, DeadlineExceeded or Internal is kept
// out for ejectFor, and then again after its first failure, twice as long each time, at most 32 times. Never are more
// than half of the connected instances kept out: where more fail, the fault is hardly theirs alone. Other codes are the
// application's answers and show that it lives.
//
// The settings are the policy's part of a service config:
//
//	{"loadBalancingConfig": [{"dnsreg_srv": {"ejectAfter": 5, "ejectFor": "10s", "failoverDelay": "1s"}}]}
//
// # Service config
//
// Instances can bring a service config, for retries for example, in the key grpc_config of their TXT records, as the
// list of choices of gRFC A2. One string of TXT has room for 243 octets of it; what is longer goes on in the keys
// grpc_config.2, grpc_config.3 and so on. Where instances differ, the config that most of them have is taken; one that
// gRPC does not accept is passed over and logged. Where it names no policy, the one of this package is used if it is
// registered. It takes the place of grpc.WithDefaultServiceConfig; after it was withdrawn gRPC keeps the last one.
// grpc.WithDisableServiceConfig has all of this ignored.
package dnsreggrpc
