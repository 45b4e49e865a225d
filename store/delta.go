package store

import "context"

// Delta is what changed in a zone after revision From, compacted: the last state of every service that changed, each
// exactly once. A service that is gone is there without instances.
type Delta struct {
	From, To Revision
	Services []*Snapshot
	Complete bool // false: the store no longer knows what changed after From; start over from its View
}

// AwaitDelta calls since until it returns a delta, which it does with a nil channel. Before it calls it again it waits
// until the channel is closed. Its error is that of ctx, which ends the waiting.
func AwaitDelta(ctx context.Context, since func() (Delta, <-chan struct{})) (Delta, error) {
	for {
		if err := ctx.Err(); err != nil {
			return Delta{}, err
		}
		delta, later := since()
		if later == nil {
			return delta, nil
		}
		select {
		case <-ctx.Done():
		case <-later:
		}
	}
}
