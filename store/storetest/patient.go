package storetest

import (
	"context"
	"errors"

	"github.com/dnsreg/dnsreg/store"
)

// patient asks a store again that says that it is out of reach: on a machine that is busy enough, what keeps the data may
// be slow to answer. A call that took effect and was answered too late may get another answer when it is made again: of an
// instance that is there already, or no more. That is why it is counted: see attempt.
type patient struct {
	Store
	attempt *attempt
}

func (p patient) ask(ctx context.Context, call func() error) {
	poll(ctx, soon, func() bool {
		err := call()
		if !errors.Is(err, store.ErrUnavailable) {
			return true
		}
		p.attempt.again.Add(1)
		p.attempt.Logf("asking again: %v", err)
		return false
	})
}

// Register registers until the store is in reach.
func (p patient) Register(ctx context.Context, service store.Service, in store.Instance) (r store.Registration, err error) {
	p.ask(ctx, func() error {
		r, err = p.Store.Register(ctx, service, in)
		return err
	})
	return r, err
}

// RenewAll renews until the store is in reach.
func (p patient) RenewAll(ctx context.Context, all []store.Renewal) (results []store.Renewed, err error) {
	p.ask(ctx, func() error {
		results, err = p.Store.RenewAll(ctx, all)
		return err
	})
	return results, err
}

// Deregister deregisters until the store is in reach.
func (p patient) Deregister(ctx context.Context, service store.Service, id string) (revision store.Revision, err error) {
	p.ask(ctx, func() error {
		revision, err = p.Store.Deregister(ctx, service, id)
		return err
	})
	return revision, err
}

// SetOverlay sets an overlay until the store is in reach.
func (p patient) SetOverlay(ctx context.Context, service store.Service, id string, change store.Overlay) (revision store.Revision, err error) {
	p.ask(ctx, func() error {
		revision, err = p.Store.SetOverlay(ctx, service, id, change)
		return err
	})
	return revision, err
}

// Leases asks for leases until the store is in reach.
func (p patient) Leases(ctx context.Context, service store.Service) (leases map[string]store.Lease, err error) {
	p.ask(ctx, func() error {
		leases, err = p.Store.Leases(ctx, service)
		return err
	})
	return leases, err
}
