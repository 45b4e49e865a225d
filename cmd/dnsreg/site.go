package main

import (
	"log/slog"
	"slices"
	"strings"

	"github.com/dnsreg/dnsreg/configs"
	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/heartbeat/endpoint"
	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/internal/metrics"
	"github.com/dnsreg/dnsreg/store"
)

// site is one zone of a daemon with its registry.
type site struct {
	name  string // canonical
	cfg   configs.Zone
	rules store.Rules
	store *registry
}

// newSites returns the zones of a configuration that is valid, the default one first.
func newSites(cfg configs.Config, log *slog.Logger) ([]*site, error) {
	zones := cfg.Zones()
	names := make([]string, len(zones))
	for i, z := range zones {
		var err error
		if names[i], err = dnssd.ParseZone(z.Name); err != nil {
			return nil, err
		}
	}
	sites := make([]*site, len(zones))
	for i, z := range zones {
		s := &site{name: names[i], cfg: z}
		s.rules = store.Rules{Zone: s.name, Hosts: append(hostsOf(s.name, z.NameServers), delegated(s.name, names)...), Strict: z.StrictNames}
		own, logger := cfg.Store, log
		if i > 0 {
			own = ofOther(cfg.Store, s.name)
		}
		if len(zones) > 1 {
			logger = log.With("zone", s.name)
		}
		var err error
		if s.store, err = newRegistry(own, s.rules, logger); err != nil {
			return nil, err
		}
		sites[i] = s
	}
	return sites, nil
}

// ofOther returns the configuration of the store of a zone beside the default one, which keeps a file of its own. What a
// store writes beside its file ends otherwise, whatever the zone's name.
func ofOther(cfg configs.Store, zone string) configs.Store {
	if cfg.SnapshotFile != "" {
		cfg.SnapshotFile += "." + zone + "zone"
	}
	return cfg
}

// delegated returns the labels next to a zone in the names of the zones that lie within it: a service that is called so
// would have its names there.
func delegated(zone string, zones []string) []string {
	var labels []string
	for _, other := range zones {
		if above, ok := strings.CutSuffix(other, "."+zone); ok {
			labels = append(labels, above[strings.LastIndexByte(above, '.')+1:])
		}
	}
	slices.Sort(labels)
	return slices.Compact(labels)
}

// dns is what the DNS server needs to know of the zone.
func (s *site) dns() dnsserver.Zone {
	z := dnsserver.Zone{Name: s.name, Source: s.store, Mailbox: s.cfg.Mailbox, Reverse: s.cfg.Reverse}
	for _, ns := range s.cfg.NameServers {
		z.NameServers = append(z.NameServers, dnsserver.NameServer{Name: ns.FullName(s.name), Addresses: ns.Addresses})
	}
	for _, rule := range s.cfg.Transfer {
		z.Transfer.Allow = append(z.Transfer.Allow, dnsserver.TransferRule{Prefix: rule.Prefix, Key: rule.Key})
	}
	for _, target := range s.cfg.Notify {
		z.Transfer.Notify = append(z.Transfer.Notify, dnsserver.NotifyTarget{Addr: target.Addr, Key: target.Key})
	}
	return z
}

// http is what the HTTP endpoint needs to know of the zone.
func (s *site) http() endpoint.Zone {
	return endpoint.Zone{Store: s.store, Rules: s.rules, State: s.store.state}
}

// figures returns the zone's part of /metrics.
func (s *site) figures() metrics.Store {
	figures := s.store.figures()
	figures.Zone = s.name
	return figures
}
