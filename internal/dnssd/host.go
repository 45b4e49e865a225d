package dnssd

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strings"
)

var (
	errHostName    = errors.New("must be one label of letters, digits and hyphens, or an external host name that ends in a dot")
	errHostAddress = errors.New("must be a name, not an address")
	errHostInZone  = errors.New("must be outside the zone when it ends in a dot")
)

// HostLabel returns the host label of an instance that names no host: the id in small letters where it is letters,
// digits and inner hyphens, else a readable form of it with six base32 letters of the id's SHA-256 behind a hyphen, so
// that ids that read alike get hosts of their own. Ids that differ in ASCII case alone get the same label.
func HostLabel(id string) string {
	id = Fold(id)
	if isLDH(id) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	hash := Fold(base32.StdEncoding.EncodeToString(sum[:])[:6])
	slug := slugify(id)
	if slug == "" {
		return hash
	}
	return slug + "-" + hash
}

// slugify replaces each run of octets other than letters and digits by one hyphen, without hyphens at the ends, and
// cuts the result so that a hyphen and the hash still fit the label.
func slugify(id string) string {
	const room = MaxLabel - 7
	var b strings.Builder
	for _, part := range strings.FieldsFunc(id, func(r rune) bool { return r > 0x7f || !isAlnum(byte(r)) }) {
		if b.Len() > 0 {
			b.WriteByte('-')
		}
		b.WriteString(part)
	}
	slug := b.String()
	return strings.TrimRight(slug[:min(len(slug), room)], "-")
}

// IsExternal reports whether host names a host outside the zone, which it says by a dot at its end.
func IsExternal(host string) bool { return strings.HasSuffix(host, ".") }

// CheckHost checks the host of an instance: one host label, or an external host name of such labels that ends in a dot
// and lies outside zone, where it would have no addresses.
func CheckHost(zone, host string) error {
	if !IsExternal(host) {
		if CheckHostLabel(host) != nil {
			return errHostName
		}
		return nil
	}
	labels, err := Split(host)
	switch {
	case err != nil || len(labels) == 0:
		return errHostName
	case InZone(zone, host):
		return errHostInZone
	case !strings.ContainsFunc(labels[len(labels)-1], func(r rune) bool { return r < '0' || r > '9' }):
		return errHostAddress
	}
	for _, label := range labels {
		if CheckHostLabel(label) != nil {
			return errHostName
		}
	}
	return nil
}
