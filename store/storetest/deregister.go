package storetest

import (
	"errors"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

func deregisterTests() []test {
	return []test{
		{"a known instance is gone, and remembered", deregisterKnown},
		{"a registration begins anew", deregisterRegister},
		{"an unknown instance is remembered too", deregisterUnknown},
		{"one that has expired is not known", deregisterExpired},
		{"the others stay", deregisterOthers},
		{"what breaks a rule is refused", deregisterInvalid},
	}
}

func deregisterKnown(e *env) {
	before := e.put(web, instance("a"))
	if r := e.end(web, "A"); r <= before.Revision {
		e.Fatalf("revision %d after %d", r, before.Revision)
	}
	if view := e.View(); view.Services() != 0 || view.Instances() != 0 || view.Service(web) != nil {
		e.Fatalf("%d services, %d instances left", view.Services(), view.Instances())
	}
	e.renewal(web, "a", store.ErrDeregistered)
	if _, err := e.renew(web, "a", before.Instance.ETag()); !errors.Is(err, store.ErrDeregistered) {
		e.Fatalf("renew with an etag: error %v", err)
	}
	if _, err := e.SetOverlay(e.Context(), web, "a", draining()); !errors.Is(err, store.ErrUnknown) {
		e.Fatalf("set overlay: error %v", err)
	}
	e.unknown(web, "a")
	e.renewal(web, "a", store.ErrDeregistered)
}

// unknown deregisters what the store does not know.
func (e *env) unknown(service store.Service, id string) {
	e.Helper()
	if _, err := e.Deregister(e.Context(), service, id); !errors.Is(err, store.ErrUnknown) {
		e.Fatalf("deregister %s %q: error %v, want %v", service, id, err, store.ErrUnknown)
	}
}

func deregisterRegister(e *env) {
	in := instance("a")
	e.put(web, in)
	for range 3 {
		gone := e.end(web, "a")
		r := e.put(web, in)
		if !r.Created || r.Revision <= gone {
			e.Fatalf("registered anew: %+v after revision %d", r, gone)
		}
		e.renewal(web, "a", nil)
	}
}

func deregisterUnknown(e *env) {
	e.unknown(web, "Ghost")
	e.renewal(web, "ghost", store.ErrDeregistered)
	e.renewal("_web._udp", "ghost", store.ErrGone)
	e.unknown(web, "ghost")
	e.renewal(web, "ghost", store.ErrDeregistered)
	e.put(web, instance("ghost"))
	e.renewal(web, "ghost", nil)
}

func deregisterExpired(e *env) {
	end := time.Now().Add(time.Second)
	e.put(web, instance("a", ttl(time.Second)))
	e.watch(web, "a", end)
	e.renewal(web, "a", store.ErrGone)
	e.unknown(web, "a")
	e.renewal(web, "a", store.ErrDeregistered)
	end = time.Now().Add(time.Second)
	e.put(web, instance("a", ttl(time.Second)))
	e.watch(web, "a", end)
	e.renewal(web, "a", store.ErrGone) // the registration has ended the memory of the deregistration
}

func deregisterOthers(e *env) {
	for _, id := range []string{"a", "b", "c"} {
		e.put(web, instance(id))
	}
	e.set(web, "c", weight(3))
	e.end(web, "b")
	if n := len(e.View().Service(web).Instances); n != 2 {
		e.Fatalf("%d instances left", n)
	}
	if e.live(web, "a").Weight != 1 || e.live(web, "c").EffectiveWeight() != 3 {
		e.Fatalf("left: %+v", e.View().Service(web).Instances)
	}
}

func deregisterInvalid(e *env) {
	_, err := e.Deregister(e.Context(), "web", "a")
	e.invalid(err, "service")
	_, err = e.Deregister(e.Context(), web, "a\n")
	e.invalid(err, "id")
	e.renewal("web", "a", store.ErrGone)
	e.renewal(web, "a\n", store.ErrGone)
}
