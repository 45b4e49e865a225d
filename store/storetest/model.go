package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

func modelTests() []test {
	return []test{
		{"random histories", randomHistories},
	}
}

// randomHistories runs random calls against a store and a model of it. All histories share one store, each with
// services of its own. No lease ends in them.
func randomHistories(e *env) {
	history := 0
	rapid.Check(e.attempt, func(rt *rapid.T) {
		history++
		m := &machine{
			env:    &env{tb: rt, attempt: e.attempt, Store: e.Store},
			lives:  map[modelKey]store.Live{},
			buried: map[modelKey]bool{},
			last:   e.settled(),
		}
		for _, proto := range []string{"tcp", "udp"} {
			m.services = append(m.services, store.Service(fmt.Sprintf("_h%d._%s", history, proto)))
		}
		rt.Repeat(map[string]func(*rapid.T){
			"":           m.check,
			"register":   m.register,
			"renew":      m.renewSome,
			"deregister": m.deregister,
			"overlay":    m.overlay,
			"follow":     m.follow,
		})
		for key := range m.lives {
			m.end(key.service, key.key)
		}
	})
}

// settled makes a change and takes it back, and returns the revision. Then the view has all that came before, a
// deregistration of what was not known among it, for which no call waits.
func (e *env) settled() store.Revision {
	e.put("_settled._tcp", instance("a"))
	return e.end("_settled._tcp", "a")
}

type modelKey struct {
	service store.Service
	key     string
}

// machine is a store with what the model says of it.
type machine struct {
	*env
	services []store.Service
	lives    map[modelKey]store.Live
	buried   map[modelKey]bool
	last     store.Revision // of the last change
	adrift   bool           // the revision may have risen since, for the sake of a tombstone
	replica  store.View     // as of the last follow
}

// draw picks a service and an id in one of its cases.
func (m *machine) draw(rt *rapid.T) (store.Service, string, modelKey) {
	service := rapid.SampledFrom(m.services).Draw(rt, "service")
	id := rapid.SampledFrom([]string{"a", "A", "b c", "B c", "é", "web.1"}).Draw(rt, "id")
	return service, id, modelKey{service, dnssd.Fold(id)}
}

func (m *machine) register(rt *rapid.T) {
	service, id, key := m.draw(rt)
	in := instance(id, port(rapid.Uint16Range(1, 3).Draw(rt, "port")))
	in.TXT = rapid.SampledFrom([][]string{nil, {"a"}, {"a=1", "b="}}).Draw(rt, "txt")
	want, _, err := store.Rules{Zone: zone}.Normalize(service, in)
	if err != nil {
		rt.Fatalf("normalize: %v", err)
	}
	r, err := m.Register(rt.Context(), service, in)
	old, lived := m.lives[key]
	if err != nil || r.Created == lived || r.Instance.ETag() != want.ETag() {
		rt.Fatalf("register %+v: %+v, error %v; lived before: %v", in, r, err, lived)
	}
	m.moved(r.Revision, !lived || old.ETag() != want.ETag())
	m.lives[key] = store.Live{Instance: want, Overlay: old.Overlay}
	delete(m.buried, key)
}

// moved checks the revision that a call returned, which is above the last one exactly if the content changed.
func (m *machine) moved(revision store.Revision, changed bool) {
	m.Helper()
	if changed && revision <= m.last || !changed && !m.current(revision) {
		m.Fatalf("revision %d after %d, content changed: %v", revision, m.last, changed)
	}
	m.at(revision)
	m.last, m.adrift = revision, m.adrift && !changed
}

func (m *machine) current(revision store.Revision) bool {
	return revision == m.last || m.adrift && revision > m.last
}

func (m *machine) renewSome(rt *rapid.T) {
	var renewals []store.Renewal
	var want []error
	for range rapid.IntRange(0, 4).Draw(rt, "renewals") {
		service, id, key := m.draw(rt)
		live, lives := m.lives[key]
		etag := rapid.SampledFrom([]string{"", live.ETag(), "other"}).Draw(rt, "etag")
		renewals = append(renewals, store.Renewal{Service: service, ID: id, ETag: etag})
		switch {
		case m.buried[key]:
			want = append(want, store.ErrDeregistered)
		case !lives:
			want = append(want, store.ErrGone)
		case etag == "other":
			want = append(want, store.ErrConflict)
		default:
			want = append(want, nil)
		}
	}
	results, err := m.RenewAll(rt.Context(), renewals)
	if err != nil || len(results) != len(want) {
		rt.Fatalf("renew %+v: %+v, error %v", renewals, results, err)
	}
	for i, r := range results {
		if !errors.Is(r.Err, want[i]) {
			rt.Fatalf("renew %+v: error %v, want %v", renewals[i], r.Err, want[i])
		}
	}
}

func (m *machine) deregister(rt *rapid.T) {
	service, id, key := m.draw(rt)
	r, err := m.Deregister(rt.Context(), service, id)
	m.buried[key] = true
	if _, lived := m.lives[key]; !lived {
		if !errors.Is(err, store.ErrUnknown) {
			rt.Fatalf("deregister %s %q, which is unknown: error %v", service, id, err)
		}
		m.adrift = true
		return
	}
	if err != nil {
		rt.Fatalf("deregister %s %q: %v", service, id, err)
	}
	m.moved(r, true)
	delete(m.lives, key)
}

func (m *machine) overlay(rt *rapid.T) {
	service, id, key := m.draw(rt)
	change := rapid.SampledFrom([]store.Overlay{{}, draining(), weight(0), weight(5), {State: new(store.Up), Weight: new(uint16(1))}}).Draw(rt, "overlay")
	r, err := m.SetOverlay(rt.Context(), service, id, change)
	live, lives := m.lives[key]
	switch {
	case !lives && errors.Is(err, store.ErrUnknown):
		return
	case !lives || err != nil:
		rt.Fatalf("set overlay of %s %q, which lives: %v: error %v", service, id, lives, err)
	}
	old := live.Overlay
	live.Overlay = old.Merge(change)
	m.moved(r, !live.Overlay.Equal(old))
	m.lives[key] = live
}

// follow brings the replica up to the last change and compares it with the view.
func (m *machine) follow(rt *rapid.T) {
	if m.replica.Revision() == 0 {
		m.replica = *m.View()
	}
	if m.last > m.replica.Revision() {
		delta := m.changes(m.replica.Revision())
		m.replica = *m.replica.With(delta.To, delta.Services...)
	}
	if m.replica.Revision() == m.View().Revision() && text(&m.replica) != text(m.View()) {
		rt.Fatalf("the follower has\n%s\nnot\n%s", text(&m.replica), text(m.View()))
	}
}

// check compares the history's services with the model.
func (m *machine) check(rt *rapid.T) {
	view := m.View()
	for _, service := range m.services {
		var want []store.Live
		for key, live := range m.lives {
			if key.service == service {
				want = append(want, live)
			}
		}
		slices.SortFunc(want, func(a, b store.Live) int { return cmp.Compare(a.Key(), b.Key()) })
		if got := describe(view.Service(service)); got != describe(&store.Snapshot{Instances: want}) {
			rt.Fatalf("%s is\n%s\nwant\n%s", service, got, describe(&store.Snapshot{Instances: want}))
		}
	}
	if revision := view.Revision(); !m.current(revision) {
		rt.Fatalf("revision %d, the last change was at %d", revision, m.last)
	}
}

func describe(s *store.Snapshot) string {
	if s == nil {
		return ""
	}
	var b strings.Builder
	for i := range s.Instances {
		l := &s.Instances[i]
		fmt.Fprintf(&b, "%s %v %v\n", l.Canonical(), l.State(), l.EffectiveWeight())
	}
	return b.String()
}
