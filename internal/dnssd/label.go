// Package dnssd is the grammar of DNS-Based Service Discovery (RFC 6763) as dnsreg uses it: which labels, service
// names, hosts and TXT strings are allowed, and how the DNS names of a service and its instances are derived from them.
//
// Everything here is a pure function of its arguments: no I/O, no state, safe for any number of goroutines. A Check
// function returns nil or an error whose text is the rule that was broken, ready to be put beside the field and value.
//
// Labels are raw octets unless a name says otherwise; only [Escape] and the functions that build whole names produce
// presentation form (RFC 1035 section 5.1).
package dnssd

import (
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Limits of RFC 1035 section 2.3.4, in octets; a name is counted in wire form, the root's zero octet included.
const (
	MaxLabel = 63
	MaxName  = 255
)

// Rules that a label can break. Each text is shown to the caller as it stands.
var (
	errEmpty      = errors.New("must not be empty")
	errLong       = errors.New("must be at most 63 octets")
	errUTF8       = errors.New("must be valid UTF-8")
	errNFC        = errors.New("must be in Unicode normalization form NFC")
	errControl    = errors.New("must not contain control characters")
	errDots       = errors.New(`must not be "." or ".."`)
	errUnderscore = errors.New("must not begin with an underscore")
	errLDH        = errors.New("must be letters, digits and hyphens, with no hyphen at either end")
)

// CheckInstance checks an instance id: one label of RFC 6763 section 4.1.1, which is 1 to 63 octets of UTF-8 in NFC
// without control characters. ".", ".." and a leading underscore (RFC 8552) are refused besides.
func CheckInstance(id string) error {
	switch {
	case id == "." || id == "..":
		return errDots
	case strings.HasPrefix(id, "_"):
		return errUnderscore
	}
	return checkText(id)
}

// CheckSubtype checks the label of a subtype (RFC 6763 section 7.1), by the same rules as an instance id but that it
// may begin with an underscore.
func CheckSubtype(sub string) error { return checkText(sub) }

func checkText(s string) error {
	switch {
	case s == "":
		return errEmpty
	case len(s) > MaxLabel:
		return errLong
	case !utf8.ValidString(s):
		return errUTF8
	case strings.ContainsFunc(s, isControl):
		return errControl
	case !norm.NFC.IsNormalString(s):
		return errNFC
	}
	return nil
}

// isControl reports the characters that Net-Unicode (RFC 5198 section 2) keeps out of names: C0, DEL and C1.
func isControl(r rune) bool { return r < 0x20 || r >= 0x7f && r <= 0x9f }

// CheckHostLabel checks one label of a host name: letters, digits and inner hyphens (RFC 952, RFC 1123 section 2.1).
func CheckHostLabel(label string) error {
	switch {
	case label == "":
		return errEmpty
	case len(label) > MaxLabel:
		return errLong
	case !isLDH(label):
		return errLDH
	}
	return nil
}

// isLDH reports whether s is letters, digits and hyphens with no hyphen at either end. The empty string is not.
func isLDH(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && (s[i] != '-' || i == 0 || i == len(s)-1) {
			return false
		}
	}
	return s != ""
}

func isAlnum(c byte) bool { return isLetter(c) || c >= '0' && c <= '9' }

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// Fold maps the ASCII capitals of s to small letters and leaves every other octet alone: the equality of DNS names
// (RFC 4343 section 3).
func Fold(s string) string {
	for i := range len(s) {
		if s[i] >= 'A' && s[i] <= 'Z' {
			return foldFrom(s, i)
		}
	}
	return s
}

func foldFrom(s string, i int) string {
	b := []byte(s)
	for ; i < len(b); i++ {
		if b[i] >= 'A' && b[i] <= 'Z' {
			b[i] += 'a' - 'A'
		}
	}
	return string(b)
}
