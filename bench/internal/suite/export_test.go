package suite

import "time"

// What the tests reach of the inner parts.
var (
	Groups   = groups
	Count    = count
	CookieIn = cookieIn
	Describe = describe
	Figures  = figures
	Check    = check
	Table    = table
)

// Reading is what a server has used up to a moment.
type Reading = reading

// NewReading returns a reading at so many milliseconds; the system takes a quarter of the processor time.
func NewReading(at, cpu, own, busy int) Reading {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	return reading{at: time.UnixMilli(int64(at)), cpu: ms(cpu), user: ms(cpu * 3 / 4), system: ms(cpu / 4), own: ms(own), busy: ms(busy)}
}
