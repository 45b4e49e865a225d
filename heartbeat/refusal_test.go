package heartbeat_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/store"
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
		{http.StatusRequestTimeout, heartbeat.TypeBlank, 400, 720, false},
		{http.StatusConflict, heartbeat.TypeFull, slowLeast, slowMost, false},
		{http.StatusRequestEntityTooLarge, heartbeat.TypeBlank, 1, 1, true},
		{http.StatusUnprocessableEntity, heartbeat.TypeInvalid, 1, 1, true},
		{http.StatusTooManyRequests, heartbeat.TypeBlank, slowLeast, slowMost, false},
		{http.StatusMovedPermanently, heartbeat.TypeBlank, slowLeast, slowMost, false},
		{http.StatusOK, "of another server", 400, 720, false},
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

// TestAgentSavesTheLease holds that a refusal for a while, such as a proxy's 429, does not cost a live lease.
func TestAgentSavesTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := newRegistry(t)
		server := reg.handler
		run(t, reg.wire, entries(1))
		time.Sleep(time.Minute)
		reg.set(answer(http.StatusTooManyRequests, `{}`), false)
		time.Sleep(10 * time.Second) // the lease has 20 s left at the least
		reg.set(server, false)
		for range 60 {
			if reg.known() != 1 {
				t.Fatal("the lease ended")
			}
			time.Sleep(time.Second)
		}
	})
}

// TestAgentSplitsABatch holds that a refusal of a whole batch, such as a proxy's 413, ends none of its entries.
func TestAgentSplitsABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := newRegistry(t)
		server := reg.handler
		reg.set(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength > 500 {
				answer(http.StatusRequestEntityTooLarge, "too large").ServeHTTP(w, r)
				return
			}
			server.ServeHTTP(w, r)
		}), false)
		agent := run(t, reg.wire, entries(20))
		time.Sleep(10 * time.Minute)
		if reg.known() != 20 || len(agent.told(ended)) != 0 {
			t.Errorf("%d instances, %d given up", reg.known(), len(agent.told(ended)))
		}
		if reg.count("POST /v1/heartbeats") < 100 {
			t.Error("no batch was split")
		}
	})
}

// TestBatchFits holds that the greatest batch of an agent passes the server's limit with the longest names there are.
func TestBatchFits(t *testing.T) {
	renewals := make([]store.Renewal, heartbeat.BeatBatch)
	for i := range renewals {
		renewals[i] = store.Renewal{
			Service: store.Service("_" + strings.Repeat("s", 62) + "._tcp"),
			ID:      strings.Repeat("<", 63), // six octets each in JSON
			ETag:    strings.Repeat("e", 32),
		}
	}
	synctest.Test(t, func(t *testing.T) { // where no call takes too long
		reg := newRegistry(t)
		beats, err := reg.client(t).HeartbeatAll(t.Context(), renewals)
		if err != nil || len(beats) != len(renewals) || beats[0].Err == nil {
			t.Errorf("%d beats, %v", len(beats), err)
		}
	})
}

// TestEmptyIDIsRefusedHere holds that an empty id, which has no path of its own, never reaches a server.
func TestEmptyIDIsRefusedHere(t *testing.T) {
	w := &wire{}
	client := w.client(t)
	_, register := client.Register(t.Context(), "_web._tcp", store.Instance{Port: 80})
	_, beat := client.Heartbeat(t.Context(), "_web._tcp", "", "")
	_, deregister := client.Deregister(t.Context(), "_web._tcp", "")
	_, agent := heartbeat.NewAgent(heartbeat.AgentConfig{Client: client, Entries: []heartbeat.Entry{{Service: "web"}}})
	for _, err := range []error{register, beat, deregister, agent} {
		if !errors.As(err, new(*store.InvalidError)) {
			t.Errorf("error %v is no InvalidError", err)
		}
		wantText(t, err, `id "": must not be empty`)
	}
	if len(w.seen()) != 0 {
		t.Errorf("calls %v", w.seen())
	}
}
