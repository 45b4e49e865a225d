package store

// Delta is what changed in a zone after revision From, compacted: the last state of every service that changed, each
// exactly once. A service that is gone is there without instances.
type Delta struct {
	From, To Revision
	Services []*Snapshot
	Complete bool // false: the store no longer knows what changed after From; start over from its View
}
