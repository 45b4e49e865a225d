package dnsserver

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Times is how long queries took, from when the server had taken them from the kernel until the kernel had taken the
// replies. What is taken together is replied to together, so each counts with the time of all.
type Times struct {
	Buckets [TimeBuckets]uint64 // queries that took less than TimeBound of the index, and no less than that of the one before
	Sum     time.Duration
}

// TimeBuckets is how many buckets Times has.
const TimeBuckets = 22

// firstBound is the bound of the first bucket: that power of 2 in nanoseconds.
const firstBound = 11

// TimeBound returns the bound of the i-th bucket of Times: 2.048 µs for the first and twice as much for each one that
// follows. The last bucket, from 2.1 s, has none.
func TimeBound(i int) time.Duration { return 1 << (firstBound + i) }

// times is one worker's part of Times.
type times struct {
	buckets [TimeBuckets]atomic.Uint64
	sum     atomic.Int64
}

// add notes that n queries took d each.
func (t *times) add(n int, d time.Duration) {
	i := min(max(bits.Len64(uint64(d))-firstBound, 0), TimeBuckets-1)
	t.buckets[i].Add(uint64(n))
	t.sum.Add(int64(n) * int64(d))
}

func (t *times) addTo(sum *Times) {
	for i := range t.buckets {
		sum.Buckets[i] += t.buckets[i].Load()
	}
	sum.Sum += time.Duration(t.sum.Load())
}
