package redistest

import (
	"testing"
	"time"
)

// pollEvery is how often a condition is looked at: small beside the time that a redis-server takes to start.
const pollEvery = 2 * time.Millisecond

// until polls done until it returns true, and fails the test after limit. what completes the sentence "waiting for …".
func until(t testing.TB, limit time.Duration, what string, done func() bool) {
	t.Helper()
	if !poll(limit, done) {
		t.Fatalf("waiting for %s: not within %v", what, limit)
	}
}

// poll reports whether done became true within limit.
func poll(limit time.Duration, done func() bool) bool {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for end := time.Now().Add(limit); !done(); <-tick.C {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
