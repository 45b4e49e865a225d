package endpoint

import (
	"fmt"
	"net/http"

	"github.com/dnsreg/dnsreg/store"
)

// Paths that need no token: who asks them has none to send.
const (
	livez  = "/livez"
	readyz = "/readyz"
)

// health is the reply of a healthy server.
type health struct {
	Status string `json:"status"`
}

// live answers /livez: the process serves HTTP.
func (s *Server) live(w http.ResponseWriter, _ *http.Request) error {
	return s.ok(w, http.StatusOK, health{"live"})
}

// ready answers /readyz: the server is not stopping, its view is the store's content, and what Config.Ready asks.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) error {
	if s.stopping.Load() {
		return fmt.Errorf("%w: the server is stopping", store.ErrUnavailable)
	}
	if f := s.cfg.Store.Freshness(); f != store.Synced {
		return fmt.Errorf("%w: its content here is %s", store.ErrUnavailable, f)
	}
	if s.cfg.Ready != nil {
		if err := s.cfg.Ready(); err != nil {
			return &statusError{status: http.StatusServiceUnavailable, detail: err.Error()}
		}
	}
	return s.ok(w, http.StatusOK, health{"ready"})
}

// metrics answers /metrics.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) error {
	s.cfg.Metrics.ServeHTTP(w, r)
	return nil
}
