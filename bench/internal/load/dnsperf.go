package load

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// Dnsperf is one run of dnsperf.
type Dnsperf struct {
	Server   netip.AddrPort
	Queries  string // path of the file of queries
	Duration time.Duration
	TCP      bool
	Clients  int // local ports, or connections
	Window   int // the most that may be unanswered, in all
}

// Run runs it where this process is pinned.
func (d Dnsperf) Run(ctx context.Context) (Result, error) {
	mode := "udp"
	if d.TCP {
		mode = "tcp"
	}
	args := []string{
		"-m", mode, "-s", d.Server.Addr().String(), "-p", strconv.Itoa(int(d.Server.Port())), "-d", d.Queries,
		"-l", strconv.FormatFloat(d.Duration.Seconds(), 'f', -1, 64),
		"-c", strconv.Itoa(d.Clients), "-q", strconv.Itoa(d.Window),
	}
	text, err := exec.CommandContext(ctx, "dnsperf", args...).CombinedOutput()
	if err != nil {
		return Result{}, fmt.Errorf("dnsperf: %w: %s", err, text)
	}
	return parseDnsperf(string(text))
}

// parseDnsperf reads the statistics that dnsperf 2.10 prints. Replies other than NOERROR are bad.
func parseDnsperf(text string) (Result, error) {
	var failed error
	number := func(pattern string) float64 {
		match := regexp.MustCompile(pattern).FindStringSubmatch(text)
		if match == nil {
			failed = fmt.Errorf("dnsperf printed nothing like %s: %s", pattern, text)
			return 0
		}
		n, err := strconv.ParseFloat(match[1], 64)
		if err != nil {
			failed = fmt.Errorf("dnsperf printed %q: %w", match[1], err)
		}
		return n
	}
	completed := number(`Queries completed:\s+(\d+)`)
	r := Result{
		Sent:     uint64(number(`Queries sent:\s+(\d+)`)),
		Answered: uint64(completed),
		Lost:     uint64(number(`Queries lost:\s+(\d+)`)),
		Octets:   uint64(completed * number(`Average packet size:.*response (\d+)`)),
		Elapsed:  time.Duration(number(`Run time \(s\):\s+([\d.]+)`) * float64(time.Second)),
	}
	if completed > 0 {
		r.Bad = r.Answered - uint64(number(`NOERROR (\d+)`))
	}
	return r, failed
}
