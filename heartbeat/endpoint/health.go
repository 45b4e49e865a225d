package endpoint

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/dnsreg/dnsreg/store"
)

// Paths that need no token: who asks them has none to send.
const (
	livez  = "/livez"
	readyz = "/readyz"
)

// health is the reply of a healthy server.
type health struct {
	Status string            `json:"status"`
	Store  map[string]string `json:"store,omitempty"` // see Config.State
}

// live answers /livez: the process serves HTTP.
func (s *Server) live(w http.ResponseWriter, _ *http.Request) error {
	return s.ok(w, http.StatusOK, health{Status: "live"})
}

// ready answers /readyz: the server is not stopping, its view is the store's content, and what Config.Ready asks.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) error {
	if s.stopping.Load() {
		return fmt.Errorf("%w: the server is stopping", store.ErrUnavailable)
	}
	var state map[string]string
	if s.cfg.State != nil {
		state = s.cfg.State()
	}
	if f := s.cfg.Store.Freshness(); f != store.Synced {
		return fmt.Errorf("%w: its content here is %s%s", store.ErrUnavailable, f, parts(state))
	}
	if s.cfg.Ready != nil {
		if err := s.cfg.Ready(); err != nil {
			return &statusError{status: http.StatusServiceUnavailable, detail: err.Error()}
		}
	}
	return s.ok(w, http.StatusOK, health{"ready", state})
}

// parts returns the state of the store's parts in words.
func parts(state map[string]string) string {
	var all strings.Builder
	for _, part := range slices.Sorted(maps.Keys(state)) {
		fmt.Fprintf(&all, ", %s %s", part, state[part])
	}
	return all.String()
}

// metrics answers /metrics.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) error {
	s.cfg.Metrics.ServeHTTP(w, r)
	return nil
}
