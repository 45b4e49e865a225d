package bench_test

import (
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/roundrobin"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/experimental/stats"
	"google.golang.org/grpc/resolver"

	"github.com/dnsreg/dnsreg/resolverclient"
	dnsreggrpc "github.com/dnsreg/dnsreg/resolverclient/grpc"
)

// policies are gRPC's round_robin and this project's policy, which TestMain registers.
func policies() (out []subject) {
	for _, name := range []string{roundrobin.Name, dnsreggrpc.PolicyName} {
		out = append(out, subject{"grpc/" + name, func(tb testing.TB, n int) chooser { return policyOf(tb, name, n) }})
	}
	return out
}

func TestMain(m *testing.M) {
	dnsreggrpc.Register()
	m.Run()
}

// policyOf returns the picks of a policy when all of n instances are connected.
func policyOf(tb testing.TB, name string, n int) chooser {
	tb.Helper()
	c := new(channel)
	c.connecting.Add(n)
	policy := balancer.Get(name).Build(c, balancer.BuildOptions{})
	if err := policy.UpdateClientConnState(balancer.ClientConnState{ResolverState: stateOf(tb, n)}); err != nil {
		tb.Fatal(err)
	}
	c.connecting.Wait()
	tb.Cleanup(policy.Close)
	picker := *c.picker.Load()
	var picked [batch]balancer.PickResult
	return chooser{
		choose: func(place int) (err error) {
			picked[place], err = picker.Pick(balancer.PickInfo{})
			return err
		},
		end: func(place int) {
			if done := picked[place].Done; done != nil {
				done(balancer.DoneInfo{BytesSent: true, BytesReceived: true})
			}
		},
		which: func(place int) string { return picked[place].SubConn.(*conn).addr },
	}
}

// stateOf returns n instances as this project's resolver tells gRPC of them, with their weights.
func stateOf(tb testing.TB, n int) resolver.State {
	tb.Helper()
	c, err := resolverclient.New(resolverclient.Config{Servers: []string{serve(tb, n)}, Zone: "svc.internal"})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	l := listener{first: make(chan resolver.State, 1)}
	target := resolver.Target{URL: url.URL{Scheme: dnsreggrpc.Scheme, Path: "/web"}}
	r, err := (&dnsreggrpc.Builder{Client: c}).Build(target, l, resolver.BuildOptions{DisableServiceConfig: true})
	if err != nil {
		tb.Fatal(err)
	}
	defer r.Close()
	return <-l.first
}

// listener takes the first set of a resolver.
type listener struct {
	resolver.ClientConn // for the methods that the resolver does not use

	first chan resolver.State
}

func (l listener) UpdateState(s resolver.State) error {
	select {
	case l.first <- s:
	default: // not the first
	}
	return nil
}

// channel stands for gRPC around a policy. Its connections come about at once.
type channel struct {
	balancer.ClientConn // for the methods that policies do not use

	picker     atomic.Pointer[balancer.Picker]
	connecting sync.WaitGroup // connections that the picker does not have yet
}

func (c *channel) NewSubConn(addrs []resolver.Address, opts balancer.NewSubConnOptions) (balancer.SubConn, error) {
	return &conn{addr: addrs[0].Addr, channel: c, listener: opts.StateListener}, nil
}

func (c *channel) UpdateState(s balancer.State) { c.picker.Store(&s.Picker) }

func (*channel) ResolveNow(resolver.ResolveNowOptions)  {}
func (*channel) Target() string                         { return "dnsreg:///web" }
func (*channel) MetricsRecorder() stats.MetricsRecorder { return stats.UnimplementedMetricsRecorder{} }

// conn is a connection of a channel.
type conn struct {
	balancer.SubConn // for the methods that pick_first does not use

	addr     string
	channel  *channel
	listener func(balancer.SubConnState)
}

func (c *conn) Connect() {
	go func() {
		c.listener(balancer.SubConnState{ConnectivityState: connectivity.Connecting})
		c.listener(balancer.SubConnState{ConnectivityState: connectivity.Ready})
	}()
}

func (c *conn) RegisterHealthListener(f func(balancer.SubConnState)) {
	go func() {
		f(balancer.SubConnState{ConnectivityState: connectivity.Ready}) // makes a picker that has this connection
		c.channel.connecting.Done()
	}()
}

func (c *conn) Shutdown() {}
