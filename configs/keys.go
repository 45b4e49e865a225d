package configs

import (
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// envPrefix begins every environment variable of dnsreg.
const envPrefix = "DNSREG_"

// Key describes one configuration key, as help, documentation and completion show it.
type Key struct {
	Name    string   // its path in the file, "dns.negative_ttl"
	Alias   string   // a second flag, "zone"; empty for most
	Type    string   // "duration", "ip:port,..."
	Usage   string   // what it says, in one line
	Default string   // in text form
	Values  []string // the values that it can have, where they can be listed
}

// Flag returns the key's flag without its dashes: "dns-negative-ttl".
func (k Key) Flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(k.Name) }

// Env returns the key's environment variable: "DNSREG_DNS_NEGATIVE_TTL".
func (k Key) Env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.Name, ".", "_"))
}

// Keys returns every key, in the order in which they are documented.
func Keys() []Key {
	all := fields()
	keys := make([]Key, len(all))
	for i, f := range all {
		keys[i] = f.Key
	}
	return keys
}

// fields returns the table: every key with its kind and its place in a Config.
func fields() []field {
	return slices.Concat(dnsFields(), guardFields(), zoneFields(), storeFields(), accessFields())
}

// dnsFields are where and how is answered.
func dnsFields() []field {
	return []field{
		list("dns.listen", listenKind(), func(c *Config) *[]string { return &c.DNS.Listen },
			"addresses of the DNS server, UDP and TCP"),
		one("dns.ttl", ttlKind(), func(c *Config) *time.Duration { return &c.DNS.TTL },
			"greatest TTL of instance records; a set whose shortest lease is less gets that"),
		one("dns.negative_ttl", ttlKind(), func(c *Config) *time.Duration { return &c.DNS.NegativeTTL },
			"how long resolvers may remember that a name does not exist"),
		one("dns.nsid", identityKind(), func(c *Config) *string { return &c.DNS.NSID },
			"tells servers apart, to clients that ask with NSID; hostname: the machine's name; none: nothing is told"),
		one("dns.chaos", boolKind(), func(c *Config) *bool { return &c.DNS.Chaos },
			"answer version.bind with the version and id.server with dns.nsid, in class CHAOS"),
	}
}

// guardFields are what keeps a DNS server from being overrun, and from being used against others.
func guardFields() []field {
	return []field{
		one("dns.cookies", boolKind(), func(c *Config) *bool { return &c.DNS.Cookies },
			"answer DNS cookies (RFC 7873); the same on all servers behind one address"),
		one("dns.cookie_secrets", pathKind(), func(c *Config) *string { return &c.DNS.CookieSecrets },
			"file of one or two secrets, 32 hex digits a line, the first in use; the same on all servers; none: random"),
		one("dns.rate_limit", rangeKind(1, 100_000), func(c *Config) *int { return &c.DNS.RateLimit },
			"replies over UDP per second to one IPv4 /24 or IPv6 /56; 0: no limit"),
		one("dns.rate_slip", rangeKind(2, 100), func(c *Config) *int { return &c.DNS.RateSlip },
			"beyond dns.rate_limit, one query of so many gets a truncated reply, the rest none; 0: all none"),
		list("dns.rate_exempt", prefixKind(), func(c *Config) *[]netip.Prefix { return &c.DNS.RateExempt },
			"clients without dns.rate_limit"),
		one("dns.tcp_connections", countKind(), func(c *Config) *int { return &c.DNS.TCPConnections },
			"TCP connections that may be open at once, a quarter of them of one IPv4 address or IPv6 /64"),
		one("dns.keys", pathKind(), func(c *Config) *string { return &c.DNS.Keys },
			"file of TSIG keys, a line for each: name, hmac-sha256, hmac-sha384 or hmac-sha512, secret in base64"),
		one("dns.journal", rangeKind(1, 1024), func(c *Config) *int { return &c.DNS.Journal },
			"MiB of changes that are kept for IXFR, of each zone with zone.transfer; 0: none"),
	}
}

// zoneFields are the default zone and those beside it.
func zoneFields() []field {
	return append(ownFields(), list(othersKey, otherKind(), func(c *Config) *[]Zone { return &c.Zone.Others },
		"zones served beside zone.name, each a registry of its own, with keys as in zone"))
}

// ownFields are what a zone says about itself.
func ownFields() []field {
	return []field{
		one(nameKey, zoneKind(), func(c *Config) *string { return &c.Zone.Name },
			"the zone that is served by default").alias("zone"),
		list("zone.nameservers", nameServerKind(), func(c *Config) *[]NameServer { return &c.Zone.NameServers },
			"name servers of the zone; none: ns1 with the addresses that DNS listens on"),
		one("zone.mailbox", mailboxKind(), func(c *Config) *string { return &c.Zone.Mailbox },
			"mail address of whoever runs the zone; none: hostmaster in the zone"),
		list("zone.reverse", reverseKind(), func(c *Config) *[]netip.Prefix { return &c.Zone.Reverse },
			"prefixes whose reverse zones are served, with the host names of instances; /8, /16 or /24, in IPv6 steps of 4"),
		list("zone.transfer", transferRuleKind(), func(c *Config) *[]TransferRule { return &c.Zone.Transfer },
			"who may have the zone as a whole (AXFR, IXFR), by prefix, key of dns.keys or both: 10.0.0.0/8, @key, 10.0.0.0/8@key; none: nobody"),
		list("zone.notify", notifyTargetKind(), func(c *Config) *[]NotifyTarget { return &c.Zone.Notify },
			"secondaries that are told when the zone has changed, messages signed where there is a key of dns.keys"),
		one("zone.strict_names", boolKind(), func(c *Config) *bool { return &c.Zone.StrictNames },
			"refuse service names over 15 letters (RFC 6335) instead of warning"),
	}
}

// storeFields are where leases are kept.
func storeFields() []field {
	return []field{
		one("store.url", storeKind(), func(c *Config) *string { return &c.Store.URL },
			"where leases are kept: memory:, or a Redis as redis://user:password@host:6379/0, rediss:// for TLS").alias("store"),
		one("store.max_instances", countKind(), func(c *Config) *int { return &c.Store.MaxInstances },
			"memory: how many instances may live at once in each zone"),
		one("store.snapshot_file", pathKind(), func(c *Config) *string { return &c.Store.SnapshotFile },
			"memory: file that brings the registry back after a restart; zone.others have one each, with .NAME.zone behind it; none: heartbeats do"),
		one("store.prefix", textKind("text", func(string) error { return nil }), func(c *Config) *string { return &c.Store.Prefix },
			"Redis: what every key begins with"),
		one("store.notify", wordKind(NotifyAuto, NotifyCheck, NotifyOff), func(c *Config) *string { return &c.Store.Notify },
			"Redis: set missing flags of notify-keyspace-events, only check them, or do without and poll"),
		one("store.max_stale", ttlKind(), func(c *Config) *time.Duration { return &c.Store.MaxStale },
			"Redis: how long is answered from memory while it is out of reach; the same on all servers"),
		one("store.tls_ca", pathKind(), func(c *Config) *string { return &c.Store.TLSCA },
			"rediss: PEM file of the certificates that sign Redis'; none: the system's"),
		one("store.tls_cert", pathKind(), func(c *Config) *string { return &c.Store.TLSCert },
			"rediss: PEM file of the certificate to show to Redis"),
		one("store.tls_key", pathKind(), func(c *Config) *string { return &c.Store.TLSKey },
			"rediss: PEM file of that certificate's key"),
	}
}

// accessFields are the HTTP endpoint, who may use it, and the log.
func accessFields() []field {
	return []field{
		list("http.listen", listenKind(), func(c *Config) *[]string { return &c.HTTP.Listen },
			"addresses of the HTTP endpoint"),
		list("http.trusted_proxies", prefixKind(), func(c *Config) *[]netip.Prefix { return &c.HTTP.TrustedProxies },
			"proxies whose X-Forwarded-For is believed"),
		one("auth.mode", wordKind(AuthAuto, AuthToken, AuthNone), func(c *Config) *string { return &c.Auth.Mode },
			"who may use the HTTP endpoint; auto: by tokens if auth.tokens is set, else anybody on loopback who asks for localhost or an IP address"),
		one("auth.tokens", pathKind(), func(c *Config) *string { return &c.Auth.Tokens },
			"file of bearer tokens"),
		one("log.level", levelKind(), func(c *Config) *slog.Level { return &c.Log.Level },
			"least level that is logged"),
		one("log.format", wordKind(LogText, LogJSON), func(c *Config) *string { return &c.Log.Format },
			"form of the log"),
	}
}
