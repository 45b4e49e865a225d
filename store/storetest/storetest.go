// Package storetest is the contract of a store: the interface that states it, and the suite that checks it.
//
// The suite knows nothing of how a store works. It waits in real time, bounds what has to become visible by 5 seconds,
// and compares revisions for order and equality alone, so that a store that lives in another process passes it too. A test
// that fails where a call was answered with ErrUnavailable is made anew, a few times: such a call may have taken effect.
package storetest

import (
	"context"
	"testing"

	"github.com/dnsreg/dnsreg/store"
)

// Store is what a store does. All its methods may be called at once from any number of goroutines.
//
// A service is passed in canonical form (see [store.ParseService]); an id means the instance of that id in whatever
// ASCII case. A method whose context has ended does nothing and returns the context's error. One that cannot reach what
// keeps the data returns [store.ErrUnavailable]. A call that returns an error has changed nothing, but for
// ErrUnavailable and for what Deregister says.
//
// An instance lives until it is deregistered or its lease ends. The lease is a lower bound: it never ends before its
// ttl has passed since the last accepted registration or renewal, and the instance is gone from View soon after.
type Store interface {
	// Register registers an instance that does not live, replaces the content of one that does, or, where the content
	// is what is stored already, renews its lease and changes nothing: no revision rises and nobody is woken. The
	// content is what [store.Rules.Normalize] makes of instance, whose slices are not kept; what breaks its rules
	// is refused with its [*store.InvalidError]. The lease begins anew in each case, with instance's ttl.
	//
	// A registration ends what is remembered of a deregistration, and keeps the overlay of an instance that lives. It is
	// refused with [store.ErrFull] where DNS could not carry the service then ([store.CheckSize]) or the store's
	// own limits are reached. The slices of the instance that is returned belong to the store.
	Register(ctx context.Context, service store.Service, instance store.Instance) (store.Registration, error)

	// RenewAll renews leases and returns one result for each renewal, in the same order: the lease that has its whole
	// ttl again, or [store.ErrDeregistered] where the instance was deregistered and not registered since,
	// [store.ErrGone] where there is no lease for another reason, a name that breaks the rules among them, or
	// [store.ErrConflict] where the stored content is not that of the renewal's ETag (the lease may have been renewed
	// all the same). No renewal changes a revision or a snapshot, or wakes anybody.
	RenewAll(ctx context.Context, renewals []store.Renewal) ([]store.Renewed, error)

	// Deregister ends an instance and its overlay, and returns the revision without it. That it was deregistered is
	// remembered for a while (at least twice its ttl, but for limits of the store), also where the instance was not
	// known, for which the error is [store.ErrUnknown]. A name that breaks the rules is refused with an
	// [*store.InvalidError] and not remembered.
	Deregister(ctx context.Context, service store.Service, id string) (store.Revision, error)

	// SetOverlay sets the fields of an instance's overlay that change sets, and returns the revision that has them. It
	// changes nothing where they are set so already. The pointers of change are not kept. The error is
	// [store.ErrUnknown] for an instance that does not live, an [*store.InvalidError] for a name or state that breaks the
	// rules, [store.ErrFull] where a weight of its own would make the service too large for DNS.
	SetOverlay(ctx context.Context, service store.Service, id string, change store.Overlay) (store.Revision, error)

	// View returns the registry as this store sees it. What a call has changed is in the view soon after the call
	// returns at the latest, and the revisions of successive views never fall. View never waits.
	View() *store.View

	// Freshness says how far View can be trusted. It never waits.
	Freshness() store.Freshness

	// Leases returns the leases of a service's instances by [store.Instance.Key]; a service that does not exist has none.
	Leases(ctx context.Context, service store.Service) (map[string]store.Lease, error)

	// Changes waits until the revision is above after, and returns what changed since, up to some revision that View has
	// reached. It returns at once with Complete false and To the current revision where the store no longer
	// knows what changed after that revision, or where the revision has never been reached. Whoever applies the
	// complete deltas one after another, each from the last one's To, has at each step what View had at that revision.
	Changes(ctx context.Context, after store.Revision) (store.Delta, error)
}

// Opener returns a store for one zone that is empty and runs, and that the test's Cleanup ends. The stores of two calls
// share nothing.
type Opener func(t *testing.T, rules store.Rules) Store

// Run checks a store against the contract, in parallel subtests that take some seconds each.
func Run(t *testing.T, open Opener) {
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"register", registerTests()},
		{"lease", leaseTests()},
		{"overlay", overlayTests()},
		{"deregister", deregisterTests()},
		{"size", sizeTests()},
		{"view", viewTests()},
		{"changes", changesTests()},
		{"race", raceTests()},
		{"model", modelTests()},
	} {
		t.Run(group.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range group.tests {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					check(t, open, c)
				})
			}
		})
	}
}

// test is one property of a store.
type test struct {
	name string
	run  func(e *env)
}
