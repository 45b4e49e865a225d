package suite

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/bench/internal/load"
	"github.com/dnsreg/dnsreg/bench/internal/peer"
	"github.com/dnsreg/dnsreg/bench/internal/proc"
	"github.com/dnsreg/dnsreg/bench/internal/zone"
)

// Sample is one measurement.
type Sample struct {
	CPU     float64 // µs of the server's processor time for each reply
	System  float64 // share of it that the kernel took, 0 to 1
	Used    float64 // share of one core that the server took, 0 to 1 for each core: whether it was saturated
	QPS     float64
	Loss    float64 // share of the queries sent, 0 to 1
	Memory  float64 // MiB resident
	Octets  float64 // of a reply, on average
	Foreign float64 // share of the server's core that others took, 0 to 1; not known with two cores

	P50, P99, P999 float64 // of latency in µs, at a fixed rate only
}

// trial is a row in the making.
type trial struct {
	Row
	server  *peer.Server
	mix     zone.Mix
	queries string // path of a file for dnsperf
}

// prepare starts a subject and looks at one reply.
func (g *group) prepare(ctx context.Context, s Scenario, subject Subject) (*trial, error) {
	server, err := g.server(ctx, s, subject)
	if err != nil {
		return nil, err
	}
	t := &trial{Row: Row{Scenario: s, Subject: subject, Version: server.Version}, server: server}
	if subject == Echo || subject == EchoBatches {
		t.mix, err = s.Zone.Mix(s.Query)
		t.mix.Echo = true
		return t, err
	}
	if err := t.look(ctx); err != nil {
		return nil, err
	}
	if !s.TCP {
		return t, nil
	}
	t.queries = filepath.Join(g.Dir, s.Name+"-"+s.Group+".queries")
	return t, writeQueries(t.queries, s)
}

func writeQueries(path string, s Scenario) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := s.Zone.WriteQueries(f, s.Query.Kind); err != nil {
		return err
	}
	return f.Close()
}

// clientCookie is what the client side of every cookie is.
var clientCookie = [8]byte{1, 2, 3, 4, 5, 6, 7, 8}

// look asks once, to learn the server's cookie and what a reply has.
func (t *trial) look(ctx context.Context) error {
	query := t.Scenario.Query
	if t.Scenario.Cookies {
		query.Cookie = clientCookie[:]
		first, err := t.exchange(ctx, query) // BADCOOKIE is an answer too
		if err != nil {
			return err
		}
		if learned := cookieIn(first); learned != nil {
			query.Cookie = learned
		}
	}
	reply, err := t.exchange(ctx, query)
	if err != nil {
		return err
	}
	if t.mix, err = t.Scenario.Zone.Mix(query); err != nil {
		return err
	}
	if reply.Rcode != t.mix.Rcode || !reply.Truncated && len(reply.Answer) != t.mix.Answers {
		return fmt.Errorf("the reply is not as expected: %s", reply)
	}
	t.Reply = describe(reply)
	return nil
}

// exchange sends the first query of a mix.
func (t *trial) exchange(ctx context.Context, query zone.Query) (*dns.Msg, error) {
	mix, err := t.Scenario.Zone.Mix(query)
	if err != nil {
		return nil, err
	}
	msg := new(dns.Msg)
	if err := msg.Unpack(mix.Queries[0]); err != nil {
		return nil, err
	}
	msg.Id = 1
	client := dns.Client{Net: "udp", UDPSize: dns.MaxMsgSize, Timeout: time.Second}
	if t.Scenario.TCP {
		client.Net = "tcp"
	}
	reply, _, err := client.ExchangeContext(ctx, msg, t.server.Addr.String())
	if err != nil {
		return nil, fmt.Errorf("look at a reply: %w", err)
	}
	return reply, nil
}

// cookieIn returns the whole cookie of a reply, nil if there is none.
func cookieIn(reply *dns.Msg) []byte {
	opt := reply.IsEdns0()
	if opt == nil {
		return nil
	}
	for _, option := range opt.Option {
		if cookie, ok := option.(*dns.EDNS0_COOKIE); ok {
			if raw, err := hex.DecodeString(cookie.Cookie); err == nil {
				return raw
			}
		}
	}
	return nil
}

// describe returns how many records each section of a reply has.
func describe(reply *dns.Msg) string {
	text := fmt.Sprintf("%d/%d/%d", len(reply.Answer), len(reply.Ns), len(reply.Extra))
	if reply.Truncated {
		text += " TC"
	}
	return text
}

// noisy is the share of the server's core beyond which a sample is taken again, at most so many times.
const (
	noisy   = 0.1
	retries = 3
)

// measure takes a sample, the quietest one of several if others use the server's core.
func (t *trial) measure(ctx context.Context, d time.Duration) (Sample, error) {
	best, err := t.sample(ctx, d)
	for n := 0; err == nil && n < retries && best.Foreign > noisy; n++ {
		var again Sample
		if again, err = t.sample(ctx, d); again.Foreign < best.Foreign {
			best = again
		}
	}
	return best, err
}

// sample asks for a while and reads before and after it what the server has used.
func (t *trial) sample(ctx context.Context, d time.Duration) (Sample, error) {
	if err := proc.Pin(t.loadCores()...); err != nil {
		return Sample{}, err
	}
	tree, err := proc.Find(t.server.PID())
	if err != nil {
		return Sample{}, err
	}
	before, err := read(tree)
	if err != nil {
		return Sample{}, err
	}
	result, err := t.ask(ctx, d)
	if err != nil {
		return Sample{}, err
	}
	after, err := read(tree)
	if err != nil {
		return Sample{}, err
	}
	if good := result.Answered + result.Late; good == 0 || result.Bad > good/1000 {
		return Sample{}, fmt.Errorf("of %d queries %d got the reply expected, %d another", result.Sent, good, result.Bad)
	}
	s := figures(result, before, after)
	if t.Scenario.Cores > 1 {
		s.Foreign = 0
	}
	memory, err := tree.Memory()
	s.Memory = float64(memory) / (1 << 20)
	return s, err
}

// warmUp is how long it takes to ask for every name once, with time for a server to build its answer.
func (t *trial) warmUp() time.Duration {
	return time.Duration(len(t.mix.Queries)) * 100 * time.Microsecond
}

func (t *trial) loadCores() []int {
	if t.Scenario.Cores > 1 {
		return []int{serverCore, loadCore}
	}
	return []int{loadCore}
}

func (t *trial) ask(ctx context.Context, d time.Duration) (load.Result, error) {
	if t.Scenario.TCP {
		run := load.Dnsperf{Server: t.server.Addr, Queries: t.queries, Duration: d, Connections: 20, Window: tcpWindow}
		return run.Run(ctx)
	}
	spec := load.Spec{Server: t.server.Addr, Mix: t.mix, Duration: d, Rate: t.Scenario.Rate, Window: t.Scenario.Window}
	if t.Scenario.Cores > 1 {
		spec.Sockets, spec.Sleep = 16, true
	}
	return load.Run(ctx, spec)
}
