package resolverclient_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// refused is the error of a connection that did not come about.
func refused() error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

func TestDoTriesTheNextInstance(t *testing.T) {
	broken := errors.New("broken")
	records := slices.Concat(weighted(0, 1, 2, 7), weighted(5, 1))
	for _, tt := range []struct {
		name  string
		tries int
		errs  []error // of the calls, in turn; nil for the rest
		calls int
		want  []error
	}{
		{name: "the first succeeds", calls: 1},
		{name: "the second succeeds", errs: []error{refused()}, calls: 2},
		{name: "an error after sending is not retried", errs: []error{broken}, calls: 1, want: []error{broken}},
		{name: "nor the second time", errs: []error{refused(), broken}, calls: 2, want: []error{syscall.ECONNREFUSED, broken}},
		{
			name: "bounded", errs: []error{refused(), refused(), refused()}, calls: 3,
			want: []error{syscall.ECONNREFUSED},
		},
		{name: "the next priority comes last", tries: 9, errs: []error{refused(), refused(), refused()}, calls: 4},
		{
			name: "no instance twice", tries: 9, errs: []error{refused(), refused(), refused(), refused()}, calls: 4,
			want: []error{syscall.ECONNREFUSED},
		},
	} {
		for _, strategy := range allStrategies() {
			t.Run(tt.name+"/"+strategy.String(), func(t *testing.T) {
				c := newClient(t, resolverclient.Config{
					Servers: []string{listen(t, newZone(t, records...).serve)}, Tries: tt.tries, Strategy: strategy,
				})
				var called []resolverclient.Endpoint
				err := c.Do(t.Context(), "web", func(_ context.Context, e resolverclient.Endpoint) error {
					called = append(called, e)
					if len(called) <= len(tt.errs) {
						return tt.errs[len(called)-1]
					}
					return nil
				})
				checkCalls(t, called, tt.calls)
				if (err != nil) != (len(tt.want) > 0) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				for _, want := range tt.want {
					if !errors.Is(err, want) {
						t.Errorf("%v does not hold %v", err, want)
					}
				}
			})
		}
	}
}

// checkCalls holds the instances called against their number, each once and the lower priorities first.
func checkCalls(t *testing.T, called []resolverclient.Endpoint, n int) {
	t.Helper()
	if len(called) != n {
		t.Errorf("%d calls, want %d", len(called), n)
	}
	seen := map[string]bool{}
	for i, e := range called {
		if seen[e.Target] {
			t.Errorf("%s was called twice", e.Target)
		}
		seen[e.Target] = true
		if i > 0 && e.Priority < called[i-1].Priority {
			t.Errorf("priority %d was called before %d", called[i-1].Priority, e.Priority)
		}
	}
}

func TestDoNamesEachInstanceThatFailed(t *testing.T) {
	c := clientOf(t, newZone(t, weighted(0, 1, 1)...).serve)
	err := c.Do(t.Context(), "web", func(context.Context, resolverclient.Endpoint) error { return refused() })
	for _, text := range []string{"127.0.0.1:1: ", "127.0.0.2:2: ", "refused"} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v does not say %q", err, text)
		}
	}
}

// The strategy's turns go on across calls of Do: three calls reach three instances.
func TestDoIsRoundRobinAcrossCalls(t *testing.T) {
	c := newClient(t, resolverclient.Config{
		Servers: []string{listen(t, newZone(t, weighted(0, 1, 1, 1)...).serve)}, Strategy: resolverclient.RoundRobin,
	})
	counts := map[uint16]int{}
	for range 30 {
		if err := c.Do(t.Context(), "web", func(_ context.Context, e resolverclient.Endpoint) error {
			counts[e.Port]++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if want := map[uint16]int{1: 10, 2: 10, 3: 10}; fmt.Sprint(counts) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", counts, want)
	}
}

func TestDoEndsWithItsContext(t *testing.T) {
	c := clientOf(t, newZone(t, weighted(0, 1, 1, 1)...).serve)
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	err := c.Do(ctx, "web", func(context.Context, resolverclient.Endpoint) error {
		calls++
		cancel()
		return refused()
	})
	if calls != 1 || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%d calls, %v, want one", calls, err)
	}
}

func TestDoClassifiesAsToldTo(t *testing.T) {
	broken := errors.New("broken")
	c := newClient(t, resolverclient.Config{
		Servers: []string{listen(t, newZone(t, weighted(0, 1, 1, 1)...).serve)},
		Retry:   func(err error) bool { return errors.Is(err, broken) },
	})
	calls := 0
	if err := c.Do(t.Context(), "web", func(context.Context, resolverclient.Endpoint) error {
		calls++
		if calls < 3 {
			return broken
		}
		return nil
	}); err != nil || calls != 3 {
		t.Errorf("%d calls, %v, want 3", calls, err)
	}
}

func TestDoWithoutInstances(t *testing.T) {
	c := clientOf(t, newZone(t).serve)
	never := func(context.Context, resolverclient.Endpoint) error { t.Error("called"); return nil }
	if err := c.Do(t.Context(), "web", never); !errors.Is(err, resolverclient.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if err := c.Do(t.Context(), "we b", never); err == nil {
		t.Error("a malformed name was taken")
	}
}

// A panic of the function must not leave the instance busy for ever.
func TestDoCountsDownAfterAPanic(t *testing.T) {
	b := balancerOf(t, resolverclient.LeastOutstanding, weighted(0, 1, 1)...)
	var panicked uint16
	func() {
		defer func() { _ = recover() }()
		_ = b.Do(t.Context(), func(_ context.Context, e resolverclient.Endpoint) error {
			panicked = e.Port
			panic("in the caller's function")
		})
	}()
	seen := 0
	for range 100 {
		p, err := b.Pick(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if p.Endpoint.Port == panicked {
			seen++
		}
		p.Done(nil)
	}
	if seen < 10 {
		t.Errorf("the instance was picked %d times of 100 after the panic", seen)
	}
}

func TestIsConnectError(t *testing.T) {
	dialer := net.Dialer{Timeout: time.Second}
	_, real := dialer.Dial("tcp", nowhere)
	for _, tt := range []struct {
		name string
		in   error
		want bool
	}{
		{"a real refusal", real, true},
		{"wrapped", fmt.Errorf("call: %w", refused()), true},
		{"no route", os.NewSyscallError("connect", syscall.EHOSTUNREACH), true},
		{"no network", os.NewSyscallError("connect", syscall.ENETUNREACH), true},
		{"reset after sending", &net.OpError{Op: "read", Err: syscall.ECONNRESET}, false},
		{"timeout", context.DeadlineExceeded, false},
		{"nil", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := resolverclient.IsConnectError(tt.in); got != tt.want {
				t.Errorf("%v: got %v", tt.in, got)
			}
		})
	}
}

// While everything fails, retries are a hundred saved ones, a fifth of the calls and ten a second: not twice the load
// and more on top of the trouble.
func TestDoKeepsToItsRetryBudget(t *testing.T) {
	bubble(t, resolverclient.Config{Tries: 2, EjectAfter: -1, Idle: time.Hour}, func(b *cacheTest) {
		run := func(calls int) (attempts int) {
			for range calls {
				_ = b.client.Do(b.Context(), "web", func(context.Context, resolverclient.Endpoint) error {
					attempts++
					return refused()
				})
			}
			return attempts
		}
		if n := run(1000) - 1000; n < 290 || n > 310 {
			t.Errorf("%d retries in the first 1000 calls, want the saved 100 and a fifth", n)
		}
		if n := run(1000) - 1000; n < 190 || n > 210 {
			t.Errorf("%d retries in the next 1000 calls, want a fifth", n)
		}
		pass(time.Minute)
		if n := run(20) - 20; n < 12 || n > 15 {
			t.Errorf("%d retries in 20 calls after a pause, want the ten of a second and a fifth", n)
		}
	})
}

func TestDoWithoutRetries(t *testing.T) {
	c := newClient(t, resolverclient.Config{
		Servers: []string{listen(t, newZone(t, weighted(0, 1, 1, 1)...).serve)}, RetryShare: -1,
	})
	attempts := 0
	for range 100 {
		_ = c.Do(t.Context(), "web", func(context.Context, resolverclient.Endpoint) error {
			attempts++
			return refused()
		})
	}
	if attempts != 100 {
		t.Errorf("%d calls of 100 times Do, want no retries", attempts)
	}
}

func TestDoDoesNotAllocate(t *testing.T) {
	c := clientOf(t, newZone(t, weighted(0, 1, 2, 7)...).serve)
	call := func(context.Context, resolverclient.Endpoint) error { return nil }
	if n := testing.AllocsPerRun(100, func() { _ = c.Do(t.Context(), "web", call) }); n > 2 {
		t.Errorf("%v allocations, want 2 at most", n)
	}
}
