package configs

import (
	"net/netip"
	"strings"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// Validate checks a configuration, however it was made. Its error is an [*Error] that lists every key in the wrong.
func (c Config) Validate() error {
	var wrong problems
	for _, f := range fields() {
		scratch := c
		wrong.report(f.Name, "", f.set(&scratch, f.text(&c)))
	}
	return append(wrong, c.crossCheck(func(string) string { return "" })...).err()
}

// crossCheck checks the rules that concern more than one value; source says where a key's value comes from.
func (c Config) crossCheck(source func(key string) string) problems {
	var p problems
	require := func(ok bool, key, value, rule string) {
		if !ok {
			base, _, _ := strings.Cut(key, "[")
			p.report(key, source(base), []fault{{value: value, rule: rule}})
		}
	}
	require(len(c.DNS.Listen) > 0, "dns.listen", "", "must have at least one address")
	require(len(c.HTTP.Listen) > 0, "http.listen", "", "must have at least one address")
	require(c.Auth.Mode != AuthToken || c.Auth.Tokens != "", "auth.tokens", "", "must name a file where auth.mode is token")
	require(c.Auth.Mode != AuthNone || c.Auth.Tokens == "", "auth.tokens", c.Auth.Tokens, "must be empty where auth.mode is none")
	for _, address := range c.HTTP.Listen {
		ok := c.Auth.Mode != AuthAuto || c.Auth.Tokens != "" || isLoopback(address)
		require(ok, "http.listen", address, "must be a loopback address unless auth.tokens is set or auth.mode is none")
	}
	c.checkZones(require)
	c.Store.check(require)
	return p
}

// check checks that what is set belongs to the store that the URL names.
func (s Store) check(require func(ok bool, key, value, rule string)) {
	require(s.SnapshotFile == "" || s.Memory(), "store.snapshot_file", s.SnapshotFile, "must be empty unless store.url is memory:")
	const unless = "must be empty unless store.url begins with rediss://"
	require(s.TLSCA == "" || s.TLS(), "store.tls_ca", s.TLSCA, unless)
	require(s.TLSCert == "" || s.TLS(), "store.tls_cert", s.TLSCert, unless)
	require(s.TLSKey == "" || s.TLS(), "store.tls_key", s.TLSKey, unless)
	require(s.TLSCert == "" || s.TLSKey != "", "store.tls_key", "", "must go with store.tls_cert")
	require(s.TLSKey == "" || s.TLSCert != "", "store.tls_cert", "", "must go with store.tls_key")
}

// checkNameServers checks that each name server can be found: addresses are ours to give exactly for those in the zone.
func (z Zone) checkNameServers(key, zone string, require func(ok bool, key, value, rule string)) {
	key += ".nameservers"
	seen := make(map[string]bool)
	for _, ns := range z.NameServers {
		name := ns.FullName(zone)
		inside := dnssd.InZone(zone, name)
		text := formatNameServer(ns)
		require(!inside || isLabelBelow(name, zone), key, text, "must be one label below the zone, or outside of it")
		require(!inside || len(ns.Addresses) > 0, key, text, "must have addresses, being in the zone")
		require(inside || len(ns.Addresses) == 0, key, text, "must have no addresses, being outside of the zone")
		require(!seen[name], key, text, "must not name a server twice")
		seen[name] = true
	}
}

// isLabelBelow reports whether name is one label in front of zone.
func isLabelBelow(name, zone string) bool {
	label, found := strings.CutSuffix(name, "."+zone)
	return found && !strings.Contains(label, ".")
}

// FullName returns the server's name with the dot at its end, in small letters; zone is canonical.
func (ns NameServer) FullName(zone string) string {
	name := dnssd.Fold(ns.Name)
	if dnssd.IsExternal(name) {
		return name
	}
	return name + "." + zone
}

// isLoopback reports whether only this machine can reach an address that passed listenKind.
func isLoopback(address string) bool {
	a, err := netip.ParseAddrPort(address)
	return err == nil && a.Addr().Unmap().IsLoopback()
}
