package main

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/dnsreg/dnsreg/configs"
	"github.com/dnsreg/dnsreg/dnsserver"
)

// hostsOf returns the host labels that the name servers take in the zone, ns1 where none is configured.
func hostsOf(zone string, servers []configs.NameServer) []string {
	if len(servers) == 0 {
		return []string{"ns1"}
	}
	var hosts []string
	for _, ns := range servers {
		if label, ok := strings.CutSuffix(ns.FullName(zone), "."+zone); ok {
			hosts = append(hosts, label)
		}
	}
	return hosts
}

// newDNS returns the DNS server of a configuration, whose numbers have 0 for none where dnsserver has -1.
func (d *daemon) newDNS(cfg configs.Config, bound []dnsserver.Sockets) (*dnsserver.Server, error) {
	secrets, err := readSecrets(cfg.DNS.CookieSecrets)
	if err != nil {
		return nil, err
	}
	nsid, err := identity(cfg.DNS.NSID)
	if err != nil {
		return nil, err
	}
	keys, err := readKeys(cfg.DNS.Keys)
	if err != nil {
		return nil, err
	}
	if err := checkKeys(cfg, keys); err != nil {
		return nil, err
	}
	zones := each(d.sites, (*site).dns)
	for i := range zones {
		zones[i].Transfer.JournalSize = orNone(cfg.DNS.Journal << 20)
	}
	listen := cfg.DNS.Listen
	if len(bound) > 0 {
		listen = nil
	}
	return dnsserver.New(dnsserver.Config{
		Zones:       zones,
		Listen:      listen,
		Sockets:     bound,
		TTL:         cfg.DNS.TTL,
		NegativeTTL: cfg.DNS.NegativeTTL,

		NSID:          nsid,
		Chaos:         cfg.DNS.Chaos,
		Version:       "dnsreg " + buildVersion(),
		NoCookies:     !cfg.DNS.Cookies,
		CookieSecrets: secrets,
		Keys:          keys,
		RateLimit:     orNone(cfg.DNS.RateLimit),
		RateSlip:      orNone(cfg.DNS.RateSlip),
		RateExempt:    append([]netip.Prefix{}, cfg.DNS.RateExempt...),

		MaxTCPConns:        cfg.DNS.TCPConnections,
		MaxTCPConnsPerAddr: max(cfg.DNS.TCPConnections/4, 1),
		Logger:             d.log,
	})
}

// orNone turns the 0 that means none into what does for dnsserver.
func orNone(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

// identity returns what dns.nsid stands for.
func identity(nsid string) (string, error) {
	if nsid != configs.HostName {
		return nsid, nil
	}
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("dns.nsid: host name: %w", err)
	}
	return name, nil
}

// readSecrets reads the file of cookie secrets at path; no path, no secrets.
func readSecrets(path string) ([]dnsserver.CookieSecret, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fileErrorf("dns.cookie_secrets: %w", err)
	}
	defer func() { _ = f.Close() }() // only read from
	secrets, err := dnsserver.ParseCookieSecrets(f)
	if err != nil {
		return nil, fileErrorf("dns.cookie_secrets %q: %w", path, err)
	}
	return secrets, nil
}

// readKeys reads the file of TSIG keys at path; no path, no keys.
func readKeys(path string) ([]dnsserver.Key, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fileErrorf("dns.keys: %w", err)
	}
	defer func() { _ = f.Close() }() // only read from
	keys, err := dnsserver.ParseKeys(f)
	if err != nil {
		return nil, fileErrorf("dns.keys %q: %w", path, err)
	}
	return keys, nil
}

// checkKeys checks that the keys that zones name are there.
func checkKeys(cfg configs.Config, keys []dnsserver.Key) error {
	wrong := new(configs.Error)
	check := func(key, value, name string) {
		known := func(k dnsserver.Key) bool { return dnsserver.SameName(k.Name, name) }
		if name != "" && !slices.ContainsFunc(keys, known) {
			wrong.Problems = append(wrong.Problems, configs.Problem{Key: key, Value: value, Rule: "must name a key in the file of dns.keys"})
		}
	}
	for i, z := range cfg.Zones() {
		for _, rule := range z.Transfer {
			check(configs.ZoneKey(i)+".transfer", rule.String(), rule.Key)
		}
		for _, target := range z.Notify {
			check(configs.ZoneKey(i)+".notify", target.String(), target.Key)
		}
	}
	if len(wrong.Problems) > 0 {
		return wrong
	}
	return nil
}
