package store

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// Rules are the rules of one zone for what may be registered in it.
type Rules struct {
	Zone   string   // canonical, see dnssd.ParseZone
	Hosts  []string // host labels of the zone itself, "ns1": no service may be called so
	Strict bool     // refuse service names over 15 octets (RFC 6335 section 5.1) instead of advising against them
}

// Normalize completes instance and checks it: the host derived from the id where there is none, host in small letters,
// addresses unmapped, sorted and without duplicates, subtypes likewise, a TTL of 0 replaced by [DefaultTTL]. It returns
// the instance to store and advice for the caller, or an [*InvalidError] that lists every field in the wrong. The
// argument's slices are not changed and not kept.
func (r Rules) Normalize(service Service, instance Instance) (Instance, []string, error) {
	in := complete(instance)
	var p problems
	r.checkService(&p, service)
	p.check("id", in.ID, dnssd.CheckInstance(in.ID))
	r.checkHost(&p, in)
	p.require(in.Port > 0, "port", in.Port, "must be 1 to 65535")
	checkTXT(&p, in.TXT)
	checkSubtypes(&p, in.Subtypes)
	checkTTL(&p, in.TTL)
	if len(p) == 0 {
		err := dnssd.CheckLengths(r.Zone, string(service), in.ID, in.Host, in.Subtypes)
		p.check("id", in.ID, err)
	}
	if err := p.err(); err != nil {
		return Instance{}, nil, err
	}
	return in, r.advise(service, in), nil
}

// complete returns the instance with defaults filled in and its sets in order.
func complete(in Instance) Instance {
	if in.TTL == 0 {
		in.TTL = DefaultTTL
	}
	if in.Host == "" && in.ID != "" {
		in.Host = dnssd.HostLabel(in.ID)
	}
	in.Host = dnssd.Fold(in.Host)
	addresses := make([]netip.Addr, len(in.Addresses))
	for i, a := range in.Addresses {
		addresses[i] = a.Unmap()
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	in.Addresses = slices.Compact(addresses)
	in.TXT = slices.Clone(in.TXT)
	in.Subtypes = slices.Clone(in.Subtypes)
	slices.SortFunc(in.Subtypes, compareFolded)
	in.Subtypes = slices.CompactFunc(in.Subtypes, equalFolded)
	return in
}

func compareFolded(a, b string) int { return strings.Compare(dnssd.Fold(a), dnssd.Fold(b)) }

func equalFolded(a, b string) bool { return dnssd.Fold(a) == dnssd.Fold(b) }

// CheckName checks the name of an instance that need not exist: a service in canonical form and an id. Its error is an
// [*InvalidError] with the fields "service" and "id".
func CheckName(service Service, id string) error {
	var p problems
	p.canonical(service)
	p.check("id", id, dnssd.CheckInstance(id))
	return p.err()
}

// canonical notes a service that is not in canonical form, which is returned.
func (p *problems) canonical(service Service) (string, error) {
	canonical, err := dnssd.ParseService(string(service))
	p.check("service", string(service), err)
	p.require(err != nil || canonical == string(service), "service", service, "must be in canonical form, "+canonical)
	return canonical, err
}

func (r Rules) checkService(p *problems, service Service) {
	canonical, err := p.canonical(service)
	if err != nil {
		return
	}
	name, _ := dnssd.CutService(canonical)
	p.require(!slices.Contains(r.Hosts, name), "service", service, "must not be the name of a host of the zone itself")
	if r.Strict {
		p.require(len(name) <= dnssd.PortableServiceName, "service", service, longServiceName)
	}
}

const longServiceName = "must be at most 15 letters (RFC 6335 section 5.1)"

// checkHost checks host and addresses together: an in-zone host needs addresses, an external one has none here.
func (r Rules) checkHost(p *problems, in Instance) {
	p.check("host", in.Host, hostError(r.Zone, in))
	external := dnssd.IsExternal(in.Host)
	p.require(!external || len(in.Addresses) == 0, "addresses", in.Addresses, "must be empty for an external host")
	p.require(external || len(in.Addresses) > 0, "addresses", in.Addresses, "must have at least one address")
	p.atMost(MaxAddresses, len(in.Addresses), "addresses", "")
	for i, a := range in.Addresses {
		if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" {
			p.require(false, fmt.Sprintf("addresses[%d]", i), a, "must be a unicast address without a zone index")
		}
	}
}

// hostError leaves a host alone that is derived from the id: it is wrong only where the id is, and says nothing more.
func hostError(zone string, in Instance) error {
	if in.Host == "" || in.Host == dnssd.HostLabel(in.ID) {
		return nil
	}
	return dnssd.CheckHost(zone, in.Host)
}

func checkTXT(p *problems, txt []string) {
	p.atMost(dnssd.MaxTXTStrings, len(txt), "txt", "strings")
	if size := dnssd.TXTSize(txt); size > dnssd.MaxTXT {
		p.require(false, "txt", fmt.Sprintf("%d octets", size), fmt.Sprintf("must be at most %d octets in all", dnssd.MaxTXT))
	}
	p.each("txt", txt, dnssd.CheckTXTString)
	twice, err := dnssd.CheckTXTKeys(txt)
	p.check("txt", twice, err)
}

func checkSubtypes(p *problems, subtypes []string) {
	p.atMost(MaxSubtypes, len(subtypes), "subtypes", "")
	p.each("subtypes", subtypes, dnssd.CheckSubtype)
}

func checkTTL(p *problems, ttl time.Duration) {
	p.require(ttl >= MinTTL && ttl <= MaxTTL, "ttl", ttl, "must be 1s to 24h")
	p.require(ttl%time.Millisecond == 0, "ttl", ttl, "must be whole milliseconds")
}

// advise returns what works but is better avoided (RFC 6335 section 5.1, RFC 6763 sections 6.2 and 6.4).
func (r Rules) advise(service Service, in Instance) []string {
	var advice []string
	if name, _ := dnssd.CutService(string(service)); len(name) > dnssd.PortableServiceName {
		advice = append(advice, fmt.Sprintf("service %q: %s", service, longServiceName))
	}
	if size := dnssd.TXTSize(in.TXT); size > dnssd.AdvisedTXT {
		advice = append(advice, fmt.Sprintf("txt: %d octets; over %d some clients lose it (RFC 6763 section 6.2)", size, dnssd.AdvisedTXT))
	}
	for _, s := range in.TXT {
		if key, _, _ := dnssd.TXTKey(s); len(key) > dnssd.AdvisedTXTKey {
			advice = append(advice, fmt.Sprintf("txt key %q: keys should be at most %d characters (RFC 6763 section 6.4)", key, dnssd.AdvisedTXTKey))
		}
	}
	return advice
}
