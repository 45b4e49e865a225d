package soak_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/internal/redistest"
	"github.com/dnsreg/dnsreg/store"
)

// Two servers on one Redis, and changes at random through both: wherever their revisions are equal their views are, as the
// checker holds for every view that it sees; and at the end they show what a model of the history says.
func TestServersAgree(t *testing.T) {
	t.Parallel()
	seeds := either(2, 20)
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			agree(t, rand.New(rand.NewPCG(seed, 1)), either(400, 20_000))
		})
	}
}

func agree(t *testing.T, random *rand.Rand, steps int) {
	r := redistest.Start(t)
	servers := []*server{serve(t, "a", r.URL()), serve(t, "b", r.URL())}
	f := newFleet(t, 30, time.Minute, servers...)
	check := watch(t, f, servers...)
	f.each(func(m *member) { m.become(free) })
	model := make(map[*member]uint16)
	for range steps {
		change(t, random, servers[random.IntN(2)], f.members[random.IntN(len(f.members))], model)
	}
	eventually(t, bound, "both servers show what the history says", func() bool { return shows(servers[0], f, model) && shows(servers[1], f, model) })
	check.mu.Lock()
	defer check.mu.Unlock()
	t.Logf("%d changes, %d instances at the end, %d revisions seen", steps, len(model), len(check.contents))
}

// change makes one change through a server, and the same in the model, which maps what is registered to its weight.
func change(t testing.TB, random *rand.Rand, s *server, m *member, model map[*member]uint16) {
	t.Helper()
	_, known := model[m]
	weight := uint16(random.IntN(100))
	var err error
	switch random.IntN(4) {
	case 0, 1:
		in := m.in
		in.Weight = weight
		err = insist(t, func() error { _, err := s.Register(t.Context(), m.service, in); return err })
		if err == nil && model[m]&overlaid == 0 {
			model[m] = weight
		}
	case 2:
		weight |= overlaid
		err = insist(t, func() error {
			_, err := s.SetOverlay(t.Context(), m.service, m.in.ID, store.Overlay{Weight: &weight})
			return err
		})
		if known {
			model[m] = weight
		}
	default:
		calls := 0
		err = insist(t, func() error {
			calls++
			_, err := s.Deregister(t.Context(), m.service, m.in.ID)
			return err
		})
		if calls > 1 && errors.Is(err, store.ErrUnknown) {
			err = nil // one that was not answered in time has done it
		}
		delete(model, m)
	}
	if err != nil && (known || !errors.Is(err, store.ErrUnknown)) {
		t.Fatalf("change %v: %v", m, err)
	}
}

// overlaid marks a weight that an operator has set, which no registration changes.
const overlaid = 1 << 15

func shows(s *server, f *fleet, model map[*member]uint16) bool {
	for _, m := range f.members {
		live := s.View().Service(m.service).Find(m.in.ID)
		weight, known := model[m]
		if known != (live != nil) || known && live.EffectiveWeight() != weight {
			return false
		}
	}
	return true
}
