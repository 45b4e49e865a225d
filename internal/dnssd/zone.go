package dnssd

import (
	"errors"
	"fmt"
	"strings"
)

// maxZone leaves room for the shortest useful instance name, "<id>._<service>._tcp.<zone>" with labels of RFC 6335's
// length, within 255 octets.
const maxZone = 160

var (
	errZone      = errors.New("must be labels of letters, digits, hyphens and underscores, separated by dots")
	errZoneRoot  = errors.New("must not be the root")
	errZoneLong  = fmt.Errorf("must be at most %d octets, so that names fit in front of it", maxZone)
	errZoneLocal = errors.New("must not be in local., which belongs to multicast DNS (RFC 6762 section 3)")
)

// ParseZone returns the canonical form of a zone's name, in small letters with a dot at its end.
func ParseZone(s string) (string, error) {
	zone := Fold(s)
	if !strings.HasSuffix(zone, ".") {
		zone += "."
	}
	labels, err := Split(zone)
	switch {
	case err != nil, strings.Contains(zone, `\`): // an escape would leave two forms of one name
		return "", errZone
	case len(labels) == 0:
		return "", errZoneRoot
	case WireLen(labels...) > maxZone:
		return "", errZoneLong
	case labels[len(labels)-1] == "local":
		return "", errZoneLocal
	}
	for _, label := range labels {
		if !isLDH(strings.ReplaceAll(label, "_", "x")) {
			return "", errZone
		}
	}
	return zone, nil
}

// InZone reports whether name, in presentation form with a dot at its end, is zone or lies below it.
func InZone(zone, name string) bool {
	name, zone = Fold(name), Fold(zone)
	return name == zone || strings.HasSuffix(name, "."+zone)
}

// InServices reports whether inner lies where the zone outer has its services, below _tcp or _udp. Both are canonical.
func InServices(outer, inner string) bool {
	above, below := strings.CutSuffix(inner, "."+outer)
	return below && (InZone("_tcp", above) || InZone("_udp", above))
}
