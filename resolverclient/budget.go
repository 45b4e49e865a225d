package resolverclient

import (
	"sync/atomic"
	"time"
)

const (
	// budgetSpare is how many retries may be saved up, and are there at first.
	budgetSpare = 100
	// budgetFloor is how many retries a second are allowed whatever the number of calls.
	budgetFloor = 10
	coin        = 1000 // of which a retry costs so many
	// forRetries is what hedges leave of what is saved: where there is not enough for both, a call that failed comes
	// before one that is slow.
	forRetries = budgetSpare * coin / 2
)

// budget bounds retries in proportion to calls, so that a service in trouble does not get several times its traffic
// on top. It is shared by all calls of a balancer.
type budget struct {
	share    int64 // what a call pays, set by open; negative where there are no retries
	coins    atomic.Int64
	refilled atomic.Int64 // when budgetFloor was paid last, since the balancer's epoch
}

// open sets how many retries each call pays for. A negative share allows none.
func (b *budget) open(share float64) {
	b.share = int64(share * coin)
	if share >= 0 {
		b.coins.Store(budgetSpare * coin)
	}
}

// deposit pays for one call.
func (b *budget) deposit() {
	if b.share > 0 && b.coins.Load() < budgetSpare*coin {
		b.coins.Add(b.share)
	}
}

// withdraw takes a retry and leaves so many coins at least, or reports that there are not enough.
func (b *budget) withdraw(now time.Duration, leave int64) bool {
	for {
		have := b.coins.Load()
		if have < coin+leave {
			if b.share < 0 {
				return false
			}
			if have = b.refill(now); have < coin+leave {
				return false
			}
			continue
		}
		if b.coins.CompareAndSwap(have, have-coin) {
			return true
		}
	}
}

// refill pays what has come due by time, at most one second's worth, and returns what there is now.
func (b *budget) refill(now time.Duration) int64 {
	last := b.refilled.Load()
	due := int64(min(now-time.Duration(last), time.Second)) * budgetFloor * coin / int64(time.Second)
	if due >= coin && b.refilled.CompareAndSwap(last, int64(now)) {
		return b.coins.Add(due)
	}
	return b.coins.Load()
}
