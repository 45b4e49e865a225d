package dnsreggrpc_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// Addresses of instances: two of the first choice and two spare ones.
const (
	first  = "10.0.0.1:80"
	second = "10.0.0.2:80"
	spare  = "10.0.1.1:80"
	spare2 = "10.0.1.2:80"
)

func fleet() []resolverclient.Endpoint {
	return []resolverclient.Endpoint{at(first, 0, 1), at(second, 0, 3), at(spare, 10, 1)}
}

// step is something that happens, and where four calls then go.
type step struct {
	what  string
	state connectivity.State // of addrs
	addrs []string
	after time.Duration // that passes besides
	want  map[string]int
}

func TestPriorities(t *testing.T) {
	const (
		failed = connectivity.TransientFailure
		idle   = connectivity.Idle
		ready  = connectivity.Ready
	)
	primary, backup, wait := map[string]int{first: 1, second: 3}, map[string]int{spare: 4}, map[string]int{"wait": 4}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"the better ones are waited for at the start", []step{
			{"spare is first", ready, []string{spare}, 0, wait},
			{"one primary", ready, []string{first}, 0, map[string]int{first: 4}},
			{"both primaries", ready, []string{second}, 0, primary},
		}},
		{"and not for longer than the delay", []step{
			{"spare is first", ready, []string{spare}, 999 * time.Millisecond, wait},
			{"the delay is over", ready, nil, time.Millisecond, backup},
			{"a primary after all", ready, []string{first}, 0, map[string]int{first: 4}},
		}},
		{"primaries that fail are not waited for", []step{
			{"all refused", failed, []string{first, second}, 0, wait},
			{"spare", ready, []string{spare}, 0, backup},
			{"primaries are back", ready, []string{first, second}, 0, primary},
		}},
		{"lost primaries are waited for", []step{
			{"all connected", ready, []string{first, second, spare}, 0, primary},
			{"one lost", idle, []string{second}, 0, map[string]int{first: 4}},
			{"the other lost", idle, []string{first}, 0, wait},
			{"one refuses", failed, []string{first}, 0, wait},
			{"the other refuses", failed, []string{second}, 0, backup},
		}},
		{"and given up after the delay", []step{
			{"all connected", ready, []string{first, second, spare}, 0, primary},
			{"all lost", idle, []string{first, second}, 0, wait},
			{"the delay is over", ready, nil, time.Second, backup},
			{"a primary is back", ready, []string{first}, 0, map[string]int{first: 4}},
		}},
		{"nobody", []step{
			{"all refused", failed, []string{first, second, spare}, 0, nil},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newChannel(t, `{}`, fleet()...)
				for _, s := range tt.steps {
					c.set(s.state, s.addrs...)
					time.Sleep(s.after)
					synctest.Wait()
					got := c.counts(4, nil)
					if s.want != nil && !maps.Equal(got, s.want) {
						t.Fatalf("%s: got %v, want %v", s.what, got, s.want)
					}
					if addr, _ := c.pick(); s.want == nil && !strings.Contains(addr, "refused") {
						t.Fatalf("%s: got %q, want the reason", s.what, addr)
					}
				}
			})
		})
	}
}

// A better instance that is new is used when it is connected; until then calls go on as before.
func TestNewPriorityIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel(t, `{}`, at(spare, 10, 1))
		c.ready(spare)
		if err := c.resolve(`{}`, at(spare, 10, 1), at(first, 0, 1)); err != nil {
			t.Fatal(err)
		}
		if addr, _ := c.pick(); addr != spare {
			t.Errorf("got %s while the new one is being connected", addr)
		}
		c.ready(first)
		if addr, _ := c.pick(); addr != first {
			t.Errorf("got %s once the new one is connected", addr)
		}
	})
}

// A new weight or priority is taken over without a new connection.
func TestSharesChangeInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel(t, `{}`, fleet()...)
		c.ready(first, second, spare)
		if err := c.resolve(`{}`, at(first, 0, 1), at(second, 0, 1), at(spare, 0, 2)); err != nil {
			t.Fatal(err)
		}
		want := map[string]int{first: 2, second: 2, spare: 4}
		if got := c.counts(8, nil); !maps.Equal(got, want) || c.made != 3 {
			t.Errorf("got %v and %d connections, want %v and 3", got, c.made, want)
		}
	})
}

func TestGoneInstancesGetNoCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel(t, `{}`, fleet()...)
		c.ready(first, second, spare)
		if err := c.resolve(`{}`, at(second, 0, 3)); err != nil {
			t.Fatal(err)
		}
		if got := c.counts(8, nil); got[second] != 8 {
			t.Errorf("got %v", got)
		}
		for addr, gone := range map[string]bool{first: true, second: false, spare: true} {
			if c.conns[addr].closed.Load() != gone {
				t.Errorf("connection to %s: want it closed: %v", addr, gone)
			}
		}
	})
}

// The empty set is one too: calls fail, and say what the resolver said; after it everything begins anew.
func TestEmptySet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel(t, `{}`, at(first, 0, 1))
		c.ready(first)
		if err := c.resolve(`{}`); !errors.Is(err, balancer.ErrBadResolverState) {
			t.Errorf("got %v", err)
		}
		if got, _ := c.pick(); !strings.Contains(got, "no instance to call") {
			t.Errorf("got %q", got)
		}
		c.policy.ResolverError(resolverclient.ErrNotFound)
		if got, _ := c.pick(); !strings.Contains(got, "service not found") {
			t.Errorf("got %q", got)
		}
		if err := c.resolve(`{}`, fleet()...); err != nil {
			t.Fatal(err)
		}
		c.ready(spare)
		if got, _ := c.pick(); got != "wait" {
			t.Errorf("got %q, want to wait for the better ones", got)
		}
	})
}

// Errors of the resolver change nothing where there are instances.
func TestResolverErrorKeepsInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel(t, `{}`, fleet()...)
		c.ready(first, second)
		c.policy.ResolverError(resolverclient.ErrNoAnswer)
		c.policy.ExitIdle()
		synctest.Wait()
		if got := c.counts(4, nil); got[first] != 1 || got[second] != 3 {
			t.Errorf("got %v", got)
		}
	})
}

func TestClosedPolicyIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel(t, `{}`, fleet()...)
		c.ready(first, second, spare)
		addr, done := c.pick()
		for addr != first {
			addr, done = c.pick()
		}
		c.counts(10, map[string]codes.Code{second: codes.Unavailable}) // its timer must be stopped
		c.policy.Close()
		synctest.Wait()
		updates := c.updates
		for range 10 {
			done(balancer.DoneInfo{Err: status.Error(codes.Unavailable, "late")})
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if c.updates != updates {
			t.Errorf("%d pickers after the end", c.updates-updates)
		}
	})
}

func TestPickAllocatesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel(t, `{}`, fleet()...)
		c.ready(first, second)
		picker := c.state.Picker
		n := testing.AllocsPerRun(1000, func() {
			result, err := picker.Pick(balancer.PickInfo{})
			if err != nil {
				t.Fatal(err)
			}
			result.Done(balancer.DoneInfo{BytesReceived: true})
		})
		if n != 0 {
			t.Errorf("got %v allocations", n)
		}
	})
}
