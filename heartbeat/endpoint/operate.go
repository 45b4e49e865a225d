package endpoint

import (
	"fmt"
	"net/http"
	"time"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/store"
)

// settle is how long other servers of the store may take to hear of a change.
const settle = time.Second

// safeAt returns when no cache holds an instance any more that is not answered from now on.
func (s *Server) safeAt() time.Time {
	return time.Now().Add(settle + s.cfg.AnswerTTL).UTC().Round(0)
}

// patch answers PATCH: what an operator sets.
func (z *zone) patch(w http.ResponseWriter, r *http.Request, service store.Service, id string) error {
	body, err := readBody(r, heartbeat.MaxBody)
	if err != nil {
		return err
	}
	overlay, err := heartbeat.ParseOverlay(body)
	if err != nil {
		return err
	}
	revision, err := z.Store.SetOverlay(r.Context(), service, id, overlay)
	if err != nil {
		return fmt.Errorf("%s %q: %w", service, id, err)
	}
	live := z.Store.View().Service(service).Find(id)
	if live == nil { // its lease ended meanwhile
		return fmt.Errorf("%s %q: %w", service, id, store.ErrUnknown)
	}
	return z.ok(w, http.StatusOK, z.changed(live, revision))
}

func (s *Server) changed(live *store.Live, revision store.Revision) heartbeat.Change {
	change := heartbeat.Change{Revision: revision, State: live.State(), Weight: live.EffectiveWeight()}
	if change.State == store.Draining {
		safe := s.safeAt()
		change.SafeAt = &safe
	}
	return change
}

// deregister answers DELETE.
func (z *zone) deregister(w http.ResponseWriter, r *http.Request, service store.Service, id string) error {
	revision, err := z.Store.Deregister(r.Context(), service, id)
	if err != nil {
		return fmt.Errorf("%s %q: %w", service, id, err)
	}
	return z.ok(w, http.StatusOK, heartbeat.Removal{Revision: revision, SafeAt: z.safeAt()})
}
