package endpoint

import (
	"runtime"
	"sync"
	"time"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/store"
)

// defaultCapacity is how many renewals a second one processor is good for, with room left for DNS. A heartbeat over
// HTTP takes some tens of microseconds of a processor, one of a batch a few.
const defaultCapacity = 10_000

// heartbeatAfter returns when the next heartbeat of a lease should come: after ttl/3 up to half of the server's
// capacity, then later in proportion to the load, and from full capacity on after ttl/2, so that one lost heartbeat
// never costs the lease. Whole milliseconds.
//
// The rule settles instead of swinging. A load r of heartbeats that follow the answer a(r) causes the load N/a(r); the
// gain of that loop is r·a'(r)/a(r), which is at most 2/3, reached at full capacity.
func heartbeatAfter(ttl time.Duration, rate, capacity float64) time.Duration {
	excess := min(max(2*rate/capacity-1, 0), 1)
	return (ttl/3 + time.Duration(excess*float64(ttl/2-ttl/3))).Truncate(time.Millisecond)
}

// pacer tells each caller when to come again, by how many have come lately.
type pacer struct {
	capacity float64 // renewals a second
	start    time.Time

	mu      sync.Mutex
	seconds [paceWindow]uint64 // renewals of each of the last seconds, by second modulo the window
	total   uint64             // of all seconds but the current
	second  int64              // the current one, since start
}

// paceWindow is over how many whole seconds the rate is measured.
const paceWindow = 8

func newPacer(capacity float64) *pacer {
	if capacity == 0 {
		capacity = defaultCapacity * float64(runtime.GOMAXPROCS(0))
	}
	return &pacer{capacity: capacity, start: time.Now()}
}

// add counts heartbeats and registrations, whatever became of them: each of them was work.
func (p *pacer) add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn()
	p.seconds[p.second%paceWindow] += uint64(n)
}

// rate returns the renewals a second over the last whole seconds.
func (p *pacer) rate() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn()
	return float64(p.total) / (paceWindow - 1)
}

// turn makes the second that it is the current one. p.mu is held.
func (p *pacer) turn() {
	now := int64(time.Since(p.start) / time.Second)
	if now-p.second > paceWindow { // all that was counted is past
		p.seconds, p.total, p.second = [paceWindow]uint64{}, 0, now
	}
	for p.second < now {
		p.total += p.seconds[p.second%paceWindow]
		p.second++
		oldest := &p.seconds[p.second%paceWindow]
		p.total -= *oldest
		*oldest = 0
	}
}

// leaseForm returns a lease as replies show it.
func (s *Server) leaseForm(l store.Lease) heartbeat.Lease {
	return heartbeat.Lease{
		TTL:            heartbeat.Duration(l.TTL),
		ExpiresAt:      l.ExpiresAt.UTC(),
		HeartbeatAfter: heartbeat.Duration(heartbeatAfter(l.TTL, s.pacer.rate(), s.pacer.capacity)),
	}
}
