package dnssd

import (
	"errors"
	"fmt"
	"strings"
)

// ErrName says that a text is not a DNS name in presentation form.
var ErrName = errors.New("malformed name")

// Escape returns label in presentation form (RFC 1035 section 5.1): octets with a meaning in zone files get a
// backslash, other octets outside 0x21 to 0x7E become \DDD, a space included, as dig prints them.
func Escape(label string) string {
	var b strings.Builder
	for i := range len(label) {
		switch c := label[i]; {
		case strings.IndexByte(`.\"();@$`, c) >= 0:
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < 0x21 || c > 0x7e:
			fmt.Fprintf(&b, `\%03d`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Split returns the raw labels of a name in presentation form, without the root. A missing final dot makes no
// difference. It fails with [ErrName] on an empty label, a broken escape, a label over 63 octets or a name over 255.
func Split(name string) ([]string, error) {
	if name == "." || name == "" {
		return nil, nil
	}
	var labels []string
	for rest := name; rest != ""; {
		label, tail, err := cutLabel(rest)
		if err != nil {
			return nil, fmt.Errorf("%w %.255q: %w", ErrName, name, err)
		}
		labels, rest = append(labels, label), tail
	}
	if n := WireLen(labels...); n > MaxName {
		return nil, fmt.Errorf("%w %.255q: %d octets, at most %d are allowed", ErrName, name, n, MaxName)
	}
	return labels, nil
}

// cutLabel takes the first label off a name and the dot behind it.
func cutLabel(name string) (label, rest string, err error) {
	var b []byte
	i := 0
	for i < len(name) && name[i] != '.' {
		c, n, err := unescape(name[i:])
		if err != nil {
			return "", "", err
		}
		b = append(b, c)
		i += n
	}
	switch {
	case len(b) == 0:
		return "", "", errors.New("empty label")
	case len(b) > MaxLabel:
		return "", "", fmt.Errorf("a label of %d octets, at most %d are allowed", len(b), MaxLabel)
	case i < len(name):
		i++ // the dot
	}
	return string(b), name[i:], nil
}

// unescape reads one octet from the front of s, which is not empty, and says how many octets of text it took.
func unescape(s string) (octet byte, n int, err error) {
	switch {
	case s[0] != '\\':
		return s[0], 1, nil
	case len(s) >= 2 && !isDigit(s[1]):
		return s[1], 2, nil
	case len(s) >= 4 && isDigit(s[2]) && isDigit(s[3]):
		v := int(s[1]-'0')*100 + int(s[2]-'0')*10 + int(s[3]-'0')
		if v <= 255 {
			return byte(v), 4, nil
		}
	}
	return 0, 0, errors.New(`an escape is \X or \DDD with DDD at most 255`)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// WireLen returns how many octets the name of these raw labels takes on the wire, uncompressed, with the root.
func WireLen(labels ...string) int {
	n := 1
	for _, l := range labels {
		n += 1 + len(l)
	}
	return n
}

// ServiceName returns the owner name of a service's SRV, PTR and TXT records: "_web._tcp.svc.internal.". Here and
// below, service is canonical ("_web._tcp") and zone ends in a dot, as [ParseService] and [ParseZone] return them.
func ServiceName(zone, service string) string { return service + "." + zone }

// InstanceName returns the name of one instance (RFC 6763 section 4.1), its label escaped.
func InstanceName(zone, service, id string) string {
	return Escape(id) + "." + ServiceName(zone, service)
}

// SubtypeName returns the owner name of a subtype's PTR records (RFC 6763 section 7.1), its label escaped.
func SubtypeName(zone, service, sub string) string {
	return Escape(sub) + "._sub." + ServiceName(zone, service)
}

// AddressName returns the name that carries the addresses of a service for clients without SRV: "web.svc.internal.".
// The _tcp and the _udp service of one name share it.
func AddressName(zone, service string) string {
	name, _ := CutService(service)
	return name + "." + zone
}

// TargetName returns the SRV target of an instance: host itself where it ends in a dot and so names an external host,
// else "<host>.web.svc.internal.".
func TargetName(zone, service, host string) string {
	if IsExternal(host) {
		return host
	}
	return host + "." + AddressName(zone, service)
}

// longest returns the length of the longest label before the service. What it is escaped with is not in the encoded name.
func longest(id, host string, subtypes []string) int {
	n := max(len(id), len(host))
	for _, sub := range subtypes {
		n = max(n, len(sub))
	}
	return n
}

// CheckLengths checks the names that are derived from an instance against the 255 octets of RFC 1035 section 2.3.4,
// and names the first that is longer.
func CheckLengths(zone, service, id, host string, subtypes []string) error {
	if longest(id, host, subtypes)+len("._sub.")+len(service)+len(".")+len(zone) < MaxName {
		return nil
	}
	names := []string{InstanceName(zone, service, id), TargetName(zone, service, host)}
	for _, sub := range subtypes {
		names = append(names, SubtypeName(zone, service, sub))
	}
	for _, name := range names {
		if _, err := Split(name); err != nil {
			return fmt.Errorf("must leave every derived name within %d octets: %w", MaxName, err)
		}
	}
	return nil
}
