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
	Store  map[string]string `json:"store,omitempty"` // see Zone.State; of the first zone

	// Zones has the state of each zone's store where there are several.
	Zones map[string]map[string]string `json:"zones,omitempty"`
}

// live answers /livez: the process serves HTTP.
func (s *Server) live(w http.ResponseWriter, _ *http.Request) error {
	return s.ok(w, http.StatusOK, health{Status: "live"})
}

// ready answers /readyz: the server is not stopping, its view of every zone is the store's content, and what
// Config.Ready asks.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) error {
	if s.stopping.Load() {
		return fmt.Errorf("%w: the server is stopping", store.ErrUnavailable)
	}
	for _, z := range s.zones {
		if f := z.Store.Freshness(); f != store.Synced {
			return fmt.Errorf("%w: %s content here is %s%s", store.ErrUnavailable, s.whose(z), f, parts(z.state()))
		}
	}
	if s.cfg.Ready != nil {
		if err := s.cfg.Ready(); err != nil {
			return &statusError{status: http.StatusServiceUnavailable, detail: err.Error()}
		}
	}
	return s.ok(w, http.StatusOK, health{"ready", s.zones[0].state(), s.states()})
}

// whose says in words which zone's store is spoken of.
func (s *Server) whose(z *zone) string {
	if len(s.zones) == 1 {
		return "its"
	}
	return "the " + z.Rules.Zone + " zone's"
}

// states returns the state of each zone's store, with that of its view, nil for a single zone.
func (s *Server) states() map[string]map[string]string {
	if len(s.zones) == 1 {
		return nil
	}
	states := make(map[string]map[string]string)
	for _, z := range s.zones {
		state := map[string]string{"view": z.Store.Freshness().String()}
		maps.Copy(state, z.state())
		states[z.Rules.Zone] = state
	}
	return states
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
