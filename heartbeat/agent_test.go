package heartbeat_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/store"
)

// interval is what the endpoint names for the default lease.
const interval = store.DefaultTTL / 3

func TestAgentRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := newRegistry(t)
		agent := run(t, reg.wire, entries(1))
		synctest.Wait()
		for range time.Hour / time.Second {
			if reg.known() != 1 {
				t.Fatal("the instance is not registered")
			}
			time.Sleep(time.Second)
		}
		calls := reg.seen()
		if calls[0].what != "PUT /v1/services/_web._tcp/instances/web-0" || calls[0].status != 201 {
			t.Fatalf("first call %v", calls[0])
		}
		for i, call := range calls[1:] {
			if call.what != "POST /v1/services/_web._tcp/instances/web-0/heartbeat" || call.status != 200 {
				t.Fatalf("call %v", call)
			}
			if gap := call.at.Sub(calls[i].at); gap < interval/2 || gap > interval*9/10 {
				t.Errorf("a heartbeat %s after the last call, want half to nine tenths of %s", gap, interval)
			}
		}
		agent.cancel()
		if err := <-agent.done; err != nil {
			t.Errorf("run: %v", err)
		}
		if reg.known() != 0 || reg.count("DELETE /v1/services/_web._tcp/instances/web-0") != 1 {
			t.Error("not deregistered at the end")
		}
		if told := agent.told(func(heartbeat.Event) bool { return true }); len(told) != 1 || !told[0].Registration.Created || told[0].ID != "web-0" {
			t.Errorf("events %+v", told)
		}
	})
}

func TestAgentRenewsManyInOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := newRegistry(t)
		agent := run(t, reg.wire, entries(20))
		time.Sleep(10 * time.Minute)
		if reg.known() != 20 || len(agent.told(registered)) != 20 {
			t.Errorf("%d instances, %d events", reg.known(), len(agent.told(registered)))
		}
		batches := reg.count("POST /v1/heartbeats")
		if others := len(reg.seen()) - batches; batches < 600/9 || batches > 600/5 || others != 20 {
			t.Errorf("%d batches and %d other calls in ten minutes", batches, others)
		}
	})
}

// TestAgentReturns holds what the whole package is for: however long the server was out of reach, and although it comes
// back empty, it knows every instance again within one interval.
func TestAgentReturns(t *testing.T) {
	tests := []struct {
		name    string
		outage  time.Duration
		hanging bool
	}{
		{"at once", 0, false},
		{"after a moment", 100 * time.Millisecond, false},
		{"after less than a lease", 20 * time.Second, false},
		{"after an hour", time.Hour, false},
		{"after hanging", time.Minute, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reg := newRegistry(t)
				run(t, reg.wire, entries(3))
				for round := range 10 {
					time.Sleep(time.Minute)
					reg.set(nil, tt.hanging)
					time.Sleep(tt.outage)
					reg.restart(t)
					time.Sleep(interval)
					if reg.known() != 3 {
						t.Fatalf("round %d: %d instances one interval after the server came back", round, reg.known())
					}
				}
			})
		})
	}
}

// TestAgentIsPatient holds that an outage is no reason to hammer.
func TestAgentIsPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := newRegistry(t)
		agent := run(t, reg.wire, entries(100))
		time.Sleep(time.Minute)
		reg.set(nil, false)
		before := len(reg.seen())
		time.Sleep(time.Hour)
		// Full jitter below half an interval is a quarter of it on the average.
		if calls := len(reg.seen()) - before; calls > 2*4*int(time.Hour/interval) {
			t.Errorf("%d calls in an hour without a server", calls)
		}
		failed := func(e heartbeat.Event) bool { return errors.Is(e.Err, store.ErrUnavailable) }
		if len(agent.told(failed)) == 0 {
			t.Error("nobody was told")
		}
	})
}

// TestAgentTriesAgainSoon holds that each outage begins with short waits, whatever the last one ended with.
func TestAgentTriesAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := newRegistry(t)
		server := reg.handler
		run(t, reg.wire, entries(1))
		for range 20 {
			time.Sleep(time.Minute)
			before := len(reg.seen())
			reg.set(nil, false)
			time.Sleep(time.Hour)
			reg.set(server, false)
			if failed := reg.seen()[before:]; failed[1].at.Sub(failed[0].at) > 100*time.Millisecond {
				t.Errorf("tried again %s after the first failure", failed[1].at.Sub(failed[0].at))
			}
		}
	})
}

func TestAgentRegistersChangedContentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, n := range []int{1, 3} {
			reg := newRegistry(t)
			run(t, reg.wire, entries(n))
			synctest.Wait()
			other := store.Instance{ID: "web-0", Port: 81, Addresses: addrs("192.0.2.9"), Weight: 1}
			if _, err := reg.store.Register(t.Context(), "_web._tcp", other); err != nil {
				t.Fatal(err)
			}
			time.Sleep(interval)
			if port := reg.store.View().Service("_web._tcp").Find("web-0").Port; port != 80 {
				t.Errorf("%d entries: port %d one interval after somebody changed it", n, port)
			}
		}
	})
}

func TestAgentStopsWhatWasDeregistered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := newRegistry(t)
		agent := run(t, reg.wire, entries(3))
		for i, id := range []string{"web-1", "web-0", "web-2"} {
			time.Sleep(time.Minute)
			if reg.known() != 3-i {
				t.Fatalf("%d instances, want %d", reg.known(), 3-i)
			}
			if _, err := reg.store.Deregister(t.Context(), "_web._tcp", id); err != nil {
				t.Fatal(err)
			}
			time.Sleep(interval)
			if told := agent.told(ended); len(told) != i+1 || told[i].ID != id || !errors.Is(told[i].Err, store.ErrDeregistered) {
				t.Fatalf("events %+v", told)
			}
		}
		err := <-agent.done // although its context lives: no entry is left
		if !errors.Is(err, store.ErrDeregistered) || strings.Count(err.Error(), "\n") != 2 {
			t.Errorf("run: %v", err)
		}
		if puts := reg.count("PUT /v1/services/_web._tcp/instances/web-0"); puts != 1 || reg.known() != 0 {
			t.Errorf("%d registrations, %d instances", puts, reg.known())
		}
	})
}

func TestAgentGivesUpWhatBreaksARule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := newRegistry(t)
		some := entries(2)
		some[1].Instance.Port = 0
		agent := run(t, reg.wire, some)
		time.Sleep(10 * time.Minute)
		if told := agent.told(ended); len(told) != 1 || told[0].ID != "web-1" {
			t.Fatalf("events %+v", told)
		}
		if reg.known() != 1 || reg.count("PUT /v1/services/_web._tcp/instances/web-1") != 1 {
			t.Error("the other instance is not registered, or the wrong one was tried again")
		}
		agent.cancel()
		var invalid *store.InvalidError
		if err := <-agent.done; !errors.As(err, &invalid) || invalid.Fields[0].Field != "port" {
			t.Errorf("run: %v", err)
		}
	})
}

// TestAgentWithinLease holds that no interval a server names lets a lease run out.
func TestAgentWithinLease(t *testing.T) {
	for _, after := range []string{"0s", "-5s", "1ns", "10s", "29s", "30s", "1h"} {
		t.Run(after, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{}
				w.set(answer(200, `{"etag":"e","lease":{"ttl":"30s","heartbeat_after":"`+after+`"}}`), false)
				agent := run(t, w, entries(1))
				time.Sleep(time.Second)
				agent.cancel()
				<-agent.done
				if after == "1ns" { // a server may ask for as many as it likes, within reason
					if calls := len(w.seen()); calls > 10 {
						t.Errorf("%d calls in a second", calls)
					}
					return
				}
				again := run(t, w, entries(1))
				time.Sleep(10 * time.Minute)
				again.cancel()
				<-again.done
				calls := w.seen()
				for i, call := range calls[2 : len(calls)-1] {
					if gap := call.at.Sub(calls[i+1].at); gap > 23*time.Second && calls[i+1].what[:4] != "DELE" {
						t.Errorf("%s between calls %d and %d of a lease of 30s", gap, i+1, i+2)
					}
				}
			})
		})
	}
}

func TestAgentCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := newRegistry(t)
		agent := run(t, reg.wire, entries(2))
		synctest.Wait()
		if err := agent.Close(); err != nil || reg.known() != 0 {
			t.Errorf("close: %v, %d instances", err, reg.known())
		}
		if err := agent.Close(); err != nil {
			t.Errorf("close twice: %v", err)
		}
		if err := agent.Run(t.Context()); err == nil {
			t.Error("it runs twice")
		}
	})
}

func TestAgentClosedBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := newRegistry(t)
		agent, err := heartbeat.NewAgent(heartbeat.AgentConfig{Client: reg.client(t), Entries: entries(1)})
		if err != nil {
			t.Fatal(err)
		}
		if err := agent.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := agent.Run(t.Context()); err != nil || len(reg.seen()) != 0 {
			t.Errorf("run: %v, calls %v", err, reg.seen())
		}
	})
}

func TestAgentLeavesAnUnknownServer(t *testing.T) {
	tests := []struct {
		name string
		end  func(t testing.TB, reg *registry)
		want error
	}{
		{"which restarted empty", func(t testing.TB, reg *registry) { reg.restart(t) }, nil},
		{"which refuses connections", func(_ testing.TB, reg *registry) { reg.set(nil, false) }, store.ErrUnavailable},
		{"which hangs", func(_ testing.TB, reg *registry) { reg.set(nil, true) }, context.DeadlineExceeded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reg := newRegistry(t)
				agent := run(t, reg.wire, entries(20))
				synctest.Wait()
				tt.end(t, reg)
				start := time.Now()
				if err := agent.Close(); !errors.Is(err, tt.want) {
					t.Errorf("close: %v, want %v", err, tt.want)
				}
				if took := time.Since(start); took > 5*time.Second {
					t.Errorf("leaving took %s", took)
				}
			})
		})
	}
}

func TestAgentThatNeverReachedAServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{}
		agent := run(t, w, entries(1))
		time.Sleep(time.Minute)
		w.set(nil, true)
		time.Sleep(time.Minute)
		if err := agent.Close(); err == nil {
			t.Error("it does not say that the instance may still be registered")
		}
	})
}

func TestNewAgentNamesEveryField(t *testing.T) {
	_, err := heartbeat.NewAgent(heartbeat.AgentConfig{})
	wantText(t, err, "client: must be set", "entries: must have at least one")
	twice := append(entries(1), heartbeat.Entry{Service: "_WEB._tcp", Instance: store.Instance{ID: "WEB-0"}}, heartbeat.Entry{Service: "a b"})
	_, err = heartbeat.NewAgent(heartbeat.AgentConfig{Client: (&wire{}).client(t), Entries: twice})
	wantText(t, err, `entries[1]: _web._tcp "WEB-0" must not be given twice`, `entries[2]: service "a b": must be`)
}

// wantText checks that an error has every one of parts in its text.
func wantText(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
}
