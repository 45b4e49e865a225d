package redistest_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dnsreg/dnsreg/internal/redistest"
)

func TestStart(t *testing.T) {
	begin := time.Now()
	s := redistest.Start(t)
	t.Logf("started in %v", time.Since(begin))
	for key, want := range map[string]string{"save": "", "appendonly": "no", "bind": "127.0.0.1", "protected-mode": "yes"} {
		if got := config(t, s, key); got != want {
			t.Errorf("config %s = %q, want %q", key, got, want)
		}
	}
}

func config(t testing.TB, s *redistest.Server, key string) string {
	t.Helper()
	values, err := s.Client().ConfigGet(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	return values[key]
}

func TestServersAreApart(t *testing.T) {
	a, b := redistest.Start(t), redistest.Start(t)
	a.Do("SET", "k", "a")
	if a.Addr() == b.Addr() || b.Do("EXISTS", "k") != int64(0) {
		t.Errorf("%s and %s share their data", a.Addr(), b.Addr())
	}
}

func TestKillAndRestart(t *testing.T) {
	s := redistest.Start(t)
	addr := s.Addr()
	s.Do("SET", "k", "old")
	rdb := s.Save()
	s.Do("SET", "k", "new")
	tests := []struct {
		name    string
		restart func()
		want    any
	}{
		{"empty", s.Restart, nil},
		{"from an older file", func() { s.RestartFrom(rdb) }, "old"},
		{"empty after that", s.Restart, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.Kill()
			if err := s.Ping(); err == nil {
				t.Fatal("a killed server answers")
			}
			tt.restart()
			if got := s.Do("GET", "k"); got != tt.want || s.Addr() != addr {
				t.Errorf("GET k = %v at %s, want %v at %s", got, s.Addr(), tt.want, addr)
			}
		})
	}
}

func TestStartWithRDB(t *testing.T) {
	a := redistest.Start(t)
	a.Do("SET", "k", "v")
	b := redistest.Start(t, redistest.WithRDB(a.Save()))
	if got := b.Do("GET", "k"); got != "v" {
		t.Errorf("GET k = %v, want v", got)
	}
}

func TestStopAndCont(t *testing.T) {
	s := redistest.Start(t)
	s.Stop()
	begin := time.Now()
	if err := s.Ping(); err == nil || time.Since(begin) < 400*time.Millisecond {
		t.Errorf("a stopped server answered, or refused, after %v: %v", time.Since(begin), err)
	}
	s.Cont()
	eventually(t, "it answers again", func() bool { return s.Ping() == nil })
}

// A stopped process is ended with its test all the same.
func TestStoppedIsEnded(t *testing.T) {
	var s *redistest.Server
	t.Run("inner", func(t *testing.T) {
		s = redistest.Start(t)
		s.Stop()
	})
	if !s.Ended() {
		t.Error("the process outlives its test")
	}
}

func TestConfig(t *testing.T) {
	s := redistest.Start(t, redistest.WithConfig("maxmemory", "8mb"), redistest.WithConfig("maxmemory-policy", "noeviction"))
	if got := config(t, s, "maxmemory"); got != "8388608" {
		t.Errorf("maxmemory = %s, want 8388608", got)
	}
	s.Set("maxmemory", "0")
	if got := config(t, s, "maxmemory"); got != "0" {
		t.Errorf("maxmemory = %s, want 0", got)
	}
}

func TestUsers(t *testing.T) {
	s := redistest.Start(t, redistest.WithUser("default", "x", "-@all"), redistest.WithUser("reader", "secret", "~a:* +get"))
	if err := dial(t, s.URL()).Get(t.Context(), "a:k").Err(); err == nil {
		t.Error("the default user needs no password")
	}
	reader := dial(t, s.UserURL("reader"))
	if err := reader.Get(t.Context(), "a:k").Err(); err != redis.Nil {
		t.Errorf("GET a:k by the reader: %v, want redis: nil", err)
	}
	for _, err := range []error{reader.Get(t.Context(), "b:k").Err(), reader.Set(t.Context(), "a:k", 1, 0).Err()} {
		if !redis.HasErrorPrefix(err, "NOPERM") {
			t.Errorf("beyond its rules the reader gets %v, want NOPERM", err)
		}
	}
	s.Do("SET", "b:k", "the test's own client may")
}

func dial(t testing.TB, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestTLS(t *testing.T) {
	s := redistest.Start(t, redistest.WithTLS())
	s.Do("SET", "k", "v")
	if s.CAFile() == "" || s.URL() != "rediss://"+s.Addr()+"/0" {
		t.Errorf("CA in %q, URL %s", s.CAFile(), s.URL())
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := dial(t, "redis://"+s.Addr()).Ping(ctx).Err(); err == nil {
		t.Error("the server answers without TLS")
	}
	if err := dial(t, s.URL()).Ping(ctx).Err(); err == nil {
		t.Error("a client that does not know the certificate trusts it")
	}
}

func TestCommandStats(t *testing.T) {
	s := redistest.Start(t)
	before := s.CommandStats()
	for range 3 {
		s.Do("SET", "k", "v")
	}
	s.Do("CONFIG", "GET", "port")
	s.Do("DEBUG", "SLEEP", "0.002")
	after := s.CommandStats()
	calls := redistest.Calls(before, after)
	if calls["set"] != 3 || calls["config|get"] != 1 || calls["get"] != 0 {
		t.Errorf("calls %v, want 3 of set and 1 of config|get", calls)
	}
	if cost := after["debug"].CPU; cost < 2*time.Millisecond {
		t.Errorf("a command of 2 ms cost %v", cost)
	}
}

func TestClock(t *testing.T) {
	s := redistest.Start(t, redistest.WithClock())
	for _, offset := range []time.Duration{0, time.Hour, -time.Hour} {
		s.SetClock(offset)
		now, err := s.Client().Time(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		if off := time.Until(now) - offset; off.Abs() > 5*time.Second {
			t.Errorf("with an offset of %v the clock is off by %v", offset, off)
		}
	}
	s.SetClock(0)
	s.Do("SET", "k", "v", "PX", 3000)
	s.SetClock(time.Hour)
	if got := s.Do("GET", "k"); got != nil {
		t.Errorf("GET k = %v an hour later, want nothing", got)
	}
}

// What redis-server says of a port that is taken is what has another one drawn.
func TestLostPort(t *testing.T) {
	log := redistest.LogOnPort(t, redistest.Start(t))
	if !redistest.LostPort(t, log) {
		t.Errorf("a lost port is not recognised in\n%s", log)
	}
	if redistest.LostPort(t, "Ready to accept connections") {
		t.Error("a server that started is taken for one that lost its port")
	}
}

// The port of a server that is down stays its own, or its restart would fail.
func TestPortIsHeldWhileTheServerIsDown(t *testing.T) {
	var s *redistest.Server
	t.Run("inner", func(t *testing.T) {
		s = redistest.Start(t)
		s.Kill()
		if redistest.CanDraw(t, s) {
			t.Error("another test draws the port")
		}
	})
	if !redistest.CanDraw(t, s) {
		t.Error("the port is held after its test")
	}
}

func TestDoWaitsWhileTheServerLoads(t *testing.T) {
	s := redistest.Start(t,
		redistest.WithConfig("key-load-delay", "20000"), redistest.WithConfig("loading-process-events-interval-bytes", "1024"))
	for i := range 200 {
		s.Do("SET", i, strings.Repeat("v", 100))
	}
	var reload sync.WaitGroup
	reload.Go(func() { s.Client().Do(t.Context(), "DEBUG", "RELOAD") })
	for end := time.Now().Add(10 * time.Second); s.Info("persistence")["loading"] != "1"; {
		if time.Now().After(end) {
			t.Fatal("the server does not load")
		}
	}
	if err := s.Client().Get(t.Context(), "199").Err(); !redis.HasErrorPrefix(err, "LOADING") {
		t.Fatalf("GET while the server loads: %v, want LOADING", err)
	}
	if got := s.Do("GET", 199); got != strings.Repeat("v", 100) {
		t.Errorf("GET 199 = %v", got)
	}
	reload.Wait()
}

// Sentinel closes the connections of a server that it demotes, which may be in the midst of a question.
func TestDoReadsOnWhereConnectionsAreClosed(t *testing.T) {
	s := redistest.Start(t)
	s.Do("SET", "k", "v")
	killer := redis.NewClient(&redis.Options{Addr: s.Addr(), Username: "redistest", Password: "any", MaxRetries: -1})
	defer killer.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var kills sync.WaitGroup
	kills.Go(func() {
		for ctx.Err() == nil {
			killer.Do(ctx, "CLIENT", "KILL", "TYPE", "normal")
			killer.Do(ctx, "WAIT", 1, 5) // for a replica that there is not: in 5 ms a question can be asked anew
		}
	})
	for range 500 {
		if got := s.Do("GET", "k"); got != "v" {
			t.Errorf("GET k = %v, want v", got)
		}
	}
	cancel()
	kills.Wait()
}
