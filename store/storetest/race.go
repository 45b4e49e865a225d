package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

func raceTests() []test {
	return []test{
		{"registrations of one id", raceOneID},
		{"registrations of many ids", raceManyIDs},
		{"a deregistration and heartbeats", raceHeartbeats},
		{"a deregistration and registrations", raceRegistrations},
		{"an overlay and registrations", raceOverlay},
		{"a registration and the end of the lease", raceExpiry},
		{"a renewal and the end of the lease", raceRenewal},
		{"a shorter ttl and a renewal", raceShorter},
		{"a renewal of a content that is being replaced", raceConflict},
	}
}

// together runs n calls at once and waits for them.
func together(n int, call func(i int)) {
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-start
			call(i)
		})
	}
	close(start)
	group.Wait()
}

// tryRegister registers from any goroutine; an error fails the test and does not end it.
func (e *env) tryRegister(service store.Service, in store.Instance) store.Registration {
	r, err := e.Register(e.Context(), service, in)
	if err != nil {
		e.Errorf("register %s %q: %v", service, in.ID, err)
	}
	return r
}

func raceOneID(e *env) {
	for round := range 30 {
		id, results := fmt.Sprintf("i%d", round), make([]store.Registration, 8)
		together(len(results), func(i int) { results[i] = e.tryRegister(web, instance(id, port(uint16(i+1)))) })
		last, created := results[0], 0
		for i, r := range results {
			if r.Created {
				created++
			}
			if r.Revision > last.Revision {
				last = r
			}
			if slices.ContainsFunc(results[:i], func(o store.Registration) bool { return o.Revision == r.Revision }) {
				e.Fatalf("two contents at revision %d", r.Revision)
			}
		}
		e.at(last.Revision)
		if live := e.live(web, id); created != 1 || live.Port != last.Instance.Port {
			e.Fatalf("created %d times, port %d; the last registration has %d", created, live.Port, last.Instance.Port)
		}
		if _, err := e.renew(web, id, last.Instance.ETag()); err != nil {
			e.Fatalf("renew the last registration: %v", err)
		}
	}
}

func raceManyIDs(e *env) {
	const callers, each = 8, 50
	revisions := make([]store.Revision, callers*each)
	together(callers, func(i int) {
		for k := i * each; k < (i+1)*each; k++ {
			service := store.Service(fmt.Sprintf("_s%d._tcp", k%7))
			revisions[k] = e.tryRegister(service, instance(fmt.Sprintf("i%d", k))).Revision
		}
	})
	slices.Sort(revisions)
	if n := len(slices.Compact(revisions)); n != callers*each {
		e.Fatalf("%d registrations have %d revisions", callers*each, n)
	}
	view := e.at(slices.Max(revisions))
	if view.Instances() != callers*each || view.Services() != 7 {
		e.Fatalf("%d instances of %d services", view.Instances(), view.Services())
	}
}

// raceHeartbeats checks that a heartbeat that begins after the deregistration has returned never succeeds.
func raceHeartbeats(e *env) {
	for round := range 30 {
		id := fmt.Sprintf("i%d", round)
		e.put(web, instance(id))
		done := make(chan struct{})
		together(4, func(i int) {
			if i > 0 {
				e.beatUntil(done, id)
				return
			}
			defer close(done)
			if _, err := e.Deregister(e.Context(), web, id); err != nil {
				e.Errorf("deregister %q: %v", id, err)
			}
		})
		e.renewal(web, id, store.ErrDeregistered)
		e.eventually("the view without "+id, func() bool { return e.View().Service(web).Find(id) == nil })
	}
}

func (e *env) beatUntil(done <-chan struct{}, id string) {
	for after := false; !after; {
		select {
		case <-done:
			after = true
		default:
		}
		results, err := e.RenewAll(e.Context(), []store.Renewal{{Service: web, ID: id}})
		if err != nil {
			e.Errorf("renew %q: %v", id, err)
			return
		}
		if err := results[0].Err; after && !errors.Is(err, store.ErrDeregistered) || err != nil && !errors.Is(err, store.ErrDeregistered) {
			e.Errorf("renew %q: error %v, after the deregistration: %v", id, err, after)
		}
	}
}

// raceRegistrations checks that the one of the higher revision wins.
func raceRegistrations(e *env) {
	for round := range 60 {
		id := fmt.Sprintf("i%d", round)
		e.put(web, instance(id))
		results := make([]store.Revision, 4)
		together(len(results), func(i int) {
			if i > 0 {
				results[i] = e.tryRegister(web, instance(id, port(uint16(i)))).Revision
				return
			}
			r, err := e.Deregister(e.Context(), web, id)
			if err != nil {
				e.Errorf("deregister %q: %v", id, err)
			}
			results[i] = r
		})
		last := slices.Max(results)
		e.at(last)
		if last == results[0] {
			e.absent(web, id)
			e.renewal(web, id, store.ErrDeregistered)
		} else {
			e.live(web, id)
			e.renewal(web, id, nil)
		}
	}
}

func raceOverlay(e *env) {
	for round := range 30 {
		id := fmt.Sprintf("i%d", round)
		e.put(web, instance(id))
		revisions := make([]store.Revision, 3)
		changes := []store.Overlay{draining(), weight(9)}
		together(len(revisions), func(i int) {
			if i < len(changes) {
				r, err := e.SetOverlay(e.Context(), web, id, changes[i])
				if err != nil {
					e.Errorf("set overlay of %q: %v", id, err)
				}
				revisions[i] = r
				return
			}
			revisions[i] = e.tryRegister(web, instance(id, port(9090))).Revision
		})
		e.at(slices.Max(revisions))
		if live := e.live(web, id); live.Port != 9090 || live.State() != store.Draining || live.EffectiveWeight() != 9 {
			e.Fatalf("%+v", live)
		}
	}
}

// crowd is how many instances race the ends of their leases.
const crowd = 40

// staggered registers a crowd with the shortest lease and calls try for each around the end of its lease, from 10 ms
// before to 10 ms after the ttl has passed since its registration. Then it waits for the revisions that try returns.
func (e *env) staggered(try func(id string) store.Revision) {
	e.Helper()
	revisions := make([]store.Revision, crowd)
	together(crowd, func(i int) {
		id := fmt.Sprintf("i%d", i)
		e.tryRegister(web, instance(id, ttl(store.MinTTL)))
		<-time.After(store.MinTTL + time.Duration(i-crowd/2)*time.Second/2000)
		revisions[i] = try(id)
	})
	e.at(slices.Max(revisions))
}

// raceExpiry checks that no removal of the old lease takes a registration with it that was accepted.
func raceExpiry(e *env) {
	e.staggered(func(id string) store.Revision { return e.tryRegister(web, instance(id)).Revision })
	e.staying()
}

// staying checks for longer than an expired lease may stay that nothing leaves the view.
func (e *env) staying() {
	e.Helper()
	if poll(e.Context(), time.Second, func() bool { return e.View().Instances() != crowd }) {
		e.Fatalf("%d instances of %d left", e.View().Instances(), crowd)
	}
	leases, err := e.Leases(e.Context(), web)
	if err != nil || len(leases) != crowd {
		e.Fatalf("%d leases, error %v", len(leases), err)
	}
	for key, lease := range leases {
		if lease.TTL != time.Minute {
			e.Fatalf("%q has a lease of %v", key, lease.TTL)
		}
	}
}

// raceRenewal checks that who is told of a lease has one, and that who is told that it is gone can register again.
func raceRenewal(e *env) {
	e.staggered(func(id string) store.Revision {
		before := time.Now()
		results, err := e.RenewAll(e.Context(), []store.Renewal{{Service: web, ID: id}})
		switch {
		case err != nil:
			e.Errorf("renew %q: %v", id, err)
		case results[0].Err == nil:
			e.holds(id, before.Add(store.MinTTL))
		case !errors.Is(results[0].Err, store.ErrGone):
			e.Errorf("renew %q: %v", id, results[0].Err)
		}
		return e.tryRegister(web, instance(id)).Revision
	})
	e.staying()
}

// holds checks that an instance is in the view until shortly before end.
func (e *env) holds(id string, end time.Time) {
	margin := store.MinTTL / 5 // for the calls after it
	gone := poll(e.Context(), time.Until(end)-margin, func() bool { return e.View().Service(web).Find(id) == nil })
	if now := time.Now(); gone && now.Before(end) {
		e.Errorf("%q is gone %v before its renewed lease ends", id, end.Sub(now))
	}
}

// raceShorter checks that a renewal at the same time as the registration that shortens its ttl does not bring the old
// ttl back.
func raceShorter(e *env) {
	const n = 20
	together(2*n, func(i int) {
		id := fmt.Sprintf("i%d", i/2)
		if i%2 == 0 {
			e.tryRegister(web, instance(id, ttl(time.Hour)))
			e.tryRegister(web, instance(id, ttl(time.Second)))
			return
		}
		for range 20 {
			if _, err := e.RenewAll(e.Context(), []store.Renewal{{Service: web, ID: id}}); err != nil {
				e.Errorf("renew %q: %v", id, err)
			}
		}
	})
	e.eventually("all leases ended", func() bool { return e.View().Instances() == 0 })
}

// raceConflict checks that renewals by etag succeed for what is stored alone, whatever they meet.
func raceConflict(e *env) {
	a, b := instance("a", port(1)), instance("a", port(2))
	etags := []string{e.put(web, a).Instance.ETag(), e.put(web, b).Instance.ETag()}
	together(3, func(i int) {
		for round := range 100 {
			if i == 0 {
				e.tryRegister(web, []store.Instance{a, b}[round%2])
				continue
			}
			results, err := e.RenewAll(e.Context(), []store.Renewal{{Service: web, ID: "a", ETag: etags[i-1]}})
			if err != nil || results[0].Err != nil && !errors.Is(results[0].Err, store.ErrConflict) {
				e.Errorf("renew: %+v, error %v", results, err)
			}
		}
	})
	last := e.put(web, a)
	if _, err := e.renew(web, "a", last.Instance.ETag()); err != nil {
		e.Fatalf("renew what is stored: %v", err)
	}
	if _, err := e.renew(web, "a", etags[1]); !errors.Is(err, store.ErrConflict) {
		e.Fatalf("renew what is not: error %v", err)
	}
}
