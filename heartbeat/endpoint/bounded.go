package endpoint

import (
	"context"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// bounded is a store none of whose calls takes longer than limit. The time begins when the request has been read, so
// that a caller's slow line is not taken for a slow store.
type bounded struct {
	Store
	limit time.Duration
}

func (b bounded) Register(ctx context.Context, service store.Service, in store.Instance) (store.Registration, error) {
	ctx, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	return b.Store.Register(ctx, service, in)
}

func (b bounded) RenewAll(ctx context.Context, renewals []store.Renewal) ([]store.Renewed, error) {
	ctx, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	return b.Store.RenewAll(ctx, renewals)
}

func (b bounded) Deregister(ctx context.Context, service store.Service, id string) (store.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	return b.Store.Deregister(ctx, service, id)
}

func (b bounded) SetOverlay(ctx context.Context, service store.Service, id string, change store.Overlay) (store.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	return b.Store.SetOverlay(ctx, service, id, change)
}

func (b bounded) Leases(ctx context.Context, service store.Service) (map[string]store.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	return b.Store.Leases(ctx, service)
}
