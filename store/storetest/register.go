package storetest

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

func registerTests() []test {
	return []test{
		{"a new instance is in the view, as normalized", registerNew},
		{"the same content again is a renewal", registerAgain},
		{"a new content replaces the old one", registerReplace},
		{"ids that differ in ASCII case are one instance", registerCase},
		{"services are apart", registerServices},
		{"what breaks a rule leaves nothing behind", registerInvalid},
		{"the caller's slices are its own", registerSlices},
		{"a context that has ended", endedContext},
	}
}

func registerNew(e *env) {
	empty, before := e.View(), time.Now()
	if empty.Services() != 0 || empty.Instances() != 0 || e.Freshness() != store.Synced {
		e.Fatalf("%d services, %d instances, %v in a store just opened", empty.Services(), empty.Instances(), e.Freshness())
	}
	r := e.put(web, store.Instance{ID: "Web 1", Addresses: []netip.Addr{netip.MustParseAddr("::ffff:10.0.0.1")}, Port: 80, TXT: []string{"a=1"}})
	switch {
	case !r.Created:
		e.Errorf("created is false")
	case r.Revision <= empty.Revision():
		e.Errorf("revision %d after %d", r.Revision, empty.Revision())
	case r.Lease.TTL != store.DefaultTTL:
		e.Errorf("lease of %v", r.Lease.TTL)
	case r.Lease.ExpiresAt.Before(before.Add(store.DefaultTTL-soon)) || r.Lease.ExpiresAt.After(time.Now().Add(store.DefaultTTL+soon)):
		e.Errorf("lease until %v", r.Lease.ExpiresAt)
	}
	live := e.live(web, "web 1")
	if live.ID != "Web 1" || live.Host == "" || live.Addresses[0] != address(1) || live.State() != store.Up {
		e.Errorf("stored as %+v", live)
	}
	if !bytes.Equal(live.Canonical(), r.Instance.Canonical()) {
		e.Errorf("the view has %s, the registration %s", live.Canonical(), r.Instance.Canonical())
	}
	if s := e.View().Service(web); s.Revision != r.Revision {
		e.Errorf("the service is at revision %d, the registration at %d", s.Revision, r.Revision)
	}
}

func registerAgain(e *env) {
	first := func(in *store.Instance) {
		in.Addresses = []netip.Addr{address(1), address(2)}
		in.TTL = store.DefaultTTL
		in.Subtypes = []string{"a", "b"}
	}
	r := e.put(web, instance("a", first))
	check := e.unchanged(web)
	for _, edit := range []func(*store.Instance){
		func(*store.Instance) {},
		func(in *store.Instance) { in.Addresses = []netip.Addr{address(2), address(1), address(2)} },
		func(in *store.Instance) { in.Addresses[0] = netip.AddrFrom16(address(1).As16()) },
		func(in *store.Instance) { in.TTL = 0 },
		func(in *store.Instance) { in.Host = "A" },
		func(in *store.Instance) { in.Subtypes = []string{"b", "a"} },
	} {
		again := e.put(web, instance("a", first, edit))
		if again.Created || again.Revision != r.Revision || again.Instance.ETag() != r.Instance.ETag() {
			e.Fatalf("the same content again: %+v after %+v", again, r)
		}
	}
	e.quiet(r.Revision)
	check()
}

func registerReplace(e *env) {
	last := e.put(web, instance("a"))
	for _, edit := range []func(*store.Instance){
		port(9090),
		func(in *store.Instance) { in.Priority = 3 },
		func(in *store.Instance) { in.Weight = 0 },
		func(in *store.Instance) { in.TXT = []string{"version=1.2"} },
		func(in *store.Instance) { in.Subtypes = []string{"printer"} },
		func(in *store.Instance) { in.Host = "other" },
		func(in *store.Instance) { in.Addresses = []netip.Addr{address(7)} },
		func(in *store.Instance) { in.Host, in.Addresses = "example.net.", nil },
		func(in *store.Instance) { in.TTL = time.Hour },
	} {
		r := e.put(web, instance("a", edit))
		if r.Created || r.Revision <= last.Revision || r.Instance.ETag() == last.Instance.ETag() {
			e.Fatalf("another content: %+v after %+v", r, last)
		}
		if live := e.live(web, "a"); live.ETag() != r.Instance.ETag() {
			e.Fatalf("the view has %s, want %s", live.Canonical(), r.Instance.Canonical())
		}
		last = r
	}
	if n := e.View().Instances(); n != 1 {
		e.Fatalf("%d instances", n)
	}
}

func registerCase(e *env) {
	first := e.put(web, instance("Web é"))
	second := e.put(web, instance("WEB é"))
	if second.Created || second.Revision <= first.Revision {
		e.Fatalf("the id in another case: %+v after %+v", second, first)
	}
	if live := e.live(web, "web é"); live.ID != "WEB é" || e.View().Instances() != 1 {
		e.Fatalf("%d instances, the first called %q", e.View().Instances(), live.ID)
	}
	e.renewal(web, "wEB é", nil)
	e.set(web, "web é", draining())
	if other := e.put(web, instance("web É")); !other.Created || e.View().Instances() != 2 {
		e.Fatalf("an id that differs beyond ASCII: created %v, %d instances", other.Created, e.View().Instances())
	}
	e.end(web, "web é")
	e.absent(web, "WEB é")
	e.renewal(web, "Web é", store.ErrDeregistered)
}

func registerServices(e *env) {
	services := []store.Service{web, "_web._udp", "_api._tcp"}
	for i, service := range services {
		if r := e.put(service, instance("a", port(uint16(i+1)))); !r.Created {
			e.Fatalf("%s: not created", service)
		}
	}
	for i, service := range services {
		if live := e.live(service, "a"); live.Port != uint16(i+1) {
			e.Fatalf("%s: port %d", service, live.Port)
		}
	}
	e.end("_web._udp", "a")
	e.renewal(web, "a", nil)
	e.renewal("_web._udp", "a", store.ErrDeregistered)
	if view := e.View(); view.Services() != 2 || view.Service("_web._udp") != nil {
		e.Fatalf("%d services", view.Services())
	}
}

func registerInvalid(e *env) {
	good := e.put(web, instance("good"))
	check := e.unchanged(web)
	for _, c := range []struct {
		field   string
		service store.Service
		edit    func(*store.Instance)
	}{
		{"service", "web", port(1)},
		{"service", "_WEB._tcp", port(1)},
		{"service", "_ns1._tcp", port(1)},
		{"service", "_dns-sd._udp", port(1)},
		{"id", web, func(in *store.Instance) { in.ID = "" }},
		{"id", web, func(in *store.Instance) { in.ID = "a\x00" }},
		{"id", web, func(in *store.Instance) { in.ID = strings.Repeat("x", 64) }},
		{"host", web, func(in *store.Instance) { in.Host = "not a host" }},
		{"addresses", web, func(in *store.Instance) { in.Addresses = nil }},
		{"addresses[0]", web, func(in *store.Instance) { in.Addresses = []netip.Addr{netip.IPv4Unspecified()} }},
		{"port", web, port(0)},
		{"txt[0]", web, func(in *store.Instance) { in.TXT = []string{"=x"} }},
		{"txt", web, func(in *store.Instance) { in.TXT = []string{"a", "A=1"} }},
		{"subtypes[0]", web, func(in *store.Instance) { in.Subtypes = []string{""} }},
		{"ttl", web, ttl(time.Millisecond)},
		{"ttl", web, ttl(25 * time.Hour)},
	} {
		for _, id := range []string{"good", "new"} {
			_, err := e.Register(e.Context(), c.service, instance(id, c.edit))
			e.invalid(err, c.field)
		}
	}
	e.quiet(good.Revision)
	check()
	e.renewal(web, "new", store.ErrGone)
	if _, err := e.renew(web, "good", good.Instance.ETag()); err != nil {
		e.Fatalf("renew what was there before: %v", err)
	}
}

func registerSlices(e *env) {
	in := instance("a", func(in *store.Instance) {
		in.TXT, in.Subtypes = []string{"k=1"}, []string{"s"}
	})
	r := e.put(web, in)
	in.Addresses[0], in.TXT[0], in.Subtypes[0] = address(9), "k=9", "t"
	if live := e.live(web, "a"); live.ETag() != r.Instance.ETag() || !slices.Equal(live.TXT, []string{"k=1"}) {
		e.Fatalf("the view has %s", live.Canonical())
	}
}

func endedContext(e *env) {
	r := e.put(web, instance("a"))
	check := e.unchanged(web)
	ctx, cancel := context.WithCancel(e.Context())
	cancel()
	calls := map[string]func() error{
		"register":    func() error { _, err := e.Register(ctx, web, instance("b")); return err },
		"renew":       func() error { _, err := e.RenewAll(ctx, []store.Renewal{{Service: web, ID: "a"}}); return err },
		"deregister":  func() error { _, err := e.Deregister(ctx, web, "a"); return err },
		"set overlay": func() error { _, err := e.SetOverlay(ctx, web, "a", draining()); return err },
		"leases":      func() error { _, err := e.Leases(ctx, web); return err },
		"changes":     func() error { _, err := e.Changes(ctx, r.Revision); return err },
	}
	for call, do := range calls {
		if err := do(); !errors.Is(err, context.Canceled) {
			e.Errorf("%s: error %v, want that of the context", call, err)
		}
	}
	check()
}
