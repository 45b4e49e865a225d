package memstore_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

func TestSmoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := memstore.New(memstore.Config{Rules: store.Rules{Zone: "svc.internal."}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.Run(ctx)
		in := store.Instance{ID: "a", Port: 80, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}, TTL: time.Second}
		r, err := s.Register(ctx, "_web._tcp", in)
		if err != nil || !r.Created {
			t.Fatal(r, err)
		}
		time.Sleep(time.Second - 1)
		synctest.Wait()
		if s.View().Instances() != 1 {
			t.Fatal("early")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if s.View().Instances() != 0 {
			t.Fatal("late")
		}
		d, err := s.Changes(ctx, r.Revision)
		if err != nil || len(d.Services) != 1 || !d.Complete || d.To != r.Revision+1 {
			t.Fatal(d, err)
		}
		if _, err := s.Deregister(ctx, "_web._tcp", "a"); !errors.Is(err, store.ErrUnknown) {
			t.Fatal(err)
		}
	})
}
