package redisstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/redisstore"
)

// insist makes a call again that Redis has not answered in time, as on a machine that stands still for a moment. What Redis
// does answer, be it an error, is the result.
func insist[T any](t testing.TB, call func() (T, error)) (T, error) {
	pause := time.NewTicker(10 * time.Millisecond)
	defer pause.Stop()
	for end := time.Now().Add(2 * soon); ; <-pause.C {
		result, err := call()
		if !unanswered(err) || time.Now().After(end) {
			return result, err
		}
		t.Logf("asking again: %v", err)
	}
}

func unanswered(err error) bool {
	kind := redisstore.KindOf(err)
	return errors.Is(err, store.ErrUnavailable) && (kind == "timeout" || kind == "network")
}

// register registers an instance, which has to succeed, and waits until the view has it.
func register(t testing.TB, s *redisstore.Store, service store.Service, in store.Instance) store.Registration {
	t.Helper()
	r, err := insist(t, func() (store.Registration, error) { return s.Register(t.Context(), service, in) })
	if err != nil {
		t.Fatalf("register %s %q: %v", service, in.ID, err)
	}
	reached(t, s, r.Revision)
	return r
}

// reached waits until a view is at a revision.
func reached(t testing.TB, s *redisstore.Store, revision store.Revision) {
	t.Helper()
	eventually(t, 2*soon, "the view has the change", func() bool { return s.View().Revision() >= revision })
}

// renewAll renews leases, which Redis has to answer.
func renewAll(t testing.TB, s *redisstore.Store, all ...store.Renewal) []store.Renewed {
	t.Helper()
	results, err := insist(t, func() ([]store.Renewed, error) { return s.RenewAll(t.Context(), all) })
	if err != nil || len(results) != len(all) {
		t.Fatalf("renew: %d results, error %v", len(results), err)
	}
	return results
}

// deregister deregisters an instance of web that lives.
func deregister(t testing.TB, s *redisstore.Store, id string) {
	t.Helper()
	late := false
	_, err := insist(t, func() (store.Revision, error) {
		r, err := s.Deregister(t.Context(), web, id)
		late = late || unanswered(err)
		return r, err
	})
	if err != nil && !(late && errors.Is(err, store.ErrUnknown)) {
		t.Fatalf("deregister %q: %v", id, err)
	}
}

// overlay sets an overlay of an instance of web, and waits until the view has it.
func overlay(t testing.TB, s *redisstore.Store, id string, change store.Overlay) {
	t.Helper()
	r, err := insist(t, func() (store.Revision, error) { return s.SetOverlay(t.Context(), web, id, change) })
	if err != nil {
		t.Fatalf("set overlay of %q: %v", id, err)
	}
	reached(t, s, r)
}

// shows reports whether a view has instances of web.
func shows(s *redisstore.Store, ids ...string) bool {
	snapshot := s.View().Service(web)
	for _, id := range ids {
		if snapshot.Find(id) == nil {
			return false
		}
	}
	return true
}
