package redistest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dnsreg/dnsreg/internal/redistest"
)

func TestSentinel(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	s := redistest.StartSentinel(t)
	t.Logf("master, replica and three sentinels started in %v", time.Since(begin))
	if want := "?master=" + redistest.MasterName; !strings.HasSuffix(s.URL(), want) || strings.Count(s.URL(), ",") != 2 {
		t.Errorf("URL %s, want three sentinels and %s", s.URL(), want)
	}
	if s.Master() != s.Servers()[0] || s.Replica() != s.Servers()[1] {
		t.Errorf("master %s, replica %s", s.Master().Addr(), s.Replica().Addr())
	}
	client := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: redistest.MasterName, SentinelAddrs: s.Addrs()})
	defer client.Close()
	if err := client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	replicated(t, s, "k", "v")
}

// replicated waits until the replica has a value: one that has just come into step takes a second to say so.
func replicated(t testing.TB, s *redistest.Sentinel, key, want string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); s.Replica().Do("GET", key) != want; {
		if time.Now().After(end) {
			t.Fatalf("%s on the replica is not %s", key, want)
		}
		s.Master().Do("WAIT", 1, 100)
	}
}

func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		lag  bool
		down func(*redistest.Server)
		want any
	}{
		{"killed", false, (*redistest.Server).Kill, "new"},
		{"stopped", false, (*redistest.Server).Stop, "new"},
		{"killed before a lagging replica", true, (*redistest.Server).Kill, "old"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := redistest.StartSentinel(t)
			master := s.Master()
			master.Do("SET", "k", "old")
			replicated(t, s, "k", "old")
			if tt.lag {
				s.Lag()
			}
			master.Do("SET", "k", "new")
			if !tt.lag {
				replicated(t, s, "k", "new")
			}
			begin := time.Now()
			tt.down(master)
			heir := s.WaitFailover(master)
			t.Logf("failed over in %v", time.Since(begin))
			if got := heir.Do("GET", "k"); got != tt.want || heir == master {
				t.Errorf("GET k on the new master = %v, want %v", got, tt.want)
			}
		})
	}
}

// A master that comes back after a failover becomes a replica, and loses what its successor never had.
func TestSentinelDemotesTheOldMaster(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t)
	old := s.Master()
	s.Lag()
	old.Do("SET", "k", "lost")
	old.Kill()
	heir := s.WaitFailover(old)
	heir.Do("SET", "j", "v")
	old.Restart()
	for end := time.Now().Add(30 * time.Second); old.Do("GET", "j") != "v"; {
		if time.Now().After(end) {
			t.Fatal("the old master does not follow the new one")
		}
		heir.Do("WAIT", 1, 200)
	}
	if got := old.Do("GET", "k"); got != nil {
		t.Errorf("GET k = %v, want nothing", got)
	}
}
