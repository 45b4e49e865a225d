package suite

import "time"

// What the tests reach of the inner parts.
var (
	Groups    = groups
	Count     = count
	ParseHeap = parseHeap
	CookieIn  = cookieIn
	Describe  = describe
	Figures   = figures
)

// Reading is what a server has used up to a moment.
type Reading = reading

// NewReading returns a reading at so many milliseconds; the system takes a quarter of the processor time.
func NewReading(at, cpu, busy int) Reading {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	return reading{at: time.UnixMilli(int64(at)), cpu: ms(cpu), user: ms(cpu * 3 / 4), system: ms(cpu / 4), busy: ms(busy)}
}
