package redisstore

import (
	"slices"
	"strings"

	"github.com/dnsreg/dnsreg/store"
)

// salvage is what a recovery keeps of a service and puts back: of what was shown, the instances that Redis has no record
// of, and for those that it has without an overlay the overlay that was shown. What Redis has is otherwise right, be it
// older or newer; and whatever was deregistered since stays so. Either snapshot may be nil.
func salvage(shown, stored *store.Snapshot, buried func(key string) bool) []store.Live {
	if shown == nil {
		return nil
	}
	var kept []store.Live
	for _, live := range shown.Instances {
		found := stored.Find(live.ID)
		lost := found == nil
		if !lost && found.Overlay == (store.Overlay{}) && live.Overlay != (store.Overlay{}) {
			live.Instance, lost = found.Instance, true
		}
		if lost && !buried(live.Key()) {
			kept = append(kept, live)
		}
	}
	return kept
}

// mend returns the instances of a service with what a recovery keeps of it, in the order of their keys.
func mend(stored *store.Snapshot, kept []store.Live) []store.Live {
	all := slices.Clone(kept)
	if stored != nil {
		for _, live := range stored.Instances {
			if !slices.ContainsFunc(kept, func(k store.Live) bool { return k.Key() == live.Key() }) {
				all = append(all, live)
			}
		}
	}
	slices.SortFunc(all, func(a, b store.Live) int { return strings.Compare(a.Key(), b.Key()) })
	return all
}
