package dnsserver

import (
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// Config is what a Server needs to know. A zero field takes its default.
type Config struct {
	Zones  []Zone   // 1 to MaxZones; those whose names end in another's take their part out of it
	Listen []string // "127.0.0.1:8053", "[::1]:53" or, for every address, ":53"; UDP and TCP each; port 0 is any free one

	// Sockets are in place of Listen where somebody else, such as systemd, has bound the addresses. Listen takes
	// them over, and Run closes them: they must not be used any more.
	Sockets []Sockets

	TTL         time.Duration // the greatest of registered records, 1 s to 24 h; default 5 s
	NegativeTTL time.Duration // how long caches may hold that something does not exist, 1 s to 24 h; default 5 s
	MaxUDPSize  int           // octets of a reply over UDP, 512 to 1400; default 1232 (RFC 9715)
	UDPReaders  int           // goroutines that serve one address over UDP; default: one for each processor

	NSID          string         // tells servers apart, to clients that ask (RFC 5001); up to 128 printable characters; default: none
	Chaos         bool           // tell Version and NSID as version.bind and id.server in class CHAOS
	Version       string         // of the software, up to 128 printable characters
	NoCookies     bool           // all servers behind one address must have cookies, or none
	CookieSecrets []CookieSecret // the same for all servers behind one address: the one in use, and the one before or after it; default: one that nobody else has

	Keys            []Key         // by which messages are signed and checked (TSIG), up to 64
	MaxTransfers    int           // of zones, that may run at once; default 8
	TransferTimeout time.Duration // from the first message of a transfer to its last; default 10 min

	RateLimit  int            // replies over UDP per second to one prefix, an IPv4 /24 or IPv6 /56, up to 100000; default 200; negative: no limit
	RateSlip   int            // beyond it, one query of so many gets a truncated reply, 2 to 100, the rest none; default 2; negative: all none
	RateExempt []netip.Prefix // without limit; nil: loopback, private, unique local and link-local addresses

	MaxTCPConns        int           // open at once; beyond it the one idle for longest is closed; default 1024
	MaxTCPConnsPerAddr int           // the same for one client, an IPv4 address or IPv6 /64; default 256
	IdleTimeout        time.Duration // of a TCP connection since its last full message, a quarter of it while three quarters of MaxTCPConns are open; default 10 s
	MessageTimeout     time.Duration // from the first octet of a message over TCP to its last, and for sending; default 5 s
	StopTimeout        time.Duration // that open connections have to finish after Run's context ended; default 2 s

	Logger *slog.Logger // default: discards
}

// Defaults and bounds of Config.
const (
	defaultTTL                = 5 * time.Second
	defaultMaxUDPSize         = 1232
	maxMaxUDPSize             = 1400
	defaultMaxTCPConns        = 1024
	defaultMaxTCPConnsPerAddr = 256
	defaultIdleTimeout        = 10 * time.Second
	defaultMessageTimeout     = 5 * time.Second
	defaultStopTimeout        = 2 * time.Second
	maxIdentity               = 128
	maxSecrets                = 2
)

// problems collects the fields of a Config that are wrong.
type problems []store.FieldError

// require notes rule against a field unless ok.
func (p *problems) require(ok bool, field string, value any, rule string) {
	if !ok {
		*p = append(*p, store.NewFieldError(field, fmt.Sprint(value), rule))
	}
}

// err returns what was collected as a *store.InvalidError, nil if nothing was.
func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return &store.InvalidError{Fields: p}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// withDefaults returns c with its zero fields filled in, but for those of its zones.
func (c Config) withDefaults() Config {
	setDefault(&c.TTL, defaultTTL)
	setDefault(&c.NegativeTTL, defaultTTL)
	setDefault(&c.MaxUDPSize, defaultMaxUDPSize)
	setDefault(&c.UDPReaders, runtime.GOMAXPROCS(0))
	setDefault(&c.RateLimit, defaultRateLimit)
	setDefault(&c.RateSlip, defaultRateSlip)
	if c.RateExempt == nil {
		c.RateExempt = localPrefixes()
	}
	setDefault(&c.MaxTCPConns, defaultMaxTCPConns)
	setDefault(&c.MaxTCPConnsPerAddr, min(defaultMaxTCPConnsPerAddr, c.MaxTCPConns))
	setDefault(&c.IdleTimeout, defaultIdleTimeout)
	setDefault(&c.MessageTimeout, defaultMessageTimeout)
	setDefault(&c.StopTimeout, defaultStopTimeout)
	setDefault(&c.MaxTransfers, defaultMaxTransfers)
	setDefault(&c.TransferTimeout, defaultTransferTimeout)
	setDefault(&c.Logger, slog.New(slog.DiscardHandler))
	return c
}

// complete returns c with every default filled in and names in canonical form, and the addresses to listen on. Its error
// is a *store.InvalidError that lists every field in the wrong, as Config names them.
func (c Config) complete() (Config, []netip.AddrPort, error) {
	c = c.withDefaults()
	var p problems
	c.checkNumbers(&p)
	c.checkIdentity(&p)
	c.checkRate(&p)
	listen := c.parseListen(&p)
	c.completeZones(&p, listen)
	return c, listen, p.err()
}

func (c Config) checkNumbers(p *problems) {
	for _, ttl := range []struct {
		field string
		value time.Duration
	}{{"TTL", c.TTL}, {"NegativeTTL", c.NegativeTTL}} {
		ok := ttl.value >= store.MinTTL && ttl.value <= store.MaxTTL && ttl.value%time.Second == 0
		p.require(ok, ttl.field, ttl.value, "must be whole seconds, 1s to 24h")
	}
	p.require(c.MaxUDPSize >= plainUDPSize && c.MaxUDPSize <= maxMaxUDPSize, "MaxUDPSize", c.MaxUDPSize, "must be 512 to 1400")
	p.require(c.UDPReaders > 0, "UDPReaders", c.UDPReaders, "must be positive")
	p.require(c.MaxTCPConns > 0, "MaxTCPConns", c.MaxTCPConns, "must be positive")
	p.require(c.MaxTCPConnsPerAddr > 0 && c.MaxTCPConnsPerAddr <= c.MaxTCPConns, "MaxTCPConnsPerAddr", c.MaxTCPConnsPerAddr,
		"must be positive and at most MaxTCPConns")
	p.require(c.MaxTransfers > 0, "MaxTransfers", c.MaxTransfers, "must be positive")
	p.require(c.TransferTimeout > 0, "TransferTimeout", c.TransferTimeout, "must be positive")
	p.require(c.IdleTimeout > 0, "IdleTimeout", c.IdleTimeout, "must be positive")
	p.require(c.MessageTimeout > 0, "MessageTimeout", c.MessageTimeout, "must be positive")
	p.require(c.StopTimeout > 0, "StopTimeout", c.StopTimeout, "must be positive")
}

func (c Config) checkIdentity(p *problems) {
	for _, text := range []struct{ field, value string }{{"NSID", c.NSID}, {"Version", c.Version}} {
		p.require(printable(text.value), text.field, text.value, "must be up to 128 printable ASCII characters")
	}
	_, err := newTSIGKeys(c.Keys)
	p.require(err == nil, "Keys", len(c.Keys), fmt.Sprint(err))
	p.require(len(c.CookieSecrets) <= maxSecrets, "CookieSecrets", len(c.CookieSecrets), "must be at most 2")
}

func printable(s string) bool {
	return len(s) <= maxIdentity && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

func (c Config) checkRate(p *problems) {
	p.require(c.RateLimit <= maxRateLimit, "RateLimit", c.RateLimit, "must be at most 100000")
	p.require(c.RateSlip < 0 || c.RateSlip >= minRateSlip && c.RateSlip <= maxRateSlip, "RateSlip", c.RateSlip,
		"must be 2 to 100, or negative for none")
	for i, prefix := range c.RateExempt {
		p.require(prefix.IsValid(), fmt.Sprintf("RateExempt[%d]", i), prefix, "must be a prefix, such as 10.0.0.0/8")
	}
}

func (c Config) parseListen(p *problems) []netip.AddrPort {
	if len(c.Sockets) > 0 {
		return c.parseSockets(p)
	}
	p.require(len(c.Listen) > 0, "Listen", c.Listen, "must have at least one address")
	listen := make([]netip.AddrPort, len(c.Listen))
	for i, address := range c.Listen {
		var err error
		listen[i], err = parseListenAddress(address)
		p.require(err == nil, fmt.Sprintf("Listen[%d]", i), address, "must be an IP address and a port, such as 127.0.0.1:8053, or :8053 for every address")
	}
	return listen
}

// parseListenAddress returns an address to listen on; without a host its IP address is the zero Addr.
func parseListenAddress(s string) (netip.AddrPort, error) {
	if !strings.HasPrefix(s, ":") {
		return netip.ParseAddrPort(s)
	}
	every, err := netip.ParseAddrPort("0.0.0.0" + s)
	return netip.AddrPortFrom(netip.Addr{}, every.Port()), err
}
