package soak_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/internal/redistest"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/redisstore"
)

// changes makes n changes through one server and returns how long each took to show on another.
func changes(t testing.TB, n int, from, to *server) sample {
	t.Helper()
	var took figures
	m := newMember(1_000_000, time.Minute, from)
	for i := range n {
		m.in.Port = uint16(1000 + i)
		r := from.insist(t, m)
		begin := time.Now()
		eventually(t, bound, "the change shows on "+to.name, func() bool { return to.View().Revision() >= r.Revision })
		took.add(time.Since(begin))
		pause(t.Context(), jitter(50*time.Millisecond)) // so that changes fall anywhere between two polls
	}
	if err := insist(t, func() error { _, err := from.Deregister(t.Context(), m.service, m.in.ID); return err }); err != nil && !errors.Is(err, store.ErrUnknown) {
		t.Fatal(err)
	}
	return took.take()
}

// Row 5: the bell is lost in every way, and the poll shows changes all the same.
func TestLostBell(t *testing.T) {
	t.Parallel()
	cutOff := []any{"CLIENT", "KILL", "TYPE", "pubsub"}
	tests := []struct {
		name  string
		edit  func(*redisstore.Config)
		fault func(context.Context, *redistest.Server, *redistest.Proxy)
	}{
		{"heard", nil, nil},
		{"off", func(c *redisstore.Config) { c.Notify = redisstore.NotifyOff }, nil},
		{"flags forbidden", func(c *redisstore.Config) { c.Notify = redisstore.NotifyCheck }, nil},
		{"flags removed", nil, func(_ context.Context, r *redistest.Server, _ *redistest.Proxy) { r.Set("notify-keyspace-events", "") }},
		{"subscribers killed", nil, func(_ context.Context, r *redistest.Server, _ *redistest.Proxy) { r.Do(cutOff...) }},
		{"connections reset", nil, func(_ context.Context, _ *redistest.Server, p *redistest.Proxy) { p.Reset() }},
		{"cut in mid-frame", nil, func(_ context.Context, _ *redistest.Server, p *redistest.Proxy) { p.Cut(redistest.ToClient, 7) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { lostBell(t, tt.edit, tt.fault) })
	}
}

func lostBell(t *testing.T, edit func(*redisstore.Config), fault func(context.Context, *redistest.Server, *redistest.Proxy)) {
	t.Parallel()
	r := redistest.Start(t)
	p := redistest.NewProxy(t, r.Addr())
	edits := []func(*redisstore.Config){func(*redisstore.Config) {}}
	if edit != nil {
		edits[0] = edit
	}
	a, b := serve(t, "a", r.URL(), edits...), serve(t, "b", p.URL(), edits...)
	fleet := newFleet(t, 20, lease(), a)
	check := watch(t, fleet, a, b)
	fleet.start()
	check.await(bound)
	if fault != nil {
		run(t, func(ctx context.Context) error {
			for ctx.Err() == nil {
				fault(ctx, r, p)
				pause(ctx, 300*time.Millisecond)
			}
			return nil
		})
	}
	for _, m := range fleet.members[:5] {
		m.silence()
	}
	took := changes(t, either(40, 400), a, b)
	check.await(lease() + bound)
	t.Logf("change → other server %v; end of lease → gone %v", took, check.lateness.take())
}

// 1,000 renewals ring no bell and change no revision.
func TestRenewalsAreSilent(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	a, b := serve(t, "a", r.URL()), serve(t, "b", r.URL())
	w := newFleet(t, 10, time.Minute, a)
	w.registerAll()
	eventually(t, bound, "both servers show all", func() bool { return b.View().Instances() == 10 && b.View().Revision() == a.View().Revision() })
	listener := r.Client().PSubscribe(t.Context(), "*")
	defer listener.Close()
	if _, err := listener.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	revision := a.View().Revision()
	for i := range 100 {
		for _, m := range w.members {
			var results []store.Renewed
			err := insist(t, func() (err error) {
				results, err = a.RenewAll(t.Context(), []store.Renewal{{Service: m.service, ID: m.in.ID}})
				return err
			})
			if err != nil || results[0].Err != nil {
				t.Fatalf("renewal %d of %v: %v, %v", i, m, results, err)
			}
		}
	}
	r.Do("PUBLISH", "end", "of the renewals")
	for rung := 0; ; rung++ {
		message, err := listener.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if message.Channel == "end" {
			t.Logf("1,000 renewals rang %d bells", rung)
			break
		}
		t.Errorf("a bell: %s %s", message.Channel, message.Payload)
	}
	if a.View().Revision() != revision || b.View().Revision() != revision {
		t.Errorf("revisions %d and %d after; want %d", a.View().Revision(), b.View().Revision(), revision)
	}
}
