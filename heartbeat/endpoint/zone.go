package endpoint

import (
	"fmt"
	"net/http"

	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// Zone is one zone that a [Server] registers in.
type Zone struct {
	Store Store
	Rules store.Rules // the store's own: its Zone is in paths and in the DNS names of replies
	// State is what /readyz says of the store's parts, such as {"bell": "up"}; nil: nothing. Must be safe for concurrent
	// use and not wait.
	State func() map[string]string
}

// state returns the state of the store's parts, nil where it has none.
func (z Zone) state() map[string]string {
	if z.State == nil {
		return nil
	}
	return z.State()
}

// zone is what the calls on one zone are made on.
type zone struct {
	*Server
	Zone
}

// zoneCall is a call on a zone.
type zoneCall func(z *zone, w http.ResponseWriter, r *http.Request) error

// defaultZone returns the zone of the paths that name none.
func (s *Server) defaultZone(*http.Request) (*zone, error) { return s.zones[0], nil }

// zoneOf returns the zone that a path names, with or without the dot at its end, in whatever case.
func (s *Server) zoneOf(r *http.Request) (*zone, error) {
	name := r.PathValue("zone")
	canonical, err := dnssd.ParseZone(name)
	if err == nil {
		for _, z := range s.zones {
			if z.Rules.Zone == canonical {
				return z, nil
			}
		}
	}
	return nil, fmt.Errorf("zone %q: %w", name, errNoZone)
}

// checkZones checks what New needs to know of each zone.
func (c *Config) checkZones(require func(ok bool, field string, value any, rule string)) {
	require(len(c.Zones) > 0, "zones", "", "must have at least one")
	seen := make(map[string]bool)
	for i, z := range c.Zones {
		field := fmt.Sprintf("zones[%d]", i)
		require(z.Store != nil, field+".store", "", "must be set")
		name, err := dnssd.ParseZone(z.Rules.Zone)
		require(err == nil && name == z.Rules.Zone, field+".name", z.Rules.Zone, "must be a zone in canonical form")
		require(!seen[name], field+".name", z.Rules.Zone, "must not be named twice")
		seen[name] = true
	}
}
