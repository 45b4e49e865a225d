package dnsserver

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// MaxZones is how many zones one server answers for at most.
const MaxZones = 64

// MaxReverse is how many reverse zones one zone has at most.
const MaxReverse = 64

// Zone is what a Server needs to know of one zone. A zero field takes its default.
type Zone struct {
	Name        string       // in presentation form; required
	Source      Source       // required
	NameServers []NameServer // default: ns1 in the zone, with the addresses of Config.Listen or else 127.0.0.1
	Transfer    Transfer     // who may have the zone as a whole; default: nobody
	Mailbox     string       // of who runs the zone: "a@b.example" or "a.b.example."; default: hostmaster in the zone

	// Reverse is up to MaxReverse prefixes, see dnssd.ReverseZone. Their reverse zones are served too, with the host names
	// of the zone's instances, by the same name servers.
	Reverse []netip.Prefix
}

func (c *Config) completeZones(p *problems, listen []netip.AddrPort) {
	p.require(len(c.Zones) > 0 && len(c.Zones) <= MaxZones, "Zones", len(c.Zones), fmt.Sprintf("must be 1 to %d", MaxZones))
	c.Zones = slices.Clone(c.Zones)
	keys, _ := newTSIGKeys(c.Keys) // whose errors are reported as those of Keys
	seen := make(map[string]bool)
	for i := range c.Zones {
		z, prefix := &c.Zones[i], fmt.Sprintf("Zones[%d].", i)
		z.complete(p, prefix, keys, listen)
		p.require(!seen[z.Name], prefix+"Name", z.Name, "must not be named twice")
		seen[z.Name] = z.Name != ""
		z.completeReverse(p, prefix, seen)
	}
	for i, z := range c.Zones {
		among := func(other Zone) bool { return other.Name != "" && dnssd.InServices(other.Name, z.Name) }
		p.require(!slices.ContainsFunc(c.Zones, among), fmt.Sprintf("Zones[%d].Name", i), z.Name, "must not take the services out of another zone")
	}
}

// completeReverse checks the prefixes, and adds the names of their zones to those seen.
func (z *Zone) completeReverse(p *problems, prefix string, seen map[string]bool) {
	p.require(len(z.Reverse) <= MaxReverse, prefix+"Reverse", len(z.Reverse), fmt.Sprintf("must be at most %d", MaxReverse))
	z.Reverse = slices.Clone(z.Reverse)
	for i := range z.Reverse {
		field := fmt.Sprintf("%sReverse[%d]", prefix, i)
		name, err := dnssd.ReverseZone(z.Reverse[i])
		if err != nil {
			p.require(false, field, z.Reverse[i], err.Error())
			continue
		}
		p.require(!seen[name], field, z.Reverse[i], "must not be named twice, nor by two zones")
		seen[name] = true
		z.Reverse[i] = z.Reverse[i].Masked()
	}
}

// complete fills in defaults and brings names into canonical form. Fields in the wrong are named with prefix.
func (z *Zone) complete(p *problems, prefix string, keys tsigKeys, listen []netip.AddrPort) {
	p.require(z.Source != nil, prefix+"Source", z.Source, "must be set")
	name, err := dnssd.ParseZone(z.Name)
	if err != nil {
		p.require(false, prefix+"Name", z.Name, err.Error())
	}
	z.Name = name
	z.completeMailbox(p, prefix)
	z.completeNameServers(p, prefix, listen)
	z.Transfer.complete(p, prefix+"Transfer.", keys)
}

// completeMailbox brings Mailbox into the form of a name (RFC 1035 section 8).
func (z *Zone) completeMailbox(p *problems, prefix string) {
	if z.Mailbox == "" {
		z.Mailbox = "hostmaster." + z.Name
		return
	}
	name, err := absolute(z.Mailbox)
	if local, domain, ok := strings.Cut(z.Mailbox, "@"); ok {
		name, err = absolute(domain)
		name = dnssd.Escape(local) + "." + name
	}
	if err == nil {
		name, err = absolute(name)
	}
	p.require(err == nil, prefix+"Mailbox", z.Mailbox, "must be a mail address or the name that stands for one")
	z.Mailbox = name
}
