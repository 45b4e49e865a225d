package configs

import (
	"log/slog"
	"net/netip"
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
	return []field{
		list("dns.listen", listenKind(), func(c *Config) *[]string { return &c.DNS.Listen },
			"addresses of the DNS server, UDP and TCP"),
		one("dns.ttl", ttlKind(), func(c *Config) *time.Duration { return &c.DNS.TTL },
			"greatest TTL of instance records; a set whose shortest lease is less gets that"),
		one("dns.negative_ttl", ttlKind(), func(c *Config) *time.Duration { return &c.DNS.NegativeTTL },
			"how long resolvers may remember that a name does not exist"),
		one("zone.name", zoneKind(), func(c *Config) *string { return &c.Zone.Name },
			"the zone that is served").alias("zone"),
		list("zone.nameservers", nameServerKind(), func(c *Config) *[]NameServer { return &c.Zone.NameServers },
			"name servers of the zone; none: ns1 with the addresses that DNS listens on"),
		one("zone.mailbox", mailboxKind(), func(c *Config) *string { return &c.Zone.Mailbox },
			"mail address of whoever runs the zone; none: hostmaster in the zone"),
		one("zone.strict_names", boolKind(), func(c *Config) *bool { return &c.Zone.StrictNames },
			"refuse service names over 15 letters (RFC 6335) instead of warning"),
		one("store.url", storeKind(), func(c *Config) *string { return &c.Store.URL },
			"where leases are kept").alias("store"),
		one("store.max_instances", countKind(), func(c *Config) *int { return &c.Store.MaxInstances },
			"how many instances may live at once"),
		list("http.listen", listenKind(), func(c *Config) *[]string { return &c.HTTP.Listen },
			"addresses of the HTTP endpoint"),
		list("http.trusted_proxies", prefixKind(), func(c *Config) *[]netip.Prefix { return &c.HTTP.TrustedProxies },
			"proxies whose X-Forwarded-For is believed"),
		one("auth.mode", wordKind(AuthAuto, AuthToken, AuthNone), func(c *Config) *string { return &c.Auth.Mode },
			"who may use the HTTP endpoint; auto: by tokens if auth.tokens is set, else anybody on loopback"),
		one("auth.tokens", pathKind(), func(c *Config) *string { return &c.Auth.Tokens },
			"file of bearer tokens"),
		one("log.level", levelKind(), func(c *Config) *slog.Level { return &c.Log.Level },
			"least level that is logged"),
		one("log.format", wordKind(LogText, LogJSON), func(c *Config) *string { return &c.Log.Format },
			"form of the log"),
	}
}
