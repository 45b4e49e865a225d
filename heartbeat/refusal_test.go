package heartbeat_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dnsreg/dnsreg/heartbeat"
)

// answer returns a handler that always answers the same.
func answer(status int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if status >= 400 {
			w.Header().Set("Content-Type", heartbeat.ProblemMedia)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// TestAgentRefused has a line for each kind of refusal: how often a registration is tried in an hour.
func TestAgentRefused(t *testing.T) {
	const slowLeast, slowMost = 60, 121 // once or twice a minute
	tests := []struct {
		status      int
		kind        string
		least, most int
		ends        bool
	}{
		{http.StatusBadRequest, heartbeat.TypeBlank, 1, 1, true},
		{http.StatusUnauthorized, heartbeat.TypeBlank, slowLeast, slowMost, false},
		{http.StatusForbidden, heartbeat.TypeBlank, slowLeast, slowMost, false},
		{http.StatusNotFound, heartbeat.TypeBlank, slowLeast, slowMost, false},
		{http.StatusMethodNotAllowed, heartbeat.TypeBlank, slowLeast, slowMost, false},
		{http.StatusConflict, heartbeat.TypeFull, slowLeast, slowMost, false},
		{http.StatusRequestEntityTooLarge, heartbeat.TypeBlank, 1, 1, true},
		{http.StatusUnprocessableEntity, heartbeat.TypeInvalid, 1, 1, true},
		{http.StatusTooManyRequests, heartbeat.TypeBlank, slowLeast, slowMost, false},
		{http.StatusMovedPermanently, heartbeat.TypeBlank, slowLeast, slowMost, false},
		{http.StatusInternalServerError, heartbeat.TypeBlank, 400, 720, false},
		{http.StatusBadGateway, heartbeat.TypeBlank, 720, 3000, false},
		{http.StatusServiceUnavailable, heartbeat.TypeUnavailable, 720, 3000, false},
	}
	for _, tt := range tests {
		t.Run(http.StatusText(tt.status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{}
				w.set(answer(tt.status, `{"type":"`+tt.kind+`"}`), false)
				agent := run(t, w, entries(1))
				time.Sleep(time.Hour)
				puts := w.count("PUT /v1/services/_web._tcp/instances/web-0")
				if puts < tt.least || puts > tt.most || puts != len(w.seen()) {
					t.Errorf("%d registrations among %d calls in an hour, want %d to %d", puts, len(w.seen()), tt.least, tt.most)
				}
				if got := len(agent.told(ended)) == 1; got != tt.ends {
					t.Errorf("ended: %t, want %t", got, tt.ends)
				}
			})
		})
	}
}

// TestAgentHeals holds that a refusal that ends is got over without help.
func TestAgentHeals(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusConflict, http.StatusInternalServerError, http.StatusServiceUnavailable} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reg := newRegistry(t)
				server := reg.handler
				run(t, reg.wire, entries(3))
				time.Sleep(time.Minute)
				reg.set(answer(status, `{}`), false)
				time.Sleep(time.Hour)
				if reg.known() != 0 {
					t.Fatal("the leases live on without heartbeats")
				}
				reg.set(server, false)
				time.Sleep(2 * time.Minute)
				if reg.known() != 3 {
					t.Errorf("%d instances two minutes after the refusals ended", reg.known())
				}
			})
		})
	}
}

func TestAgentHeedsRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{}
		w.set(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Retry-After", "4")
			answer(http.StatusServiceUnavailable, `{}`).ServeHTTP(rw, r)
		}), false)
		run(t, w, entries(1))
		time.Sleep(10 * time.Minute)
		calls := w.seen()
		for i, call := range calls[1:] {
			if gap := call.at.Sub(calls[i].at); gap < 4*time.Second || gap > interval/2 {
				t.Errorf("%s to the next try, want 4s to %s", gap, interval/2)
			}
		}
	})
}

// TestAgentOnePoisoned holds that an entry the server stumbles over does not keep it from the others.
func TestAgentOnePoisoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := newRegistry(t)
		server := reg.handler
		reg.set(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/instances/web-0") {
				answer(http.StatusInternalServerError, `{}`).ServeHTTP(w, r)
				return
			}
			server.ServeHTTP(w, r)
		}), false)
		run(t, reg.wire, entries(30))
		for range 600 {
			synctest.Wait()
			if reg.known() != 29 {
				t.Fatalf("%d instances, want the 29 others", reg.known())
			}
			time.Sleep(time.Second)
		}
	})
}
