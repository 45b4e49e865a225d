package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/dnsreg/dnsreg/store"
)

// patient asks a store again that says that it is out of reach: on a machine that is busy enough, what keeps the data may
// be slow to answer. No call here is made worse by being made twice, but for the rare one that took effect and was
// answered all the same too late.
type patient struct {
	Store
	t testing.TB
}

func (p patient) ask(ctx context.Context, call func() error) {
	poll(ctx, soon, func() bool {
		err := call()
		if !errors.Is(err, store.ErrUnavailable) {
			return true
		}
		p.t.Logf("asking again: %v", err)
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
