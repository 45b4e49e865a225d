package dnssd

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Bits that one label of a reverse name stands for: an octet of IPv4, a hexadecimal digit of IPv6.
const (
	octetBits  = 8
	nibbleBits = 4
)

var (
	errReverse  = errors.New("must be a prefix, such as 10.0.0.0/8")
	errReverse4 = errors.New("must be a /8, /16 or /24: a reverse zone of IPv4 ends between two octets")
	errReverse6 = errors.New("must be a /4 to /124 in steps of 4: a reverse zone of IPv6 ends between two hexadecimal digits")
	errMapped   = errors.New("must not be of IPv4 addresses mapped into IPv6: write them as IPv4")
)

// ReverseZone returns the name of the zone that has the PTR records of a prefix's addresses: "1.10.in-addr.arpa." for
// 10.1.0.0/16 (RFC 1035 section 3.5), "d.f.ip6.arpa." for fd00::/8 (RFC 3596 section 2.5). It fails for prefixes that no
// one zone covers, and for those that are a whole family or one address. Its errors are rules.
func ReverseZone(prefix netip.Prefix) (string, error) {
	addr, bits := prefix.Masked().Addr(), prefix.Bits()
	switch {
	case !prefix.IsValid():
		return "", errReverse
	case addr.Is4In6():
		return "", errMapped
	case addr.Is4() && bits%octetBits == 0 && bits > 0 && bits < addr.BitLen():
		return reverse(ReverseLabels(addr)[:bits/octetBits], "in-addr.arpa."), nil
	case addr.Is4():
		return "", errReverse4
	case bits%nibbleBits == 0 && bits > 0 && bits < addr.BitLen():
		return reverse(ReverseLabels(addr)[:bits/nibbleBits], "ip6.arpa."), nil
	default:
		return "", errReverse6
	}
}

// ReverseLabels returns the labels that stand for an address in its reverse name, from next to in-addr.arpa or ip6.arpa
// on: "10", "0", "0", "5", or 32 hexadecimal digits. An IPv4 address must be in its own form.
func ReverseLabels(addr netip.Addr) []string {
	var labels []string
	for _, octet := range addr.AsSlice() {
		if addr.Is4() {
			labels = append(labels, strconv.Itoa(int(octet)))
			continue
		}
		for _, nibble := range []byte{octet >> nibbleBits, octet & 0xf} {
			labels = append(labels, strconv.FormatInt(int64(nibble), 16))
		}
	}
	return labels
}

// reverse returns the name of labels in front of suffix, the first next to it.
func reverse(labels []string, suffix string) string {
	labels = slices.Clone(labels)
	slices.Reverse(labels)
	return strings.Join(append(labels, suffix), ".")
}
