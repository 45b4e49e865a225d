package resolverclient

import (
	"sync/atomic"
	"time"
)

const (
	// budgetShare is how many retries each call pays for; budgetSpare how many may be saved up, and are there at first.
	budgetShare = 0.2
	budgetSpare = 100
	// budgetFloor is how many retries a second are allowed whatever the number of calls.
	budgetFloor = 10
	coin        = 1000 // of which a retry costs so many
)

// budget bounds retries in proportion to calls, so that a service in trouble does not get several times its traffic
// on top. It is shared by all calls of a balancer.
type budget struct {
	coins    atomic.Int64
	refilled atomic.Int64 // when budgetFloor was paid last, since the balancer's epoch
}

// deposit pays for one call.
func (b *budget) deposit() {
	if b.coins.Load() < budgetSpare*coin {
		b.coins.Add(budgetShare * coin)
	}
}

// withdraw takes a retry, or reports that there is none.
func (b *budget) withdraw(now time.Duration) bool {
	for {
		have := b.coins.Load()
		if have < coin {
			if have = b.refill(now); have < coin {
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
