package resolverclient_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// failing makes the calls to the ports in bad fail at once.
func failing(err error, bad ...uint16) func(uint16) (time.Duration, error) {
	return func(port uint16) (time.Duration, error) {
		for _, p := range bad {
			if p == port {
				return 0, err
			}
		}
		return 0, nil
	}
}

func TestEjection(t *testing.T) {
	broken := errors.New("broken")
	records := weighted(0, 1, 1, 1)
	bubbleBalancer(t, resolverclient.RoundRobin, records, func(b *cacheTest, p *resolverclient.Balancer) {
		if n := calls(b, p, 300, failing(broken, 1))[1]; n != 5 {
			t.Errorf("the failing one got %d calls, want 5 and then none", n)
		}
		pass(9 * time.Second)
		if n := calls(b, p, 30, failing(broken, 1))[1]; n != 0 {
			t.Errorf("%d calls while ejected", n)
		}
		pass(time.Second) // back on probation: one failure is enough, and costs twice the time
		if n := calls(b, p, 30, failing(broken, 1))[1]; n != 1 {
			t.Errorf("%d calls on probation, want 1", n)
		}
		pass(19 * time.Second)
		if n := calls(b, p, 30, failing(nil))[1]; n != 0 {
			t.Errorf("%d calls in the second ejection", n)
		}
		pass(time.Second)
		if n := calls(b, p, 30, failing(nil))[1]; n != 10 {
			t.Errorf("%d of 30 calls after it recovered", n)
		}
		if n := calls(b, p, 30, failing(broken, 1))[1]; n != 5 {
			t.Errorf("%d calls, want 5: the success forgot what was before", n)
		}
	})
}

func TestEjectionStopsAtHalf(t *testing.T) {
	broken := errors.New("broken")
	bubbleBalancer(t, resolverclient.RoundRobin, weighted(0, 1, 1, 1, 1), func(b *cacheTest, p *resolverclient.Balancer) {
		counts := calls(b, p, 400, failing(broken, 1, 2))
		if counts[1] != 5 || counts[2] != 5 {
			t.Errorf("got %v, want 5 calls to each of the failing half", counts)
		}
		counts = calls(b, p, 400, failing(broken, 1, 2, 3, 4))
		if len(counts) != 2 {
			t.Errorf("got %v, want two of the four in use while all fail", counts)
		}
		pass(10 * time.Second)
		if counts = calls(b, p, 400, failing(nil)); len(counts) != 4 {
			t.Errorf("got %v, want all four after the trouble", counts)
		}
	})
}

func TestEjectionLeavesTheBackup(t *testing.T) {
	records := append(weighted(0, 1), weighted(9, 1)...)
	records[2] = "_web._tcp.svc.internal. 5 SRV 9 1 2 p9-0.svc.internal."
	bubbleBalancer(t, resolverclient.Random, records, func(b *cacheTest, p *resolverclient.Balancer) {
		counts := calls(b, p, 20, failing(errors.New("broken"), 1))
		if counts[1] != 5 || counts[2] != 15 {
			t.Errorf("got %v, want the backup after 5 failures", counts)
		}
		pass(10 * time.Second)
		if n := calls(b, p, 20, failing(nil))[1]; n != 20 {
			t.Errorf("the first priority got %d of 20 calls after it recovered", n)
		}
	})
}

// What does not speak against the instance ejects nothing.
func TestEjectionIgnores(t *testing.T) {
	records := weighted(0, 1, 1, 1)
	bubbleBalancer(t, resolverclient.RoundRobin, records, func(b *cacheTest, p *resolverclient.Balancer) {
		if n := calls(b, p, 300, failing(context.Canceled, 1))[1]; n != 100 {
			t.Errorf("%d of 300 calls after the caller gave up", n)
		}
		for range 100 {
			_ = p.Do(b.Context(), func(_ context.Context, e resolverclient.Endpoint) error {
				if e.Port == 1 {
					return errors.New("no such user")
				}
				return nil
			})
		}
		if n := calls(b, p, 300, failing(nil))[1]; n != 100 {
			t.Errorf("%d of 300 calls after errors of the application", n)
		}
	})
}

// Do ejects what refuses connections, and tries it again only when all else failed.
func TestDoEjects(t *testing.T) {
	bubbleBalancer(t, resolverclient.RoundRobin, weighted(0, 1, 1, 1), func(b *cacheTest, p *resolverclient.Balancer) {
		refusals := 0
		for range 100 {
			if err := p.Do(b.Context(), func(_ context.Context, e resolverclient.Endpoint) error {
				if e.Port == 1 {
					refusals++
					return refused()
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		}
		if refusals != 5 {
			t.Errorf("%d calls to the one that refuses, want 5", refusals)
		}
		var last uint16
		_ = p.Do(b.Context(), func(_ context.Context, e resolverclient.Endpoint) error {
			last = e.Port
			return refused()
		})
		if last != 1 {
			t.Errorf("the last resort was port %d, want the ejected one", last)
		}
	})
}

func TestEjectionSwitchedOff(t *testing.T) {
	bubble(t, resolverclient.Config{EjectAfter: -1}, func(b *cacheTest) {
		b.script.set(newZone(t, weighted(0, 1, 1, 1)...).serve)
		p, err := b.client.Balancer("web", resolverclient.RoundRobin)
		if err != nil {
			t.Fatal(err)
		}
		if n := calls(b, p, 300, failing(errors.New("broken"), 1))[1]; n != 100 {
			t.Errorf("%d of 300 calls, want 100", n)
		}
	})
}
