package store

import (
	"cmp"
	"iter"
	"slices"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// Snapshot is one service at one revision. It is immutable: whoever holds one may read it for as long as it likes.
type Snapshot struct {
	Service   Service
	Revision  Revision // of the service's last change
	Instances []Live   // draining ones included, in the order of their keys
}

// Find returns the instance with this id, in whatever ASCII case, or nil.
func (s *Snapshot) Find(id string) *Live {
	if s == nil {
		return nil
	}
	i, found := s.search(dnssd.Fold(id))
	if !found {
		return nil
	}
	return &s.Instances[i]
}

// With returns a copy of s, which may be nil, with live in the place of the instance of its key. Its revision is the
// caller's to set, and so is its service where s is nil.
func (s *Snapshot) With(live Live) *Snapshot {
	if s == nil {
		return &Snapshot{Instances: []Live{live}}
	}
	i, found := s.search(live.Key())
	rest := s.Instances[i:]
	if found {
		rest = s.Instances[i+1:]
	}
	return &Snapshot{Service: s.Service, Instances: slices.Concat(s.Instances[:i], []Live{live}, rest)}
}

// search returns the place of the instance with this key, or where it would be.
func (s *Snapshot) search(key string) (int, bool) {
	return slices.BinarySearchFunc(s.Instances, key, func(l Live, key string) int { return cmp.Compare(l.Key(), key) })
}

// Up iterates over the instances that are answered. A nil snapshot has none.
func (s *Snapshot) Up() iter.Seq[*Live] {
	return func(yield func(*Live) bool) {
		if s == nil {
			return
		}
		for i := range s.Instances {
			if s.Instances[i].State() == Up && !yield(&s.Instances[i]) {
				return
			}
		}
	}
}

// Answered reports whether any instance is answered: if not, the service does not exist in DNS.
func (s *Snapshot) Answered() bool {
	for range s.Up() {
		return true
	}
	return false
}

// len returns the number of instances, none for a nil snapshot.
func (s *Snapshot) len() int {
	if s == nil {
		return 0
	}
	return len(s.Instances)
}
