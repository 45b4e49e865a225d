package dnsreggrpc_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
)

// load is callers that go on until stopped, unary and streaming.
type load struct {
	unary, streams, failed atomic.Int64
	cancel                 context.CancelFunc
	running                sync.WaitGroup
}

// run starts callers that pause a little after each call, so that a machine of two processors has time for the rest.
func run(tb testing.TB, conn *grpc.ClientConn, unary, streams int) *load {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel}
	for range unary {
		l.caller(ctx, tb, &l.unary, func() (string, error) { return callOnce(ctx, conn) })
	}
	for range streams {
		l.caller(ctx, tb, &l.streams, func() (string, error) { return converse(ctx, conn) })
	}
	tb.Cleanup(l.stop)
	return l
}

func (l *load) caller(ctx context.Context, tb testing.TB, done *atomic.Int64, call func() (string, error)) {
	l.running.Go(func() {
		pause := time.NewTicker(2 * time.Millisecond)
		defer pause.Stop()
		for ctx.Err() == nil {
			_, err := call()
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				l.failed.Add(1)
				tb.Errorf("a call failed: %v", err)
			}
			done.Add(1)
			<-pause.C
		}
	})
}

// stop ends the callers and waits for them.
func (l *load) stop() {
	l.cancel()
	l.running.Wait()
}

// scale is a registry with instances under load.
type scale struct {
	*registry
	apps map[string]*app
	late *lateness
}

func newScale(tb testing.TB, late *lateness) *scale {
	return &scale{newRegistry(tb), map[string]*app{}, late}
}

// start starts and registers an instance.
func (s *scale) start(id string) {
	s.Helper()
	s.apps[id] = newApp(s, id)
	s.up(instance(id, s.apps[id].addr, 1))
}

// met waits until instances have calls, checks that they had them in time, and says when.
func (s *scale) met(ids ...string) string {
	s.Helper()
	began, late := time.Now(), s.late.sum.Load()
	for _, id := range ids {
		eventually(s, "traffic of "+id, func() bool { return s.apps[id].calls.Load() > 0 })
	}
	took, excuse := time.Since(began), s.late.since(s, late)
	if took > noticed+excuse {
		s.Errorf("%v had no call for %v, want %v, and %v for a late machine", ids, took, noticed, excuse)
	}
	return fmt.Sprintf("after %v, the machine late by %v", took, excuse)
}

// left deregisters instances, waits, and checks that none had a call after the time allowed. It says when the last was.
func (s *scale) left(ids ...string) string {
	s.Helper()
	began, late := time.Now(), s.late.sum.Load()
	for _, id := range ids {
		s.down(id)
	}
	eventually(s, "the time allowed", func() bool { return time.Since(began) > noticed })
	excuse := s.late.since(s, late)
	eventually(s, "quiet", func() bool { return time.Since(began) > noticed+excuse+ttl })
	var longest time.Duration
	for _, id := range ids {
		longest = max(longest, time.Unix(0, s.apps[id].last.Load()).Sub(began))
	}
	if longest > noticed+excuse {
		s.Errorf("%v had a call %v after they were deregistered, want none after %v, and %v for a late machine",
			ids, longest, noticed, excuse)
	}
	return fmt.Sprintf("after %v, the machine late by %v", longest, excuse)
}

// Rolling restart of three instances, each stopped while clients still know it, then 3 to 6 to 2, under unary and
// streaming calls, without any retry policy: no call fails.
func TestRollingRestartAndScale(t *testing.T) {
	late := newLateness(t)
	before := runtime.NumGoroutine()
	s := newScale(t, late)
	client := s.client()
	for _, id := range []string{"web-1", "web-2", "web-3"} {
		s.start(id)
	}
	conn := dial(t, client)
	t.Cleanup(func() {
		if t.Failed() {
			answer, err := client.Service(context.Background(), "web")
			t.Log("DNS says", answer.Endpoints, err)
		}
	})
	l := run(t, conn, 6, 3)
	s.met("web-1", "web-2", "web-3")

	for _, id := range []string{"web-1", "web-2", "web-3"} {
		old := s.apps[id]
		s.down(id)
		old.server.GracefulStop()
		s.start(id)
		t.Logf("%s: restarted, first call %s", id, s.met(id))
	}
	for _, id := range []string{"web-4", "web-5", "web-6"} {
		s.start(id)
	}
	t.Logf("3 to 6: the last new one had a call %s", s.met("web-4", "web-5", "web-6"))
	gone := []string{"web-1", "web-3", "web-4", "web-6"}
	t.Logf("6 to 2: the last call of a gone one began %s", s.left(gone...))
	for _, id := range gone {
		s.apps[id].server.GracefulStop() // and hangs, should a client still be connected with calls
	}
	eventually(t, "calls enough to tell anything", func() bool { return l.unary.Load() >= 500 && l.streams.Load() >= 100 })
	l.stop()
	t.Logf("%d unary calls, %d streams, %d failed", l.unary.Load(), l.streams.Load(), l.failed.Load())
	conn.Close()
	for _, id := range []string{"web-2", "web-5"} {
		s.apps[id].server.Stop()
	}
	client.Close()
	s.halt()
	eventually(t, "goroutines at their number before", func() bool { return runtime.NumGoroutine() <= before })
}

// Instances that are killed take their calls with them. A retry policy, which they bring in their TXT records, repeats
// those on another one.
func TestKilledInstances(t *testing.T) {
	const retry = `grpc_config=[{"serviceConfig":{"methodConfig":[{"name":[{}],"retryPolicy":{"maxAttempts":4,` +
		`"initialBackoff":".01s","maxBackoff":".1s","backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}}]}}]`
	r := newRegistry(t)
	apps := newApps(t, 3)
	for _, a := range apps {
		r.up(instance(a.id, a.addr, 1, retry))
	}
	l := run(t, dial(t, r.client(), grpc.WithDefaultServiceConfig(`{}`)), 6, 0)
	for i, a := range apps {
		eventually(t, "traffic", func() bool { return a.calls.Load() > 50 })
		a.server.Stop()
		r.down(a.id)
		apps[i] = newApp(t, a.id)
		r.up(instance(a.id, apps[i].addr, 1, retry))
		eventually(t, "traffic after the restart", func() bool { return apps[i].calls.Load() > 0 })
	}
	l.stop()
	t.Logf("%d unary calls, %d failed, with each instance killed once", l.unary.Load(), l.failed.Load())
}

// An instance that is being drained keeps the calls that it has and gets no new ones.
func TestDrainingKeepsItsStreams(t *testing.T) {
	r := newRegistry(t)
	apps := newApps(t, 2)
	for _, a := range apps {
		r.up(instance(a.id, a.addr, 1))
	}
	conn := dial(t, r.client())
	drained := apps[0]
	var stream grpc.ClientStream
	for drained.calls.Load() == 0 || stream == nil {
		s, err := open(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		if id, err := ask(s); err != nil {
			t.Fatal(err)
		} else if id == drained.id {
			stream = s
		}
	}
	r.drain(drained.id)
	eventually(t, "no call for 100 in a row", func() bool {
		before := drained.calls.Load()
		for range 100 {
			if _, err := callOnce(t.Context(), conn); err != nil {
				t.Fatal(err)
			}
		}
		return drained.calls.Load() == before
	})
	for range 10 {
		if id, err := ask(stream); err != nil || id != drained.id {
			t.Fatalf("stream of the drained instance: got %q, %v", id, err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
}

func TestWeights(t *testing.T) {
	r := newRegistry(t)
	apps := newApps(t, 3)
	weights := []uint16{1, 2, 7}
	for i, a := range apps {
		r.up(instance(a.id, a.addr, weights[i]))
	}
	conn := dial(t, r.client())
	called := func() (n int64) {
		for _, a := range apps {
			n += min(1, a.calls.Load())
			a.calls.Store(0)
		}
		return n
	}
	eventually(t, "all connected", func() bool {
		for range 20 {
			if _, err := callOnce(t.Context(), conn); err != nil {
				t.Fatal(err)
			}
		}
		return called() == 3
	})
	l := run(t, conn, 4, 4)
	eventually(t, "2,000 calls", func() bool { return l.unary.Load()+l.streams.Load() >= 2000 })
	l.stop()
	var sum, points float64
	for _, a := range apps {
		sum += float64(a.calls.Load())
	}
	for i, a := range apps {
		points = 100 * float64(a.calls.Load()) / sum
		t.Logf("weight %d: %.2f %%", weights[i], points)
		if want := 10 * float64(weights[i]); points < want-5 || points > want+5 {
			t.Errorf("weight %d: got %.2f %%, want %v ± 5", weights[i], points, want)
		}
	}
}

// While DNS is away, calls go on to the last good addresses, and what is new is seen once it is back.
func TestDNSOutage(t *testing.T) {
	r := newRegistry(t)
	apps := newApps(t, 2)
	r.up(instance(apps[0].id, apps[0].addr, 1))
	l := run(t, dial(t, r.client()), 2, 1)
	eventually(t, "traffic", func() bool { return apps[0].calls.Load() > 0 })
	r.halt()
	away := time.Now()
	eventually(t, "some TTLs", func() bool { return time.Since(away) > 3*ttl })
	before := apps[0].calls.Load()
	eventually(t, "traffic without DNS", func() bool { return apps[0].calls.Load() > before })
	r.up(instance(apps[1].id, apps[1].addr, 1))
	r.serve()
	t.Logf("a new one had a call %v after DNS was back", eventually(t, "traffic of the new one",
		func() bool { return apps[1].calls.Load() > 0 }))
	l.stop()
}
