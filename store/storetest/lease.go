package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

func leaseTests() []test {
	return []test{
		{"never short of the ttl, gone soon after", leaseBounds},
		{"what expired is registered anew", leaseAnew},
		{"a new ttl counts from the registration on", leaseNewTTL},
		{"results in the order of the renewals", renewMixed},
		{"a renewal changes nothing", renewNothing},
		{"another content is a conflict", renewConflict},
		{"no renewals at all", renewNone},
		{"the leases of a service", leasesOf},
	}
}

// watch polls the view until it lacks an instance, and returns when that was seen. It ends the test if the instance is
// gone before its lease may end, or not soon after.
func (e *env) watch(service store.Service, id string, end time.Time) {
	e.Helper()
	gone := poll(e.Context(), time.Until(end)+soon, func() bool { return e.View().Service(service).Find(id) == nil })
	now := time.Now()
	if early := end.Sub(now); early > 0 {
		e.Fatalf("%s %q is gone %v before its lease ends", service, id, early)
	}
	if !gone {
		e.Fatalf("%s %q is still there %v after its lease ended", service, id, soon)
	}
}

// leaseBounds keeps one instance alive by each kind of heartbeat in turn. Where this machine is too slow for that, the
// lease may end between them.
func leaseBounds(e *env) {
	const lease = time.Second
	in := instance("a", ttl(lease))
	end := time.Now().Add(lease)
	e.put(web, in)
	renewal := func() bool {
		_, err := e.renew(web, "A", "")
		if err != nil && (!errors.Is(err, store.ErrGone) || time.Now().Before(end)) {
			e.Fatalf("renew %v before the lease ends: %v", time.Until(end), err)
		}
		return err == nil
	}
	for _, beat := range []func() bool{renewal, func() bool { e.put(web, in); return true }, renewal} {
		gone := poll(e.Context(), lease*6/10, func() bool { return e.View().Service(web).Find("a") == nil })
		if now := time.Now(); gone && now.Before(end) {
			e.Fatalf("gone %v before the lease ends", end.Sub(now))
		}
		if now := time.Now(); beat() {
			end = now.Add(lease)
		}
	}
	e.watch(web, "a", end)
	e.renewal(web, "a", store.ErrGone)
	if e.View().Instances() != 0 || e.View().Services() != 0 {
		e.Fatalf("%d services, %d instances left", e.View().Services(), e.View().Instances())
	}
}

func leaseAnew(e *env) {
	const first = 4 * time.Second // for two calls, on whatever machine
	end := time.Now().Add(first)
	registered := e.put(web, instance("a", ttl(first)))
	e.set(web, "a", draining())
	e.watch(web, "a", end)
	expired := e.View().Revision()
	end = time.Now().Add(time.Second)
	again := e.put(web, instance("a", ttl(time.Second)))
	if expired <= registered.Revision || again.Revision <= expired || !again.Created {
		e.Fatalf("registered at %d, expired at %d, registered anew at %d, created %v", registered.Revision, expired, again.Revision, again.Created)
	}
	if live := e.live(web, "a"); live.Overlay != (store.Overlay{}) {
		e.Fatalf("the overlay has outlived its instance: %+v", live.Overlay)
	}
	e.watch(web, "a", end)
}

func leaseNewTTL(e *env) {
	e.put(web, instance("longer", ttl(time.Second)))
	e.put(web, instance("shorter", ttl(time.Hour)))
	e.put(web, instance("longer", ttl(time.Hour)))
	end := time.Now().Add(time.Second)
	r := e.put(web, instance("shorter", ttl(time.Second)))
	if r.Lease.TTL != time.Second {
		e.Fatalf("lease of %v", r.Lease.TTL)
	}
	e.watch(web, "shorter", end)
	e.live(web, "longer")
	e.renewal(web, "longer", nil)
	if lease, err := e.renew(web, "longer", ""); err != nil || lease.TTL != time.Hour {
		e.Fatalf("lease of %v, error %v", lease.TTL, err)
	}
}

func renewMixed(e *env) {
	a := e.put(web, instance("a"))
	e.put(web, instance("b", ttl(time.Hour)))
	e.put(web, instance("c"))
	e.end(web, "c")
	renewals := []store.Renewal{
		{Service: web, ID: "nobody"},
		{Service: web, ID: "A", ETag: a.Instance.ETag()},
		{Service: web, ID: "c"},
		{Service: web, ID: "a", ETag: "other"},
		{Service: "_api._tcp", ID: "a"},
		{Service: web, ID: "b"},
		{Service: "not a service", ID: "a"},
		{Service: web, ID: "\x00"},
		{Service: web, ID: "a"},
	}
	want := []error{store.ErrGone, nil, store.ErrDeregistered, store.ErrConflict, store.ErrGone, nil, store.ErrGone, store.ErrGone, nil}
	ttls := []time.Duration{0, time.Minute, 0, 0, 0, time.Hour, 0, 0, time.Minute}
	const rounds = 100 // more than a store may take in one bite
	results, err := e.RenewAll(e.Context(), slices.Repeat(renewals, rounds))
	if err != nil || len(results) != rounds*len(renewals) {
		e.Fatalf("%d results, error %v", len(results), err)
	}
	for i, r := range results {
		k := i % len(want)
		if !errors.Is(r.Err, want[k]) || r.Err == nil && r.Lease.TTL != ttls[k] {
			e.Fatalf("result %d of %+v: %+v, want %v", i, renewals[k], r, want[k])
		}
	}
}

func renewNothing(e *env) {
	r := e.put(web, instance("a"))
	e.put(web, instance("b"))
	e.set(web, "b", draining())
	revision, check := e.View().Revision(), e.unchanged(web)
	for range 100 {
		e.renewal(web, "a", nil)
		e.renewal(web, "b", nil)
		e.renewal(web, "c", store.ErrGone)
	}
	if _, err := e.renew(web, "a", r.Instance.ETag()); err != nil {
		e.Fatalf("renew: %v", err)
	}
	e.quiet(revision)
	check()
}

func renewConflict(e *env) {
	old := e.put(web, instance("a"))
	now := e.put(web, instance("a", port(9090)))
	if _, err := e.renew(web, "a", old.Instance.ETag()); !errors.Is(err, store.ErrConflict) {
		e.Fatalf("renew what was replaced: error %v", err)
	}
	if _, err := e.renew(web, "a", now.Instance.ETag()); err != nil {
		e.Fatalf("renew what is stored: error %v", err)
	}
	if live := e.live(web, "a"); live.Port != 9090 {
		e.Fatalf("port %d after a conflict", live.Port)
	}
}

func renewNone(e *env) {
	if results, err := e.RenewAll(e.Context(), nil); err != nil || len(results) != 0 {
		e.Fatalf("%d results, error %v", len(results), err)
	}
}

func leasesOf(e *env) {
	e.put(web, instance("A 1", ttl(time.Minute)))
	e.put(web, instance("b", ttl(time.Hour)))
	e.put("_web._udp", instance("c"))
	before := time.Now()
	e.renewal(web, "b", nil)
	leases, err := e.Leases(e.Context(), web)
	if keys := slices.Sorted(maps.Keys(leases)); err != nil || fmt.Sprint(keys) != "[a 1 b]" {
		e.Fatalf("leases of %q, error %v", keys, err)
	}
	b := leases["b"]
	if left := b.ExpiresAt.Sub(before); b.TTL != time.Hour || left < time.Hour-soon || left > time.Hour+soon {
		e.Fatalf("a lease of an hour: %+v, %v left", b, left)
	}
	for _, service := range []store.Service{"_api._tcp", "not a service"} {
		if leases, err := e.Leases(e.Context(), service); err != nil || len(leases) != 0 {
			e.Fatalf("%s: %d leases, error %v", service, len(leases), err)
		}
	}
}
