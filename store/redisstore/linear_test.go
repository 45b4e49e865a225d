package redisstore_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/redisstore"
)

// deed is what a client asks for, of one instance.
type deed struct {
	id   string
	verb string // "register", "renew", "deregister"
	port uint16 // the content; 0 for deregister
}

// outcome is what a client was told.
type outcome string

const (
	created  outcome = "created"
	kept     outcome = "there was a lease" // of a registration
	renewed  outcome = "renewed"
	conflict outcome = "another content"
	none     outcome = "no lease"
	ended    outcome = "ended"
	unknown  outcome = "out of reach" // may or may not have taken effect
)

// instanceModel is one instance in a registry that does one thing after another. Its state is the port of the content, 0
// where there is no lease.
func instanceModel() porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byID := make(map[string][]porcupine.Operation)
			for _, op := range history {
				byID[op.Input.(deed).id] = append(byID[op.Input.(deed).id], op)
			}
			var parts [][]porcupine.Operation
			for _, part := range byID {
				parts = append(parts, part)
			}
			return parts
		},
		Init: func() any { return uint16(0) },
		Step: func(state, input, output any) (bool, any) {
			want, next := do(state.(uint16), input.(deed))
			return output == want || output == unknown, next
		},
	}
}

// do returns what comes of a deed, and the state after it.
func do(state uint16, d deed) (outcome, uint16) {
	switch {
	case d.verb == "register" && state == 0:
		return created, d.port
	case d.verb == "register":
		return kept, d.port
	case state == 0:
		return none, 0
	case d.verb == "deregister":
		return ended, 0
	case state != d.port:
		return conflict, state
	default:
		return renewed, state
	}
}

// carryOut does it through a server.
func carryOut(t *testing.T, s *redisstore.Store, d deed) outcome {
	in := instance(d.id, port(d.port), ttl(time.Hour))
	in.Host = d.id // or the ETag would be another than that of what is stored
	var err error
	done := none
	switch d.verb {
	case "register":
		var r store.Registration
		r, err = s.Register(t.Context(), web, in)
		done = map[bool]outcome{true: created, false: kept}[r.Created]
	case "renew":
		var results []store.Renewed
		results, err = s.RenewAll(t.Context(), []store.Renewal{{Service: web, ID: d.id, ETag: in.ETag()}})
		if err == nil {
			done, err = renewed, results[0].Err
		}
	default:
		_, err = s.Deregister(t.Context(), web, d.id)
		done = ended
	}
	for sentinel, told := range map[error]outcome{
		store.ErrUnavailable: unknown, store.ErrConflict: conflict, store.ErrGone: none, store.ErrDeregistered: none, store.ErrUnknown: none,
	} {
		if errors.Is(err, sentinel) {
			return told
		}
	}
	if err != nil {
		t.Error(err)
	}
	return done
}

// TestLinearizable: what clients are told through two servers at once is what one registry could have told that does one
// thing after another, each between its call and its reply.
func TestLinearizable(t *testing.T) {
	const clients, each, instances, contents = 6, 60, 3, 3
	p := newPair(t)
	var mu sync.Mutex
	var history []porcupine.Operation
	var wait sync.WaitGroup
	begin := time.Now()
	for client := range clients {
		wait.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(client)))
			for range each {
				d := deed{id: fmt.Sprintf("i%d", random.IntN(instances))}
				if d.verb = []string{"register", "renew", "deregister"}[random.IntN(3)]; d.verb != "deregister" {
					d.port = uint16(1 + random.IntN(contents))
				}
				op := porcupine.Operation{ClientId: client, Input: d, Call: int64(time.Since(begin))}
				op.Output = carryOut(t, []*redisstore.Store{p.a, p.b}[client%2], d)
				op.Return = int64(time.Since(begin))
				if op.Output == unknown {
					op.Return = int64(time.Hour) // it may still take effect, after all others too
				}
				mu.Lock()
				history = append(history, op)
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	counts := make(map[any]int)
	for _, op := range history {
		counts[op.Output]++
	}
	t.Logf("told: %v", counts)
	if counts[renewed] == 0 || counts[conflict] == 0 || counts[kept] == 0 {
		t.Error("the history tells too little")
	}
	if got := porcupine.CheckOperationsTimeout(instanceModel(), history, time.Minute); got != porcupine.Ok {
		t.Errorf("linearizable: %s", got)
	}
}

// TestLinearizableCanFail: a history that no such registry has is found out.
func TestLinearizableCanFail(t *testing.T) {
	history := []porcupine.Operation{
		{ClientId: 0, Input: deed{"a", "register", 1}, Output: created, Call: 0, Return: 10},
		{ClientId: 1, Input: deed{"a", "deregister", 0}, Output: ended, Call: 20, Return: 30},
		{ClientId: 0, Input: deed{"a", "renew", 1}, Output: renewed, Call: 40, Return: 50},
	}
	if porcupine.CheckOperations(instanceModel(), history) {
		t.Error("a renewal after the deregistration had ended passes")
	}
}
