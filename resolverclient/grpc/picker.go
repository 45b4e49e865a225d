package dnsreggrpc

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"google.golang.org/grpc/balancer"
)

// turns counts picks over all pickers of a policy. It starts anywhere, so that clients that start together do not walk
// together.
type turns struct{ n atomic.Uint64 }

func newTurns() *turns {
	t := new(turns)
	t.n.Store(uint64(rand.Uint32()))
	return t
}

// picker takes the members in turn, as often as their weights say. It never waits, and allocates nothing.
type picker struct {
	members []member // without those of weight 0, unless all are
	top     uint64   // the greatest weight, at least 1
	turn    *turns
}

// newPicker returns a picker over at least one member.
func newPicker(members []member, t *turns) *picker {
	heaviest := slices.MaxFunc(members, func(a, b member) int { return int(a.weight) - int(b.weight) })
	p := &picker{top: uint64(max(1, heaviest.weight)), turn: t}
	for _, m := range members {
		if heaviest.weight == 0 {
			m.weight = 1
		}
		if m.weight > 0 {
			p.members = append(p.members, m)
		}
	}
	return p
}

// Pick returns a connection of the member whose turn it is.
func (p *picker) Pick(info balancer.PickInfo) (balancer.PickResult, error) {
	m := &p.members[p.next()]
	result, err := m.picker.Pick(info)
	if err != nil {
		return result, err
	}
	inner := result.Done
	if inner == nil {
		result.Done = m.node.done
		return result, nil
	}
	result.Done = func(info balancer.DoneInfo) {
		inner(info)
		m.node.done(info)
	}
	return result, nil
}

// next returns the index of the member whose turn it is: gRPC's static stride. Rounds go over all members, and one of
// weight w takes part in w of any top rounds, evenly spread and each member's elsewhere. It tries at most top/mean
// members on average, which is 2 or so for the weights in use and never more than their number.
func (p *picker) next() int {
	size := uint64(len(p.members))
	for {
		turn := p.turn.n.Add(1)
		at, round := turn%size, turn/size
		weight := uint64(p.members[at].weight)
		if (weight*round+at*p.top/size)%p.top >= p.top-weight {
			return int(at)
		}
	}
}
