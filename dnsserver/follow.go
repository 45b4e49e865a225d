package dnsserver

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// follower is a Source that can be waited for. Others are looked at once in each interval.
type follower interface {
	// Changes waits until the revision is above after, or ctx ends.
	Changes(ctx context.Context, after store.Revision) (store.Delta, error)
}

// lookInterval is how far apart two looks at a source are: what changes in between is one step of the journal. It bounds
// what a zone that changes all the time costs.
const lookInterval = 200 * time.Millisecond

// follow starts what keeps the journal and tells the secondaries until ctx ends, if there is anybody to keep it for.
func (a *authority) follow(ctx context.Context, wg *sync.WaitGroup) {
	if len(a.transfers.grants) == 0 && len(a.transfers.notifiers) == 0 {
		return
	}
	for _, n := range a.transfers.notifiers {
		wg.Go(func() { n.run(ctx) })
	}
	wg.Go(func() { a.look(ctx) })
}

// look looks at the source again and again.
func (a *authority) look(ctx context.Context) {
	source, waits := a.source.(follower)
	told := store.Revision(0)
	for ctx.Err() == nil {
		view, _ := a.transfers.journal.look()
		if view.Revision() != told { // whoever it was that looked first
			told = view.Revision()
			for _, n := range a.transfers.notifiers {
				n.changed()
			}
		}
		pause(ctx, lookInterval)
		if waits {
			_, err := source.Changes(ctx, told)
			a.transfers.noteWait(ctx, err)
		}
	}
}

// noteWait logs why a source could not be waited for. It is looked at all the same.
func (p *transferPool) noteWait(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		p.logger.Debug("wait for changes", "error", err)
	}
}

// Bounds of a Transfer.
const (
	maxRules       = 256
	maxTargets     = 64
	maxJournalSize = 1 << 30
)

// complete fills in the default and checks the rest. Fields in the wrong are named with prefix.
func (t *Transfer) complete(p *problems, prefix string, keys tsigKeys) {
	setDefault(&t.JournalSize, defaultJournalSize)
	p.require(t.JournalSize <= maxJournalSize, prefix+"JournalSize", t.JournalSize, "must be at most 1 GiB")
	p.require(len(t.Allow) <= maxRules, prefix+"Allow", len(t.Allow), "must be at most 256 rules")
	p.require(len(t.Notify) <= maxTargets, prefix+"Notify", len(t.Notify), "must be at most 64 addresses")
	const known = "must name one of the keys"
	for i, rule := range t.Allow {
		field := fmt.Sprintf("%sAllow[%d]", prefix, i)
		p.require(rule.Prefix.IsValid() || rule.Key != "", field, rule, "must have a prefix or a key")
		p.require(rule.Key == "" || keys.named(rule.Key) != nil, field, rule, known)
	}
	for i, target := range t.Notify {
		field := fmt.Sprintf("%sNotify[%d]", prefix, i)
		p.require(target.Addr.IsValid() && target.Addr.Port() > 0, field, target, "must be an IP address and a port")
		p.require(target.Key == "" || keys.named(target.Key) != nil, field, target, known)
	}
}
