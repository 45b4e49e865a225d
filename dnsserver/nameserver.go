package dnsserver

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// NameServer is one name server of a zone.
type NameServer struct {
	Name      string       // in presentation form; in the zone it is one label below it, such as "ns1.svc.internal."
	Addresses []netip.Addr // of a name in the zone, at least one; none for a name outside of it
}

func (z *Zone) completeNameServers(p *problems, prefix string, listen []netip.AddrPort) {
	if len(z.NameServers) == 0 {
		z.NameServers = []NameServer{{Name: "ns1." + z.Name, Addresses: specific(listen)}}
		return
	}
	z.NameServers = slices.Clone(z.NameServers)
	seen := make(map[string]bool)
	for i := range z.NameServers {
		server := &z.NameServers[i]
		field := fmt.Sprintf("%sNameServers[%d]", prefix, i)
		server.check(p, field, z.Name)
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
