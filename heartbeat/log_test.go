package heartbeat_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/store"
)

// TestAgentLogs holds that the operator of a service is told what happens to it, each thing once.
func TestAgentLogs(t *testing.T) {
	tests := []struct {
		name   string
		happen func(t testing.TB, reg *registry)
		want   []string // parts of the line that says so
	}{
		{"registration", func(testing.TB, *registry) {}, []string{"level=INFO", "msg=registered", "instance.service=_web._tcp", "instance.id=web-0", "created=true"}},
		{"loss", func(t testing.TB, reg *registry) { reg.restart(t) }, []string{"level=WARN", `msg="lease lost, registering again"`, "instance.id=web-0", "404 Lease gone"}},
		{"end", func(t testing.TB, reg *registry) {
			if _, err := reg.store.Deregister(t.Context(), "_web._tcp", "web-0"); err != nil {
				t.Fatal(err)
			}
		}, []string{"level=ERROR", `msg="given up"`, "instance.id=web-0", "410 Deregistered"}},
		{"outage", func(_ testing.TB, reg *registry) { reg.set(nil, false) }, []string{"level=WARN", `msg="no answer from the server, trying again"`, "connection refused"}},
		{
			"denial", func(_ testing.TB, reg *registry) { reg.set(answer(http.StatusUnauthorized, `{}`), false) },
			[]string{"level=WARN", `msg="refused, trying again later"`, "instance.id=web-0", "401 Unauthorized"},
		},
		{
			"stumble", func(_ testing.TB, reg *registry) { reg.set(answer(http.StatusInternalServerError, `{}`), false) },
			[]string{"level=WARN", `msg="call failed, trying again"`, "instance.id=web-0", "500 Internal Server Error"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reg := newRegistry(t)
				var log bytes.Buffer
				agent, err := heartbeat.NewAgent(heartbeat.AgentConfig{
					Client: reg.client(t), Entries: entries(1), Logger: slog.New(slog.NewTextHandler(&log, nil)), Leave: time.Second,
				})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- agent.Run(ctx) }()
				synctest.Wait()
				tt.happen(t, reg)
				time.Sleep(interval)
				cancel()
				<-done // only what was logged matters here
				wantLine(t, log.String(), tt.want)
			})
		})
	}
}

// wantLine checks that one line of a log has all of parts.
func wantLine(t testing.TB, log string, parts []string) {
	t.Helper()
	for line := range strings.Lines(log) {
		found := 0
		for _, part := range parts {
			if strings.Contains(line, part) {
				found++
			}
		}
		if found == len(parts) {
			return
		}
	}
	t.Errorf("no line with all of %q in:\n%s", parts, log)
}

// TestAgentMixedLeases holds that entries of different leases are each renewed at their own pace, and never too late.
func TestAgentMixedLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := newRegistry(t)
		mixed := entries(4)
		for i, ttl := range []time.Duration{time.Second, 30 * time.Second, time.Hour, 24 * time.Hour} {
			mixed[i].Instance.TTL = ttl
		}
		run(t, reg.wire, mixed)
		synctest.Wait()
		for range 20 * 60 {
			if reg.known() != 4 {
				t.Fatalf("%d instances", reg.known())
			}
			time.Sleep(time.Second)
		}
		single := reg.count("POST /v1/services/_web._tcp/instances/web-0/heartbeat")
		if single < 20*60*3 || len(reg.seen())-single > 20*60/5+4 {
			t.Errorf("%d calls for the lease of a second alone, %d others", single, len(reg.seen())-single)
		}
	})
}

// TestAgentOfServices holds that the same id may stand in several services.
func TestAgentOfServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := newRegistry(t)
		run(t, reg.wire, []heartbeat.Entry{
			{Service: "web", Instance: store.Instance{ID: "a b", Port: 80}},
			{Service: "_web._udp", Instance: store.Instance{ID: "a b", Port: 80}},
			{Service: "_DNS._udp", Instance: store.Instance{ID: "a b", Port: 53}},
		})
		time.Sleep(5 * time.Minute)
		for _, service := range []store.Service{"_web._tcp", "_web._udp", "_dns._udp"} {
			if reg.store.View().Service(service).Find("A B") == nil {
				t.Errorf("%s is not registered", service)
			}
		}
	})
}
