package dnsreggrpc_test

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// equals are instances of equal rights.
func equals(addrs ...string) (out []resolverclient.Endpoint) {
	for _, addr := range addrs {
		out = append(out, at(addr, 0, 1))
	}
	return out
}

func TestEjection(t *testing.T) {
	for _, tt := range []struct {
		name     string
		settings string
		code     codes.Code
		out      bool
	}{
		{"unavailable", `{}`, codes.Unavailable, true},
		{"too slow", `{}`, codes.DeadlineExceeded, true},
		{"broken", `{}`, codes.Internal, true},
		{"given up by the caller", `{}`, codes.Canceled, false},
		{"an answer of the application", `{}`, codes.NotFound, false},
		{"a quota of the caller", `{}`, codes.ResourceExhausted, false},
		{"after fewer failures", `{"ejectAfter":2}`, codes.Unavailable, true},
		{"never", `{"ejectAfter":-1}`, codes.Unavailable, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newChannel(t, tt.settings, equals(first, second)...)
				c.ready(first, second)
				c.counts(10, map[string]codes.Code{first: tt.code})
				if got := c.counts(10, nil); (got[first] == 0) != tt.out {
					t.Errorf("got %v, want %s out: %v", got, first, tt.out)
				}
			})
		})
	}
}

// Four failures are not five, and a success in between, or a call that never left, makes them start anew or not.
func TestFailuresInARow(t *testing.T) {
	failure := balancer.DoneInfo{Err: status.Error(codes.Unavailable, "test"), BytesSent: true}
	for _, tt := range []struct {
		name    string
		between balancer.DoneInfo // after four failures, before one more
		out     bool
	}{
		{"success", balancer.DoneInfo{BytesReceived: true}, false},
		{"answer with an error", balancer.DoneInfo{Err: status.Error(codes.NotFound, "test"), BytesReceived: true}, false},
		{"connection gone before the call", balancer.DoneInfo{}, true},
		{"given up", balancer.DoneInfo{Err: status.Error(codes.Canceled, "test")}, true},
		{"failure", failure, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newChannel(t, `{}`, at(first, 0, 1), at(spare, 10, 1))
				c.ready(first, spare)
				for _, info := range []balancer.DoneInfo{failure, failure, failure, failure, tt.between, failure} {
					if _, done := c.pick(); done != nil {
						done(info)
					}
				}
				if addr, _ := c.pick(); (addr != first) != tt.out {
					t.Errorf("got %s, want %s out: %v", addr, first, tt.out)
				}
			})
		})
	}
}

// An ejected instance is back after ejectFor, out at its first failure for twice as long each time, and forgiven after
// its first success.
func TestEjectionTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel(t, `{"ejectFor":"1s"}`, equals(first, second)...)
		c.ready(first, second)
		fails := map[string]codes.Code{first: codes.Unavailable}
		pass := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		c.counts(10, fails)
		for _, seconds := range []time.Duration{1, 2, 4, 8, 16, 32, 32} {
			pass(seconds*time.Second - time.Millisecond)
			if got := c.counts(10, nil); got[first] != 0 {
				t.Fatalf("just before %d s: got %v", seconds, got)
			}
			pass(time.Millisecond)
			if got := c.counts(2, fails); got[first] != 1 {
				t.Fatalf("after %d s: got %v", seconds, got)
			}
		}
		pass(32 * time.Second)
		c.counts(2, nil)
		if got := c.counts(8, fails); got[first] != 4 {
			t.Errorf("after a success: got %v, want four failures to be forgiven", got)
		}
	})
}

// However many fail, at least half of those connected stay in use.
func TestPanicFloor(t *testing.T) {
	all := map[string]codes.Code{
		first: codes.Unavailable, second: codes.Unavailable, spare: codes.Unavailable, spare2: codes.Unavailable,
	}
	for _, tt := range []struct {
		connected []string
		left      int
	}{
		{[]string{first}, 1},
		{[]string{first, second}, 1},
		{[]string{first, second, spare}, 2},
		{[]string{first, second, spare, spare2}, 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newChannel(t, `{}`, equals(first, second, spare, spare2)...)
			c.ready(tt.connected...)
			c.counts(100, all)
			if got := c.counts(100, nil); len(got) != tt.left {
				t.Errorf("of %d connected got %v, want %d in use", len(tt.connected), got, tt.left)
			}
		})
	}
}

// Where not all that failed can be out, those that failed first come back first.
func TestPanicFloorTakesTheLatest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel(t, `{}`, equals(first, second, spare)...)
		c.ready(first, second, spare)
		c.counts(15, map[string]codes.Code{first: codes.Unavailable})
		time.Sleep(time.Second)
		c.counts(15, map[string]codes.Code{second: codes.Unavailable})
		if got := c.counts(10, nil); got[first] != 5 || got[second] != 0 {
			t.Errorf("got %v, want %s back and %s out", got, first, second)
		}
	})
}

// Calls that began before an ejection and fail in it do not make it longer.
func TestLateFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel(t, `{}`, at(first, 0, 1), at(spare, 10, 1))
		c.ready(first, spare)
		var begun []func(balancer.DoneInfo)
		for range 20 {
			_, done := c.pick()
			begun = append(begun, done)
		}
		for _, done := range begun {
			done(balancer.DoneInfo{Err: status.Error(codes.Unavailable, "test")})
			time.Sleep(time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if addr, _ := c.pick(); addr != first {
			t.Errorf("got %s", addr)
		}
	})
}

// Where all of the first choice are out, calls go to the spare one at once, and come back.
func TestEjectedPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel(t, `{}`, at(first, 0, 1), at(spare, 10, 1))
		c.ready(first, spare)
		c.counts(5, map[string]codes.Code{first: codes.Unavailable})
		if addr, _ := c.pick(); addr != spare {
			t.Errorf("got %s", addr)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if addr, _ := c.pick(); addr != first {
			t.Errorf("got %s after the ejection", addr)
		}
	})
}

// An ejection outlasts a change of the set.
func TestEjectionOutlastsAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel(t, `{}`, equals(first, second)...)
		c.ready(first, second)
		c.counts(10, map[string]codes.Code{first: codes.Unavailable})
		if err := c.resolve(`{}`, equals(first, second, spare)...); err != nil {
			t.Fatal(err)
		}
		c.ready(spare)
		if got := c.counts(10, nil); got[first] != 0 || got[second] != 5 || got[spare] != 5 {
			t.Errorf("got %v", got)
		}
	})
}
