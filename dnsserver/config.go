package dnsserver

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// NameServer is one name server of the zone.
type NameServer struct {
	Name      string       // in presentation form; in the zone it is one label below it, such as "ns1.svc.internal."
	Addresses []netip.Addr // of a name in the zone, at least one; none for a name outside of it
}

// Config is what a Server needs to know. A zero field takes its default.
type Config struct {
	Zone   string   // in presentation form; required
	Source Source   // required
	Listen []string // "127.0.0.1:8053", "[::1]:53" or, for every address, ":53"; UDP and TCP each; port 0 is any free one

	NameServers []NameServer  // default: ns1 in the zone, with the addresses of Listen or else 127.0.0.1
	Mailbox     string        // of who runs the zone: "a@b.example" or "a.b.example."; default: hostmaster in the zone
	TTL         time.Duration // the greatest of registered records, 1 s to 24 h; default 5 s
	NegativeTTL time.Duration // how long caches may hold that something does not exist, 1 s to 24 h; default 5 s
	MaxUDPSize  int           // octets of a reply over UDP, 512 to 1400; default 1232 (RFC 9715)
	UDPReaders  int           // goroutines that serve one address over UDP; default: one for each processor

	MaxTCPConns        int           // open at once; beyond it the one idle for longest is closed; default 1024
	MaxTCPConnsPerAddr int           // the same for one client address; default 256
	IdleTimeout        time.Duration // of a TCP connection since its last full message; default 10 s
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

// withDefaults returns c with its zero fields filled in, but for those that depend on the zone.
func (c Config) withDefaults() Config {
	setDefault(&c.TTL, defaultTTL)
	setDefault(&c.NegativeTTL, defaultTTL)
	setDefault(&c.MaxUDPSize, defaultMaxUDPSize)
	setDefault(&c.UDPReaders, runtime.GOMAXPROCS(0))
	setDefault(&c.MaxTCPConns, defaultMaxTCPConns)
	setDefault(&c.MaxTCPConnsPerAddr, min(defaultMaxTCPConnsPerAddr, c.MaxTCPConns))
	setDefault(&c.IdleTimeout, defaultIdleTimeout)
	setDefault(&c.MessageTimeout, defaultMessageTimeout)
	setDefault(&c.StopTimeout, defaultStopTimeout)
	setDefault(&c.Logger, slog.New(slog.DiscardHandler))
	return c
}

// complete returns c with every default filled in and names in canonical form, and the addresses to listen on. Its error
// is a *store.InvalidError that lists every field in the wrong, as Config names them.
func (c Config) complete() (Config, []netip.AddrPort, error) {
	c = c.withDefaults()
	var p problems
	p.require(c.Source != nil, "Source", c.Source, "must be set")
	c.checkNumbers(&p)
	listen := c.parseListen(&p)
	zone, err := dnssd.ParseZone(c.Zone)
	if err != nil {
		p.require(false, "Zone", c.Zone, err.Error())
	}
	c.Zone = zone
	c.completeMailbox(&p)
	c.completeNameServers(&p, listen)
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
	p.require(c.IdleTimeout > 0, "IdleTimeout", c.IdleTimeout, "must be positive")
	p.require(c.MessageTimeout > 0, "MessageTimeout", c.MessageTimeout, "must be positive")
	p.require(c.StopTimeout > 0, "StopTimeout", c.StopTimeout, "must be positive")
}

func (c Config) parseListen(p *problems) []netip.AddrPort {
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

// completeMailbox brings Mailbox into the form of a name (RFC 1035 section 8).
func (c *Config) completeMailbox(p *problems) {
	if c.Mailbox == "" {
		c.Mailbox = "hostmaster." + c.Zone
		return
	}
	name, err := absolute(c.Mailbox)
	if local, domain, ok := strings.Cut(c.Mailbox, "@"); ok {
		name, err = absolute(domain)
		name = dnssd.Escape(local) + "." + name
	}
	if err == nil {
		name, err = absolute(name)
	}
	p.require(err == nil, "Mailbox", c.Mailbox, "must be a mail address or the name that stands for one")
	c.Mailbox = name
}

var errRoot = errors.New("the root is no host name")

// absolute returns a name in one form: with a dot at its end, its ASCII capitals folded, and no more escaped than it has
// to be.
func absolute(name string) (string, error) {
	labels, err := dnssd.Split(name)
	if err != nil {
		return "", err
	}
	if len(labels) == 0 {
		return "", errRoot
	}
	var b strings.Builder
	for _, label := range labels {
		b.WriteString(dnssd.Escape(dnssd.Fold(label)) + ".")
	}
	return b.String(), nil
}

func (c *Config) completeNameServers(p *problems, listen []netip.AddrPort) {
	if len(c.NameServers) == 0 {
		c.NameServers = []NameServer{{Name: "ns1." + c.Zone, Addresses: specific(listen)}}
		return
	}
	c.NameServers = slices.Clone(c.NameServers)
	seen := make(map[string]bool)
	for i := range c.NameServers {
		server := &c.NameServers[i]
		field := fmt.Sprintf("NameServers[%d]", i)
		server.check(p, field, c.Zone)
		p.require(!seen[server.Name], field+".Name", server.Name, "must not be named twice")
		seen[server.Name] = true
	}
}

// specific returns the addresses to listen on that clients can be told of, else the loopback address.
func specific(listen []netip.AddrPort) []netip.Addr {
	var addresses []netip.Addr
	for _, l := range listen {
		if a := l.Addr(); a.IsValid() && !a.IsUnspecified() {
			addresses = append(addresses, a)
		}
	}
	if len(addresses) == 0 {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	return distinct(addresses)
}

// distinct returns addresses in order, IPv4 ones in their own form, without duplicates.
func distinct(addresses []netip.Addr) []netip.Addr {
	out := make([]netip.Addr, len(addresses))
	for i, a := range addresses {
		out[i] = a.Unmap().WithZone("")
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// check brings a name server into canonical form and checks it. The zone is empty if it is itself in the wrong.
func (n *NameServer) check(p *problems, field, zone string) {
	name, err := absolute(n.Name)
	if err == nil {
		err = checkHostName(name)
	}
	p.require(err == nil, field+".Name", n.Name, "must be a host name")
	n.Name, n.Addresses = name, distinct(n.Addresses)
	for _, a := range n.Addresses {
		p.require(a.IsValid() && !a.IsUnspecified() && !a.IsMulticast(), field+".Addresses", a, "must be unicast addresses")
	}
	if err == nil && zone != "" {
		n.checkPlace(p, field, zone)
	}
}

// checkPlace checks what depends on whether the name is in the zone: the server can answer its addresses only there.
func (n *NameServer) checkPlace(p *problems, field, zone string) {
	if !dnssd.InZone(zone, n.Name) {
		p.require(len(n.Addresses) == 0, field+".Addresses", n.Addresses, "must be empty for a name outside the zone")
		return
	}
	label := strings.TrimSuffix(strings.TrimSuffix(n.Name, zone), ".")
	p.require(label != "" && !strings.Contains(label, "."), field+".Name", n.Name, "must be one label below the zone, or outside of it")
	p.require(len(n.Addresses) > 0, field+".Addresses", n.Addresses, "must have at least one address")
}

func checkHostName(name string) error {
	labels, err := dnssd.Split(name)
	for _, label := range labels {
		err = errors.Join(err, dnssd.CheckHostLabel(label))
	}
	return err
}
