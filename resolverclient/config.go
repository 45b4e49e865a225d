package resolverclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// Config says whom a [Client] asks and how long it believes what it hears. The zero value asks the servers of
// /etc/resolv.conf for absolute names.
type Config struct {
	// Servers are the DNS servers as host:port, asked in this order; one that failed is asked after the others for 10 s.
	// Empty means the nameserver lines of ResolvConf, port 53.
	Servers []string
	// ResolvConf is the file that names the servers where Servers is empty. Default /etc/resolv.conf. Its options and
	// search domains are not used.
	ResolvConf string
	// Zone is what "web" and "_web._tcp" are looked up in: _web._tcp.<Zone>. Without it names must be absolute.
	Zone string

	// Timeout is how long one server may take for one reply. Default 1 s.
	Timeout time.Duration
	// Attempts is how often every server is asked before a lookup fails. Default 2.
	Attempts int
	// LookupTimeout bounds a lookup with all its queries, those for addresses included. Default 10 s.
	LookupTimeout time.Duration

	// MaxEntries bounds the number of services whose answers are kept; the one unused longest makes room. Default 1024.
	MaxEntries int
	// MinTTL and MaxTTL bound the TTL of an answer from both sides: records with TTL 0 are kept for MinTTL. An answer of
	// which a part could not be had is kept for 5 s at most. Defaults 1 s and 1 h.
	MinTTL, MaxTTL time.Duration
	// NegativeTTL is the longest that "not found" is believed, whatever the zone says. Default 5 s.
	NegativeTTL time.Duration
	// MaxStale is how long after its TTL the last good answer stays in use while every server fails, and each of its
	// records while that record alone cannot be had. Default 10 min, negative means not at all.
	MaxStale time.Duration
	// Idle is how long after its last use an answer is still renewed. Default 1 min.
	Idle time.Duration

	// SnapshotFile is where the answers are kept for the next start: written a second after a change, every ten minutes
	// otherwise, and at Close, as a whole or not at all, at most 16 MiB, the most recent answers first. After a start an
	// answer of the file is used only where and until no server answers, for MaxStale at most, and says that it is stale.
	// A damaged file is moved to SnapshotFile.damaged, reported to Logger, and no reason not to start. Answers in it that no
	// server can have given, or that were seen in the future, are reported and not used. Its directory must exist. Processes
	// that share a file overwrite each other's answers. Default: none is kept.
	SnapshotFile string
	// SnapshotMaxAge is how long ago a server must have given an answer of SnapshotFile for the last time. Default 24 h.
	SnapshotMaxAge time.Duration

	// Strategy is the one that Do uses. Default WeightedRandom.
	Strategy Strategy
	// What follows, to ConnectTimeout, is how failures of instances are dealt with, by Do, Hedge, DialContext and
	// Transports alike where nothing else is said.

	// Tries is how many instances a call is tried on at most. Default 3.
	Tries int
	// Retry reports whether Do and Hedge may call another instance after this error of the function. Default
	// [IsConnectError]. A Transport goes by the request and by RetryStatuses instead.
	Retry func(error) bool
	// RetryStatuses are the HTTP statuses of a reply that says that this instance cannot serve now: they count as a
	// failure of it, and a Transport sends a request that may be repeated to another. From 400 to 599. Default 502, 503
	// and 504; empty and not nil means none.
	RetryStatuses []int
	// RetryShare is how many retries and hedges, together, each call pays for. A hundred are there at first and may be
	// saved up, of which hedges leave fifty to retries, and ten a second are allowed however few calls there are. Default
	// 0.2, negative means no retries at all.
	RetryShare float64
	// HedgeAfter is when a Transport sends a request that may be repeated to one more instance, because the first has
	// not answered yet: the first answer counts. A good value is the p95 of the latency. Default 0, which means never.
	HedgeAfter time.Duration

	// EjectAfter is how many failures in a row keep an endpoint out of picks. Default 5, negative means never.
	EjectAfter int
	// EjectShare keeps an endpoint out whose share of failed calls is more than this above that of the others together,
	// judged at the end of each 10 s that follow a failure, over 20 calls of its own and of the others at least.
	// Default 0.2, negative means never.
	EjectShare float64
	// EjectFor is for how long; each further time in a row it is twice as long, at most 32 times. One that was ejected for
	// failures in a row is so again after the first failure. Default 10 s.
	EjectFor time.Duration
	// EjectMost is the share of a service's endpoints that may be out at a time; beyond it they are used as if nothing
	// were known. Above 0 and below 1. Default 0.5.
	EjectMost float64

	// ConnectTimeout is how long DialContext and a Transport try to connect to one address. Default 3 s.
	ConnectTimeout time.Duration

	// Dial opens the connections to servers, "udp" or "tcp". Default net.Dialer. For tests and proxies.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Logger hears of answers that become stale and that recover, and of snapshots that cannot be used. Default: nobody.
	Logger *slog.Logger
}

// withDefaults fills in what was left at zero.
func (c Config) withDefaults() Config {
	orDefault(&c.ResolvConf, "/etc/resolv.conf")
	orDefault(&c.Timeout, time.Second)
	orDefault(&c.Attempts, 2)
	orDefault(&c.LookupTimeout, 10*time.Second)
	orDefault(&c.MaxEntries, 1024)
	orDefault(&c.MinTTL, time.Second)
	orDefault(&c.MaxTTL, max(time.Hour, c.MinTTL))
	orDefault(&c.NegativeTTL, 5*time.Second)
	orDefault(&c.MaxStale, 10*time.Minute)
	orDefault(&c.Idle, time.Minute)
	orDefault(&c.SnapshotMaxAge, 24*time.Hour)
	orDefault(&c.Tries, 3)
	orDefault(&c.ConnectTimeout, 3*time.Second)
	orDefault(&c.EjectAfter, 5)
	orDefault(&c.EjectShare, 0.2)
	orDefault(&c.EjectFor, 10*time.Second)
	orDefault(&c.EjectMost, 0.5)
	orDefault(&c.RetryShare, 0.2)
	orDefault(&c.Logger, slog.New(slog.DiscardHandler))
	if c.Retry == nil {
		c.Retry = IsConnectError
	}
	if c.RetryStatuses == nil {
		c.RetryStatuses = []int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}
	}
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	return c
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// check returns an error for every field that is wrong. The defaults have been filled in.
func (c Config) check() error {
	var errs []error
	bad := func(field string, value any, rule string) {
		errs = append(errs, fmt.Errorf("%s %v: %s", field, value, rule))
	}
	for _, s := range c.Servers {
		if !isHostPort(s) {
			bad("Servers", strconv.Quote(s), "must be host:port with a port from 1 to 65535")
		}
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"Timeout", c.Timeout},
		{"LookupTimeout", c.LookupTimeout},
		{"MinTTL", c.MinTTL},
		{"NegativeTTL", c.NegativeTTL},
		{"Idle", c.Idle},
		{"EjectFor", c.EjectFor},
		{"ConnectTimeout", c.ConnectTimeout},
		{"HedgeAfter", c.HedgeAfter},
		{"SnapshotMaxAge", c.SnapshotMaxAge},
	} {
		if f.value < 0 {
			bad(f.name, f.value, "must not be negative")
		}
	}
	for _, f := range []struct {
		name  string
		value int
	}{{"Attempts", c.Attempts}, {"MaxEntries", c.MaxEntries}, {"Tries", c.Tries}} {
		if f.value < 1 {
			bad(f.name, f.value, "must be at least 1")
		}
	}
	c.checkFailures(bad)
	if c.MaxTTL < c.MinTTL {
		bad("MaxTTL", c.MaxTTL, "must be at least MinTTL")
	}
	if !c.Strategy.valid() {
		bad("Strategy", int(c.Strategy), "is not a strategy")
	}
	return errors.Join(errs...)
}

// checkFailures reports the wrong ones among the fields that say how failures are dealt with.
func (c Config) checkFailures(bad func(field string, value any, rule string)) {
	for _, status := range c.RetryStatuses {
		if status < 400 || status > 599 {
			bad("RetryStatuses", status, "must be from 400 to 599")
		}
	}
	for _, f := range []struct {
		name       string
		value, top float64
	}{{"RetryShare", c.RetryShare, 100}, {"EjectShare", c.EjectShare, 1}} {
		if math.IsNaN(f.value) || f.value > f.top {
			bad(f.name, f.value, fmt.Sprintf("must be at most %v", f.top))
		}
	}
	if math.IsNaN(c.EjectMost) || c.EjectMost <= 0 || c.EjectMost >= 1 {
		bad("EjectMost", c.EjectMost, "must be above 0 and below 1")
	}
}

func isHostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	n, perr := strconv.ParseUint(port, 10, 16)
	return err == nil && perr == nil && host != "" && n > 0
}

// parseZone returns the canonical zone, or nothing where none is configured.
func parseZone(zone string) (string, error) {
	if zone == "" {
		return "", nil
	}
	canonical, err := dnssd.ParseZone(zone)
	if err != nil {
		return "", fmt.Errorf("%s %q: %w", "Zone", zone, err)
	}
	return canonical, nil
}

// systemServers reads the nameserver lines of a resolv.conf(5). A file without any means this host, as it does for the
// C library.
func systemServers(path string) ([]string, error) {
	conf, err := dns.ClientConfigFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s %q: read servers: %w", "ResolvConf", path, err)
	}
	if len(conf.Servers) == 0 {
		return []string{"127.0.0.1:53"}, nil
	}
	servers := make([]string, len(conf.Servers))
	for i, host := range conf.Servers {
		servers[i] = net.JoinHostPort(host, "53")
	}
	return servers, nil
}
