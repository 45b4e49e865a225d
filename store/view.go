package store

import (
	"cmp"
	"iter"
	"slices"
	"sort"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// A view is a tree of fixed depth two, so that a change copies two arrays and one bucket however many services there
// are: 128 × 128 buckets hold about 6 services each at 100,000.
const fanout = 128

type (
	bucket []*Snapshot // in the order of their services, by which two of one name are side by side
	branch [fanout]bucket
)

// View is an immutable cut of a whole zone at one revision, safe for any number of readers. The zero value is the empty
// zone at revision 0.
type View struct {
	revision  Revision
	branches  [fanout]*branch
	services  int
	instances int
	answered  map[string]int // by protocol: services with an answered instance
}

// Revision returns the zone's revision, which is not below that of any snapshot in the view.
func (v *View) Revision() Revision { return v.revision }

// Services returns how many services have a live instance, draining ones included.
func (v *View) Services() int { return v.services }

// Instances returns how many live instances there are, draining ones included.
func (v *View) Instances() int { return v.instances }

// Answered returns how many services of a protocol, "_tcp" or "_udp", have an instance that is answered.
func (v *View) Answered(proto string) int { return v.answered[proto] }

// Service returns the snapshot of one service, nil where it has no live instance.
func (v *View) Service(service Service) *Snapshot {
	bucket := v.bucket(hash(service.name()))
	if i, ok := bucket.search(service); ok {
		return bucket[i]
	}
	return nil
}

// Named returns the snapshots of the two services of one name, "web" without an underscore and in small letters; nil
// where a service has no live instance. It costs one look, and allocates nothing.
func (v *View) Named(name []byte) (tcp, udp *Snapshot) {
	for _, s := range v.bucket(hash(name)) {
		switch {
		case s.Service.name() != string(name):
		case s.Service[len(s.Service)-len(protoTCP):] == protoTCP:
			tcp = s
		default:
			udp = s
		}
	}
	return tcp, udp
}

func (v *View) bucket(h uint32) bucket {
	if b := v.branches[high(h)]; b != nil {
		return b[low(h)]
	}
	return nil
}

// All iterates over the services that have a live instance, in no order that means anything.
func (v *View) All() iter.Seq[*Snapshot] {
	return func(yield func(*Snapshot) bool) {
		for _, b := range v.branches {
			if b != nil && !b.each(yield) {
				return
			}
		}
	}
}

func (b *branch) each(yield func(*Snapshot) bool) bool {
	for _, bucket := range b {
		for _, s := range bucket {
			if !yield(s) {
				return false
			}
		}
	}
	return true
}

// With returns the view at revision in which each of changed takes the place of its service's snapshot; one without
// instances removes its service. Cost: a few microseconds a snapshot, however large the view is.
func (v *View) With(revision Revision, changed ...*Snapshot) *View {
	next := *v
	next.revision = revision
	next.answered = map[string]int{"_tcp": v.answered["_tcp"], "_udp": v.answered["_udp"]}
	for _, s := range changed {
		next.own(s.Service, v)
		next.replace(s)
	}
	return &next
}

// own copies the branch of a service that v still shares with the last view.
func (v *View) own(service Service, last *View) {
	i := high(hash(service.name()))
	switch shared := last.branches[i]; {
	case v.branches[i] == nil:
		v.branches[i] = new(branch)
	case v.branches[i] == shared:
		copied := *shared
		v.branches[i] = &copied
	}
}

// replace puts s in place of its service's snapshot in a branch of v's own, in a copy of its bucket.
func (v *View) replace(s *Snapshot) {
	h := hash(s.Service.name())
	b := v.branches[high(h)]
	bucket := b[low(h)]
	i, found := bucket.search(s.Service)
	if found {
		v.count(bucket[i], -1)
		bucket = slices.Concat(bucket[:i], bucket[i+1:])
	}
	if len(s.Instances) > 0 {
		v.count(s, +1)
		bucket = slices.Insert(slices.Clone(bucket), i, s)
	}
	b[low(h)] = bucket
}

// count adds a snapshot to the totals, or takes it off with a sign of -1.
func (v *View) count(s *Snapshot, sign int) {
	v.services += sign
	v.instances += sign * len(s.Instances)
	if s.Answered() {
		_, proto := dnssd.CutService(string(s.Service))
		v.answered[proto] += sign
	}
}

func (b bucket) search(service Service) (int, bool) {
	return sort.Find(len(b), func(i int) int { return cmp.Compare(service, b[i].Service) })
}

// hash is FNV-1a of a service's name, so that both services of a name are in one bucket: a registrar who makes names
// collide slows its own registrations down, and nothing else.
func hash[T string | []byte](name T) uint32 {
	h := uint32(2166136261)
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	return h
}

func high(h uint32) uint32 { return h >> 16 % fanout }

func low(h uint32) uint32 { return h % fanout }
