package dnsserver

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/dnsreg/dnsreg/store"
)

// index finds pairs by name. Reading it takes no lock. It holds those that were asked for; what has gone from the zone
// stays until the table is next made anew, when it is more than half full.
type index struct {
	seed  maphash.Seed
	table atomic.Pointer[[]slot]

	mu   sync.Mutex // guards writing
	used int        // slots of table
}

// slot is the place of one name in a table for as long as there is the table.
type slot struct {
	hash atomic.Uint64
	pair atomic.Pointer[pair] // nil: free
}

// minSlots is the size of the smallest table. Every size is a power of 2.
const minSlots = 64

func newIndex() *index {
	x := &index{seed: maphash.MakeSeed()}
	x.table.Store(newTable(0))
	return x
}

// newTable returns a table that is at most a quarter full with n pairs.
func newTable(n int) *[]slot {
	size := minSlots
	for size < 4*n {
		size *= 2
	}
	table := make([]slot, size)
	return &table
}

// first returns the slot where the search for a name begins.
func (x *index) first(name []byte) *slot {
	table := *x.table.Load()
	return &table[maphash.Bytes(x.seed, name)&uint64(len(table)-1)]
}

// find returns the pair of a name, in small letters, nil if it is not there.
func (x *index) find(name []byte) *pair {
	table := *x.table.Load()
	hash := maphash.Bytes(x.seed, name)
	for i := hash; ; i++ {
		s := &table[i&uint64(len(table)-1)]
		f := s.pair.Load()
		if f == nil {
			return nil
		}
		if s.hash.Load() == hash && string(f.name()) == string(name) {
			return f
		}
	}
}

// put makes f the pair of its name, unless one of the same snapshots is there, and returns the one that is there then.
func (x *index) put(f *pair, view *store.View) *pair {
	x.mu.Lock()
	defer x.mu.Unlock()
	if s := x.slot(f); s.pair.Load() != nil {
		return s.replace(f)
	}
	if 2*(x.used+1) > len(*x.table.Load()) {
		x.renew(view)
	}
	x.set(f)
	return f
}

// slot returns the slot of f's name, or the free one that it is to have.
func (x *index) slot(f *pair) *slot {
	table := *x.table.Load()
	hash := maphash.Bytes(x.seed, f.name())
	for i := hash; ; i++ {
		s := &table[i&uint64(len(table)-1)]
		old := s.pair.Load()
		if old == nil || s.hash.Load() == hash && string(old.name()) == string(f.name()) {
			return s
		}
	}
}

func (s *slot) replace(f *pair) *pair {
	if old := s.pair.Load(); old.snapshots == f.snapshots {
		return old
	}
	s.pair.Store(f)
	return f
}

func (x *index) set(f *pair) {
	s := x.slot(f)
	s.hash.Store(maphash.Bytes(x.seed, f.name()))
	s.pair.Store(f)
	x.used++
}

// renew makes a table without what is not in view, and with room for twice as much as is.
func (x *index) renew(view *store.View) {
	var kept []*pair
	old := *x.table.Load()
	for i := range old {
		if f := old[i].pair.Load(); f != nil && f.in(view) {
			kept = append(kept, f)
		}
	}
	x.used = 0
	x.table.Store(newTable(len(kept)))
	for _, f := range kept {
		x.set(f)
	}
}
