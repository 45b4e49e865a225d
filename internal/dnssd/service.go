package dnssd

import (
	"errors"
	"strings"
)

// Labels that RFC 6763 gives a meaning of their own.
const (
	SubtypeLabel = "_sub"      // section 7.1
	MetaName     = "_dns-sd"   // sections 9 and 11
	TypesLabel   = "_services" // section 9
)

// PortableServiceName is the greatest length of a service name that RFC 6335 section 5.1 allows, in octets. Longer ones
// work with every resolver but may be refused by DNS-SD browsers.
const PortableServiceName = 15

var (
	errService     = errors.New("must be a name, _name._tcp or _name._udp")
	errServiceName = errors.New("must be 1 to 62 letters, digits and hyphens with at least one letter, no hyphen at either end and no two in a row")
	errReserved    = errors.New("is reserved by RFC 6763")
)

// ParseService returns the canonical form of a service type, "_web._tcp", from "_web._tcp", "_web._udp" in any case or
// the bare name "web", which means _web._tcp. The rules are those of RFC 6763 section 7 and RFC 6335 section 5.1 but
// for the 15 octets, which are the caller's to enforce (see [PortableServiceName]).
func ParseService(s string) (string, error) {
	name, proto := Fold(s), "_tcp"
	if rest, ok := strings.CutPrefix(name, "_"); ok {
		if name, proto, ok = strings.Cut(rest, "."); !ok || proto != "_tcp" && proto != "_udp" {
			return "", errService
		}
	}
	if err := checkServiceName(name); err != nil {
		return "", err
	}
	return "_" + name + "." + proto, nil
}

func checkServiceName(name string) error {
	switch {
	case len(name) >= MaxLabel: // the underscore is part of the label
		return errServiceName
	case !isLDH(name), strings.Contains(name, "--"), !strings.ContainsAny(name, "abcdefghijklmnopqrstuvwxyz"):
		return errServiceName
	case name == "dns-sd":
		return errReserved
	}
	return nil
}

// CutService splits a canonical service type, "_web._tcp", into the bare name "web" and the protocol label "_tcp".
func CutService(service string) (name, proto string) {
	name, proto, _ = strings.Cut(strings.TrimPrefix(service, "_"), ".")
	return name, proto
}
