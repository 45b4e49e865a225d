package storetest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// soon bounds how long anything may take to become visible.
const soon = 5 * time.Second

// web is the service of tests that need no other.
const web store.Service = "_web._tcp"

const zone = "svc.internal."

// tb is what helpers need of a test: an *attempt or a *rapid.T.
type tb interface {
	Helper()
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
	Context() context.Context
}

// env is one test with a store of its own.
type env struct {
	tb
	attempt *attempt
	Store
}

func newEnv(t *testing.T, a *attempt, open Opener) *env {
	return &env{tb: a, attempt: a, Store: patient{open(t, store.Rules{Zone: zone, Hosts: []string{"ns1"}}), a}}
}

// instance returns a valid instance whose lease outlives every test.
func instance(id string, edits ...func(*store.Instance)) store.Instance {
	in := store.Instance{ID: id, Addresses: []netip.Addr{address(1)}, Port: 8080, Weight: store.DefaultWeight, TTL: time.Minute}
	for _, edit := range edits {
		edit(&in)
	}
	return in
}

func address(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

func ttl(d time.Duration) func(*store.Instance) { return func(in *store.Instance) { in.TTL = d } }

func port(p uint16) func(*store.Instance) { return func(in *store.Instance) { in.Port = p } }

// eventually polls until done holds, and ends the test if it does not soon.
func (e *env) eventually(what string, done func() bool) {
	e.Helper()
	if !poll(e.Context(), soon, done) {
		e.Fatalf("not within %v: %s", soon, what)
	}
}

// poll reports whether done holds within a time.
func poll(ctx context.Context, within time.Duration, done func() bool) bool {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(within); time.Now().Before(end); {
		if done() {
			return true
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return done()
}

// at waits for the view to reach a revision and returns it.
func (e *env) at(revision store.Revision) *store.View {
	e.Helper()
	var view *store.View
	e.eventually(fmt.Sprintf("a view at revision %d", revision), func() bool {
		view = e.View()
		return view.Revision() >= revision
	})
	return view
}

// put registers an instance of a service and waits until the view has it.
func (e *env) put(service store.Service, in store.Instance) store.Registration {
	e.Helper()
	r, err := e.Register(e.Context(), service, in)
	if err != nil {
		e.Fatalf("register %s %q: %v", service, in.ID, err)
	}
	e.at(r.Revision)
	return r
}

// end deregisters an instance and waits until the view lacks it.
func (e *env) end(service store.Service, id string) store.Revision {
	e.Helper()
	r, err := e.Deregister(e.Context(), service, id)
	if err != nil {
		e.Fatalf("deregister %s %q: %v", service, id, err)
	}
	e.at(r)
	return r
}

// set sets an overlay and waits until the view has it.
func (e *env) set(service store.Service, id string, change store.Overlay) store.Revision {
	e.Helper()
	r, err := e.SetOverlay(e.Context(), service, id, change)
	if err != nil {
		e.Fatalf("set overlay of %s %q: %v", service, id, err)
	}
	e.at(r)
	return r
}

// renew renews one lease.
func (e *env) renew(service store.Service, id, etag string) (store.Lease, error) {
	e.Helper()
	results, err := e.RenewAll(e.Context(), []store.Renewal{{Service: service, ID: id, ETag: etag}})
	if err != nil || len(results) != 1 {
		e.Fatalf("renew %s %q: %d results, error %v", service, id, len(results), err)
	}
	return results[0].Lease, results[0].Err
}

// renewal checks the error of renewing one lease.
func (e *env) renewal(service store.Service, id string, want error) {
	e.Helper()
	if _, err := e.renew(service, id, ""); !errors.Is(err, want) {
		e.Fatalf("renew %s %q: error %v, want %v", service, id, err, want)
	}
}

// live returns an instance from the view, which has to have it.
func (e *env) live(service store.Service, id string) *store.Live {
	e.Helper()
	live := e.View().Service(service).Find(id)
	if live == nil {
		e.Fatalf("%s %q is not in the view", service, id)
	}
	return live
}

// absent checks that the view lacks an instance.
func (e *env) absent(service store.Service, id string) {
	e.Helper()
	if live := e.View().Service(service).Find(id); live != nil {
		e.Fatalf("%s %q is in the view: %+v", service, id, live)
	}
}

// unchanged returns a check that neither the revision nor the snapshot of a service has changed since.
func (e *env) unchanged(service store.Service) func() {
	e.Helper()
	before := e.View()
	return func() {
		e.Helper()
		now := e.View()
		if now.Revision() != before.Revision() {
			e.Fatalf("revision %d became %d", before.Revision(), now.Revision())
		}
		if now.Service(service) != before.Service(service) {
			e.Fatalf("the snapshot of %s was replaced at revision %d", service, now.Revision())
		}
	}
}

// quiet checks that nobody is woken for a while by what happened after a revision.
func (e *env) quiet(after store.Revision) {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), 100*time.Millisecond)
	defer cancel()
	if delta, err := e.Changes(ctx, after); !errors.Is(err, context.DeadlineExceeded) {
		e.Fatalf("changes after %d: %+v, error %v; want the context to end first", after, delta, err)
	}
}

// invalid checks that err is an InvalidError that names a field.
func (e *env) invalid(err error, field string) {
	e.Helper()
	var invalid *store.InvalidError
	if !errors.As(err, &invalid) {
		e.Fatalf("error %v, want an InvalidError about %q", err, field)
	}
	if !slices.ContainsFunc(invalid.Fields, func(f store.FieldError) bool { return f.Field == field }) {
		e.Fatalf("%v says nothing of %q", err, field)
	}
}

// text returns all that a view holds of its services, for comparison.
func text(view *store.View) string {
	var lines []string
	for s := range view.All() {
		for i := range s.Instances {
			l := &s.Instances[i]
			lines = append(lines, fmt.Sprintf("%s %d %s %s %d", s.Service, s.Revision, l.Canonical(), l.State(), l.EffectiveWeight()))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
