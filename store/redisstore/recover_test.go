package redisstore_test

import (
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/store/redisstore"
)

// TestRecoveryIsGivenUpWhenItStandsStill: only looks at Redis in which nothing has come back count, not the time in which
// Redis could not be looked at.
func TestRecoveryIsGivenUpWhenItStandsStill(t *testing.T) {
	// every looks from a second on, and finds so many missing.
	every := func(from, to, missing int) (looks []redisstore.Look) {
		for s := from; s <= to; s++ {
			looks = append(looks, redisstore.Look{At: time.Duration(s) * time.Second, Missing: missing})
		}
		return looks
	}
	join := func(parts ...[]redisstore.Look) (all []redisstore.Look) {
		for _, part := range parts {
			all = append(all, part...)
		}
		return all
	}
	for _, c := range []struct {
		name  string
		looks []redisstore.Look
		want  bool
	}{
		{"no progress for 60 s", every(0, 60, 9), false},
		{"no progress for 61 s", every(0, 61, 9), true},
		{"progress at 59 s", join(every(0, 58, 9), every(59, 119, 8)), false},
		{"no progress after 59 s", join(every(0, 58, 9), every(59, 120, 8)), true},
		{"more missing is no progress", join(every(0, 30, 9), every(31, 61, 10)), true},
		{"out of reach for 5 min", join(every(0, 1, 9), every(301, 361, 9)), false},
		{"out of reach, then no progress", join(every(0, 1, 9), every(301, 362, 9)), true},
		{"out of reach, more missing then, and progress", join(every(0, 1, 9), every(301, 310, 20), every(311, 371, 19)), false},
	} {
		if got := redisstore.Looks(c.looks...); got != c.want {
			t.Errorf("%s: given up %v, want %v", c.name, got, c.want)
		}
	}
}

// TestReaperStandsByIdle: one that stands by has nothing to look at, whatever it has heard, and waits for its next tick.
func TestReaperStandsByIdle(t *testing.T) {
	c := config(t, "redis://127.0.0.1:1")
	c.Tick = time.Hour
	s, err := redisstore.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if pause := redisstore.StandbyPause(s); pause < c.Tick/2 {
		t.Errorf("looks again after %v, want the next tick", pause)
	}
}
