// Package load asks a server over UDP or TCP: as fast as it answers, or at a fixed rate.
package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"github.com/dnsreg/dnsreg/bench/internal/zone"
)

// Spec is one run.
type Spec struct {
	Server   netip.AddrPort // IPv4
	Mix      zone.Mix
	Duration time.Duration
	Rate     int  // queries a second, evenly spread; 0 for as many as the server answers
	Window   int  // the most that may be unanswered, in all
	Sockets  int  // local ports, so that a server with several sockets gets work on all of them; default 1
	TCP      bool // pipelined on a connection for each of Sockets
	Sleep    bool // leave the processor while there is nothing to do, rather than spin

	// Grace is how long a reply may take before the query counts as lost, and for how long no reply may come at the end
	// before the rest does; default 200 ms over UDP and 10 s over TCP, where nothing is lost but with its connection.
	Grace time.Duration
}

// Result is what came of a run.
type Result struct {
	Sent      uint64
	Answered  uint64 // as expected
	Truncated uint64 // of Answered, with TC
	Bad       uint64 // not as expected
	Lost      uint64 // no reply came in time
	Late      uint64 // replies that came after their query was lost
	Octets    uint64 // of all replies
	Elapsed   time.Duration
	Latency   *hdrhistogram.Histogram // in ns, from the time that a query was due; only at a fixed rate
}

// QPS returns the replies a second.
func (r *Result) QPS() float64 { return float64(r.Answered) / r.Elapsed.Seconds() }

// Defaults of Spec.Grace.
const (
	graceUDP = 200 * time.Millisecond
	graceTCP = 10 * time.Second
)

// maxLatency is the greatest latency that is recorded as it is, in ns.
const maxLatency = int64(10 * time.Second)

// Run asks until the duration is over, then waits for what is still unanswered. It spins on one thread of its own.
func Run(ctx context.Context, spec Spec) (Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	g := &generator{Spec: spec, ctx: ctx}
	connect, grace := g.connectUDP, graceUDP
	if spec.TCP {
		connect, grace = g.connectTCP, graceTCP
	}
	g.Grace = cmp.Or(spec.Grace, grace)
	if spec.Rate > 0 {
		g.result.Latency = hdrhistogram.New(1, maxLatency, 3)
	}
	defer g.close()
	for range max(spec.Sockets, 1) {
		if err := connect(); err != nil {
			return Result{}, err
		}
	}
	return g.result, g.run()
}

// generator asks from all of its flows in turn.
type generator struct {
	Spec
	ctx    context.Context
	flows  []*flow
	asked  int // the query to send next
	random uint64
	start  time.Time
	result Result
}

func (g *generator) close() {
	for _, f := range g.flows {
		_ = unix.Close(f.fd)
	}
}

func (g *generator) run() error {
	step := g.refill
	if g.Rate > 0 {
		step = g.pace
	}
	g.start = time.Now()
	for g.result.Elapsed < g.Duration && g.ctx.Err() == nil {
		moved, err := step(g.result.Elapsed)
		if err != nil {
			return fmt.Errorf("ask %s: %w", g.Server, err)
		}
		if g.Sleep && moved == 0 {
			g.sleep()
		}
		g.result.Elapsed = time.Since(g.start)
	}
	return errors.Join(g.drain(), g.ctx.Err())
}

// refill keeps every flow's share of the window filled, a batch at a time.
func (g *generator) refill(now time.Duration) (int, error) {
	moved, share := 0, max(g.Window/len(g.flows), 1)
	for _, f := range g.flows {
		n, err := f.receive()
		if err != nil {
			return 0, err
		}
		moved += n
		f.expire(now - g.Grace)
		if room := share - f.waiting; room >= min(batch, share) {
			n, err = f.send(min(room, batch), func(int) time.Duration { return now })
			if err != nil {
				return 0, err
			}
			moved += n
		}
	}
	return moved, nil
}

// pace sends what is due, from the flow whose turn it is.
func (g *generator) pace(now time.Duration) (int, error) {
	sent := int(g.result.Sent)
	due := int(int64(now)*int64(g.Rate)/int64(time.Second)) + 1 - sent
	moved := 0
	if due > 0 {
		n, err := g.flows[sent%len(g.flows)].send(min(due, batch), func(i int) time.Duration {
			return time.Duration(int64(sent+i) * int64(time.Second) / int64(g.Rate))
		})
		if err != nil {
			return 0, err
		}
		moved = n
	}
	for _, f := range g.flows {
		n, err := f.receive()
		if err != nil {
			return 0, err
		}
		moved += n
	}
	return moved, nil
}

// sleep waits a little for replies. An error of poll shows at the next call.
func (g *generator) sleep() {
	fds := make([]unix.PollFd, len(g.flows))
	for i, f := range g.flows {
		fds[i] = unix.PollFd{Fd: int32(f.fd), Events: unix.POLLIN}
	}
	_, _ = unix.Poll(fds, 1)
}

// drain waits for late replies; what is unanswered after the grace is lost.
func (g *generator) drain() error {
	for end := time.Now().Add(g.Grace); time.Now().Before(end) && g.waiting() > 0 && g.ctx.Err() == nil; {
		for _, f := range g.flows {
			n, err := f.receive()
			if err != nil {
				return err
			}
			if n > 0 {
				end = time.Now().Add(g.Grace)
			}
		}
	}
	for _, f := range g.flows {
		f.expire(time.Since(g.start))
	}
	return nil
}

func (g *generator) waiting() int {
	n := 0
	for _, f := range g.flows {
		n += f.waiting
	}
	return n
}
