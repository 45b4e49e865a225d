package storetest

import (
	"errors"

	"github.com/dnsreg/dnsreg/store"
)

func overlayTests() []test {
	return []test{
		{"a draining instance is kept and not answered", overlayDrain},
		{"fields merge, and repeating them changes nothing", overlayMerge},
		{"registrations and heartbeats leave it alone", overlayStays},
		{"it ends with the instance", overlayEnds},
		{"what breaks a rule is refused", overlayInvalid},
		{"the caller's pointers are its own", overlayPointers},
	}
}

func draining() store.Overlay { return store.Overlay{State: new(store.Draining)} }

func weight(w uint16) store.Overlay { return store.Overlay{Weight: &w} }

func overlayDrain(e *env) {
	e.put(web, instance("a"))
	before := e.View().Revision()
	if r := e.set(web, "a", draining()); r <= before {
		e.Fatalf("revision %d after %d", r, before)
	}
	view := e.View()
	if e.live(web, "a").State() != store.Draining || view.Instances() != 1 || view.Answered("_tcp") != 0 || view.Service(web).Answered() {
		e.Fatalf("%+v, %d instances, %d services answered", e.live(web, "a"), view.Instances(), view.Answered("_tcp"))
	}
	e.renewal(web, "a", nil)
	e.set(web, "a", store.Overlay{State: new(store.Up)})
	if e.live(web, "a").State() != store.Up || e.View().Answered("_tcp") != 1 {
		e.Fatalf("%+v", e.live(web, "a"))
	}
}

func overlayMerge(e *env) {
	e.put(web, instance("a"))
	e.set(web, "a", draining())
	both := e.set(web, "A", weight(5))
	live := e.live(web, "a")
	if live.State() != store.Draining || live.EffectiveWeight() != 5 || live.Weight != store.DefaultWeight {
		e.Fatalf("%+v", live)
	}
	check := e.unchanged(web)
	for _, same := range []store.Overlay{{}, draining(), weight(5), {State: new(store.Draining), Weight: new(uint16(5))}} {
		if r := e.set(web, "a", same); r != both {
			e.Fatalf("revision %d became %d by %+v", both, r, same)
		}
	}
	e.quiet(both)
	check()
	if e.set(web, "a", weight(0)); e.live(web, "a").EffectiveWeight() != 0 {
		e.Fatalf("weight 0 is a weight: %+v", e.live(web, "a"))
	}
}

func overlayStays(e *env) {
	e.put(web, instance("a"))
	e.set(web, "a", store.Overlay{State: new(store.Draining), Weight: new(uint16(9))})
	e.put(web, instance("a"))
	e.put(web, instance("a", port(9090)))
	e.put(web, instance("A", port(9090)))
	e.renewal(web, "a", nil)
	e.put(web, instance("b"))
	if live := e.live(web, "a"); live.State() != store.Draining || live.EffectiveWeight() != 9 || live.Port != 9090 {
		e.Fatalf("%+v", live)
	}
}

func overlayEnds(e *env) {
	e.put(web, instance("a"))
	e.set(web, "a", store.Overlay{State: new(store.Draining), Weight: new(uint16(9))})
	e.end(web, "a")
	e.put(web, instance("a"))
	if live := e.live(web, "a"); live.Overlay != (store.Overlay{}) {
		e.Fatalf("the overlay has outlived its instance: %+v", live.Overlay)
	}
}

func overlayInvalid(e *env) {
	e.put(web, instance("a"))
	check := e.unchanged(web)
	if _, err := e.SetOverlay(e.Context(), web, "b", draining()); !errors.Is(err, store.ErrUnknown) {
		e.Fatalf("an instance that is not there: error %v", err)
	}
	for _, c := range []struct {
		field   string
		service store.Service
		id      string
		change  store.Overlay
	}{
		{"state", web, "a", store.Overlay{State: new(store.State("down")), Weight: new(uint16(3))}},
		{"state", web, "a", store.Overlay{State: new(store.State(""))}},
		{"service", "web", "a", draining()},
		{"id", web, "..", draining()},
	} {
		_, err := e.SetOverlay(e.Context(), c.service, c.id, c.change)
		e.invalid(err, c.field)
	}
	check()
}

func overlayPointers(e *env) {
	e.put(web, instance("a"))
	change := store.Overlay{State: new(store.Draining), Weight: new(uint16(9))}
	e.set(web, "a", change)
	*change.State, *change.Weight = store.Up, 1
	if live := e.live(web, "a"); live.State() != store.Draining || live.EffectiveWeight() != 9 {
		e.Fatalf("%+v", live)
	}
}
