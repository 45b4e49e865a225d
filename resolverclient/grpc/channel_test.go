package dnsreggrpc_test

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/experimental/stats"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"

	"github.com/dnsreg/dnsreg/resolverclient"
	dnsreggrpc "github.com/dnsreg/dnsreg/resolverclient/grpc"
)

// channel stands for gRPC around a policy, with connections that do what a test says. It must be in a bubble of
// testing/synctest.
type channel struct {
	testing.TB
	balancer.ClientConn // for the methods that the policy does not use
	policy              balancer.Balancer

	mu      sync.Mutex
	conns   map[string]*conn
	made    int // connections ever
	state   balancer.State
	updates int
}

func newChannel(tb testing.TB, settings string, instances ...resolverclient.Endpoint) *channel {
	tb.Helper()
	c := &channel{TB: tb, conns: map[string]*conn{}}
	c.policy = balancer.Get(dnsreggrpc.PolicyName).Build(c, balancer.BuildOptions{})
	tb.Cleanup(func() {
		c.policy.Close()
		synctest.Wait()
	})
	if err := c.resolve(settings, instances...); err != nil {
		tb.Fatal(err)
	}
	return c
}

// resolve gives the policy a set of instances.
func (c *channel) resolve(settings string, instances ...resolverclient.Endpoint) error {
	c.Helper()
	config, err := newParser(c).ParseConfig([]byte(settings))
	if err != nil {
		c.Fatal(err)
	}
	err = c.policy.UpdateClientConnState(balancer.ClientConnState{
		ResolverState: dnsreggrpc.StateOf(instances), BalancerConfig: config,
	})
	synctest.Wait()
	return err
}

// NewSubConn returns a connection that is idle.
func (c *channel) NewSubConn(addrs []resolver.Address, opts balancer.NewSubConnOptions) (balancer.SubConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &conn{addr: addrs[0].Addr, listener: opts.StateListener}
	c.conns[s.addr] = s
	c.made++
	return s, nil
}

// UpdateState takes a picker.
func (c *channel) UpdateState(s balancer.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = s
	c.updates++
}

func (*channel) ResolveNow(resolver.ResolveNowOptions)  {}
func (*channel) Target() string                         { return "dnsreg:///web" }
func (*channel) MetricsRecorder() stats.MetricsRecorder { return stats.UnimplementedMetricsRecorder{} }

// set has the connections to some addresses change their state.
func (c *channel) set(state connectivity.State, addrs ...string) {
	c.Helper()
	for _, addr := range addrs {
		c.mu.Lock()
		s := c.conns[addr]
		c.mu.Unlock()
		if s == nil {
			c.Fatalf("no connection to %s", addr)
		}
		s.become(state)
	}
	synctest.Wait()
}

// ready has idle connections connect.
func (c *channel) ready(addrs ...string) {
	c.Helper()
	c.set(connectivity.Ready, addrs...)
}

// pick picks once and returns the address, or the error: "wait" for one that has the call wait.
func (c *channel) pick() (addr string, done func(balancer.DoneInfo)) {
	c.mu.Lock()
	picker := c.state.Picker
	c.mu.Unlock()
	result, err := picker.Pick(balancer.PickInfo{})
	switch {
	case errors.Is(err, balancer.ErrNoSubConnAvailable):
		return "wait", nil
	case err != nil:
		return err.Error(), nil
	}
	return result.SubConn.(*conn).addr, result.Done
}

// counts picks n times, ends each call with what fails says for its address, and returns how often each was picked.
func (c *channel) counts(n int, fails map[string]codes.Code) map[string]int {
	counts := map[string]int{}
	for range n {
		addr, done := c.pick()
		counts[addr]++
		if done != nil {
			done(balancer.DoneInfo{Err: status.Error(fails[addr], "test"), BytesSent: true, BytesReceived: true})
		}
	}
	return counts
}

// conn is a connection of a channel.
type conn struct {
	balancer.SubConn // for the methods that pick_first does not use

	addr     string
	listener func(balancer.SubConnState)
	closed   atomic.Bool
}

func (s *conn) Connect() { go s.become(connectivity.Connecting) }

func (s *conn) Shutdown() {
	s.closed.Store(true)
	go s.become(connectivity.Shutdown)
}

func (s *conn) RegisterHealthListener(f func(balancer.SubConnState)) {
	go f(balancer.SubConnState{ConnectivityState: connectivity.Ready})
}

func (s *conn) become(state connectivity.State) {
	to := balancer.SubConnState{ConnectivityState: state}
	if state == connectivity.TransientFailure {
		to.ConnectionError = errors.New("connection to " + s.addr + " refused")
	}
	s.listener(to)
}

// at is an instance of a priority and a weight at an address.
func at(addr string, priority, weight uint16) resolverclient.Endpoint {
	a := netip.MustParseAddrPort(addr)
	return resolverclient.Endpoint{
		Target: a.Addr().String() + ".", Port: a.Port(), Priority: priority, Weight: weight, Addresses: []netip.Addr{a.Addr()},
	}
}
