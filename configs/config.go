// Package configs is what can be configured: plain structs, their defaults, and how a configuration is put together
// from a YAML file, environment variables and flags.
//
// One table, see [Keys], holds every key with its type and its place in [Config]; flags, variables, the file, the
// printed form and the reference in docs/configuration.md all follow it. A key "a.b_c" is the flag --a-b-c, then the
// variable DNSREG_A_B_C, then a.b_c in the file, then the default: the first that is there wins. A list is the form
// "one,two" everywhere, and in the file a YAML list too.
//
// Nothing here is read again after [Flags.Load], and nothing here starts anything.
package configs

import (
	"log/slog"
	"net/netip"
	"time"
)

// Config is a whole configuration. The zero value is not useful, see [Default].
type Config struct {
	DNS   DNS
	Zone  Zone
	Store Store
	HTTP  HTTP
	Auth  Auth
	Log   Log
}

// DNS configures the DNS server.
type DNS struct {
	Listen      []string      // ip:port of UDP and TCP, ":port" for every address; port 0 takes a free one
	TTL         time.Duration // greatest TTL of instance records, in whole seconds
	NegativeTTL time.Duration // TTL of "there is no such name", in whole seconds

	NSID  string // tells servers apart; HostName: the machine's name; empty: none
	Chaos bool   // answer version.bind and id.server

	Cookies       bool   // answer cookies, which all servers behind one address must do, or none
	CookieSecrets string // path of the file of secrets, see dnsserver.ParseCookieSecrets; empty: one of this process alone

	RateLimit  int            // replies over UDP per second to one prefix; 0: no limit
	RateSlip   int            // beyond it, one query of so many gets a truncated reply; 0: none does
	RateExempt []netip.Prefix // without limit

	Keys    string // path of the file of TSIG keys, see dnsserver.ParseKeys; empty: none
	Journal int    // MiB of changes that are kept for IXFR, of each zone that may be transferred; 0: none

	TCPConnections int // open at once, a quarter of them of one client
}

// HostName as DNS.NSID is the machine's host name.
const HostName = "hostname"

// Zone configures a zone that is served.
type Zone struct {
	Name        string         // with or without the dot at its end
	NameServers []NameServer   // none: ns1 in the zone, with the addresses that DNS listens on
	Mailbox     string         // of the SOA's RNAME, "hostmaster@example.net"; empty: hostmaster in the zone
	Reverse     []netip.Prefix // whose reverse zones name the zone's hosts, see dnssd.ReverseZone
	Transfer    []TransferRule // who may have the zone as a whole; none: nobody
	Notify      []NotifyTarget // who is told that the zone has changed
	StrictNames bool           // refuse service names over 15 letters (RFC 6335 section 5.1)
	Others      []Zone         // of the default zone: the zones beside it, each a registry of its own, which have no others
}

// NameServer is one name server of a zone.
type NameServer struct {
	Name      string       // "ns1" in the zone, "ns1.example.net." outside of it
	Addresses []netip.Addr // of a server in the zone; none for one outside
}

// Store configures where leases are kept.
type Store struct {
	URL string // "memory:", or of a Redis: see redisstore.Config

	// Of a store in memory.
	MaxInstances int    // live instances at most
	SnapshotFile string // path of the file that outlives the process; empty: none

	// Of a Redis.
	Prefix   string        // of every key
	Notify   string        // NotifyAuto, NotifyCheck or NotifyOff
	MaxStale time.Duration // how long is answered without Redis, in whole seconds
	TLSCA    string        // path of the certificates that sign Redis'; empty: the system's
	TLSCert  string        // path of the client's certificate; empty: none
	TLSKey   string        // path of its key
}

// The values of Store.Notify.
const (
	NotifyAuto  = "auto"  // flags that the bell needs are added to Redis' notify-keyspace-events
	NotifyCheck = "check" // missing ones are reported
	NotifyOff   = "off"   // changes are seen by polling alone
)

// HTTP configures the HTTP endpoint.
type HTTP struct {
	Listen         []string       // as for DNS
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed
}

// The values of Auth.Mode.
const (
	AuthAuto  = "auto"  // by tokens if there is a token file, else open, which only a loopback address may be
	AuthToken = "token" // by tokens
	AuthNone  = "none"  // open, on whatever address
)

// Auth configures who may use the HTTP endpoint.
type Auth struct {
	Mode   string // AuthAuto, AuthToken or AuthNone
	Tokens string // path of the token file
}

// The values of Log.Format.
const (
	LogText = "text"
	LogJSON = "json"
)

// Log configures what is written to standard error.
type Log struct {
	Level  slog.Level
	Format string // LogText or LogJSON
}

// Default returns the configuration of a server that was told nothing: one machine, nothing beyond loopback.
func Default() Config {
	return Config{
		DNS:  defaultDNS(),
		Zone: Zone{Name: "svc.internal"},
		Store: Store{
			URL: memoryURL, MaxInstances: 1_000_000,
			Prefix: "dnsreg", Notify: NotifyAuto, MaxStale: 10 * time.Minute,
		},
		HTTP: HTTP{Listen: []string{"127.0.0.1:8054"}},
		Auth: Auth{Mode: AuthAuto},
		Log:  Log{Level: slog.LevelInfo, Format: LogText},
	}
}

func defaultDNS() DNS {
	return DNS{
		Listen: []string{"127.0.0.1:8053"}, TTL: 5 * time.Second, NegativeTTL: 5 * time.Second,
		Cookies: true, RateLimit: 200, RateSlip: 2, RateExempt: localPrefixes(), TCPConnections: 1024, Journal: 16,
	}
}

// localPrefixes is loopback, private, unique local and link-local addresses: one resolver there speaks for thousands.
func localPrefixes() []netip.Prefix {
	var prefixes []netip.Prefix
	for _, s := range []string{
		"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10",
	} {
		prefixes = append(prefixes, netip.MustParsePrefix(s))
	}
	return prefixes
}
