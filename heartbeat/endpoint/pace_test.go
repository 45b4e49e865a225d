package endpoint_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/heartbeat/endpoint"
	"github.com/dnsreg/dnsreg/store/memstore"
)

func TestHeartbeatAfter(t *testing.T) {
	const ttl = 30 * time.Second
	tests := []struct {
		name string
		ttl  time.Duration
		load float64 // of a capacity of 1,000
		want time.Duration
	}{
		{"idle", ttl, 0, 10 * time.Second},
		{"half", ttl, 500, 10 * time.Second},
		{"just above half", ttl, 501, 10*time.Second + 10*time.Millisecond},
		{"three quarters", ttl, 750, 12500 * time.Millisecond},
		{"just below all", ttl, 999, 14990 * time.Millisecond},
		{"all", ttl, 1000, 15 * time.Second},
		{"beyond", ttl, 1e12, 15 * time.Second},
		{"shortest lease, idle", time.Second, 0, 333 * time.Millisecond},
		{"shortest lease, all", time.Second, 1000, 500 * time.Millisecond},
		{"longest lease, all", 24 * time.Hour, 1000, 12 * time.Hour},
		{"odd lease, all", 1001 * time.Millisecond, 1000, 500 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := endpoint.HeartbeatAfter(tt.ttl, tt.load, 1000); got != tt.want {
				t.Errorf("after %v, want %v", got, tt.want)
			}
		})
	}
}

// TestHeartbeatAfterIsBounded holds the two bounds for any load, and that more load never asks for more heartbeats.
func TestHeartbeatAfterIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ttl := time.Duration(rapid.Int64Range(1000, 86_400_000).Draw(t, "ttl")) * time.Millisecond
		capacity := rapid.Float64Range(0.001, 1e9).Draw(t, "capacity")
		less := rapid.Float64Range(0, 1e12).Draw(t, "less")
		more := rapid.Float64Range(less, 1e12).Draw(t, "more")
		a, b := endpoint.HeartbeatAfter(ttl, less, capacity), endpoint.HeartbeatAfter(ttl, more, capacity)
		if a < (ttl/3).Truncate(time.Millisecond) || b > ttl/2 || a > b {
			t.Errorf("ttl %v: %v at %g and %v at %g of %g", ttl, a, less, b, more, capacity)
		}
	})
}

// TestPaceSettles lets a fleet of agents follow the replies, from idle to far beyond capacity, and holds that the load
// comes to rest instead of swinging.
func TestPaceSettles(t *testing.T) {
	const ttl, capacity = 30 * time.Second, 1000.0
	for _, fleet := range []float64{1000, 7000, 10_000, 12_000, 15_000, 20_000, 1e6} {
		t.Run(fmt.Sprint(fleet), func(t *testing.T) {
			load, last := 0.0, 0.0
			for range 100 {
				load, last = fleet/endpoint.HeartbeatAfter(ttl, load, capacity).Seconds(), load
			}
			if change := (load - last) / load; change > 0.001 || change < -0.001 {
				t.Errorf("the load still swings between %g and %g", last, load)
			}
		})
	}
}

// TestPacing loads a server that is good for 10 renewals a second and reads what its replies ask for.
func TestPacing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(newStore(t, memstore.Config{}))
		cfg.Capacity = 10
		server := newServer(t, cfg)
		a := &api{Handler: server.Handler(), peer: "192.0.2.1:4711"}
		a.must(t, 201, "PUT", web1, body)
		batch := `{"instances":[` + strings.Repeat(`{"service":"web","id":"web-1"},`, 19) + `{"service":"web","id":"web-1"}]}`
		after := func() (single, ofBatch time.Duration) {
			var renewal heartbeat.Renewal
			a.must(t, 200, "POST", web1+"/heartbeat", "").decode(t, &renewal)
			var all heartbeat.Batch
			a.must(t, 200, "POST", "/v1/heartbeats", batch).decode(t, &all)
			return time.Duration(renewal.Lease.HeartbeatAfter), time.Duration(all.Instances[0].Lease.HeartbeatAfter)
		}
		if single, _ := after(); single != 10*time.Second {
			t.Errorf("idle: after %v, want 10s", single)
		}
		for range 10 {
			time.Sleep(time.Second)
			after()
		}
		time.Sleep(time.Second)
		if rate := server.Rate(); rate != 21 {
			t.Errorf("rate %g, want 21", rate)
		}
		if single, ofBatch := after(); single != 15*time.Second || ofBatch != 15*time.Second {
			t.Errorf("at twice the capacity: after %v and %v, want 15s", single, ofBatch)
		}
		var again heartbeat.Registration
		a.must(t, 200, "PUT", web1, body).decode(t, &again)
		if got := time.Duration(again.Lease.HeartbeatAfter); got != 15*time.Second {
			t.Errorf("PUT at twice the capacity: after %v, want 15s", got)
		}
		time.Sleep(20 * time.Second)
		if rate := server.Rate(); rate != 0 {
			t.Errorf("rate %g after 20 s of rest, want 0", rate)
		}
	})
}

// TestRateForgets holds that a burst counts for as long as the window, in whole seconds, and no longer.
func TestRateForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newServer(t, config(newStore(t, memstore.Config{})))
		a := &api{Handler: server.Handler(), peer: "192.0.2.1:4711"}
		for range 14 {
			a.call(t, "POST", web1+"/heartbeat", "")
		}
		var rates []float64
		for range 9 {
			rates = append(rates, server.Rate())
			time.Sleep(time.Second)
		}
		if got, want := fmt.Sprint(rates), "[0 2 2 2 2 2 2 2 0]"; got != want {
			t.Errorf("rates %s, want %s", got, want)
		}
	})
}
