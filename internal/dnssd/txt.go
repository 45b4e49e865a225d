package dnssd

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// Limits of a TXT record's strings (RFC 6763 sections 6.1 to 6.4). Sizes are in octets; the size of a record counts a
// length octet for each string.
const (
	MaxTXTString    = 255
	MaxTXTStrings   = 64
	MaxTXT          = 1300
	AdvisedTXT      = 400
	AdvisedTXTKey   = 9
	emptyRecordSize = 1 // one empty string (RFC 6763 section 6.1)
)

var (
	errTXTString = errors.New("must be at most 255 octets")
	errTXTKey    = errors.New(`must be "key", "key=" or "key=value" with a key of printable ASCII`)
	errTXTTwice  = errors.New("must not repeat a key, in whatever case")
)

// TXTKey returns the key of one "key", "key=" or "key=value" string and its value; ok is false where there is no "="
// (RFC 6763 section 6.4).
func TXTKey(s string) (key, value string, ok bool) { return strings.Cut(s, "=") }

// CheckTXTString checks one string of a TXT record (RFC 6763 section 6.4). Values are any UTF-8: other octets cannot be
// carried by the JSON forms.
func CheckTXTString(s string) error {
	key, _, _ := TXTKey(s)
	switch {
	case len(s) > MaxTXTString:
		return errTXTString
	case key == "" || strings.ContainsFunc(key, func(r rune) bool { return r < 0x20 || r > 0x7e }):
		return errTXTKey
	case !utf8.ValidString(s):
		return errUTF8
	}
	return nil
}

// CheckTXTKeys checks that no key stands twice in txt, in whatever case (RFC 6763 section 6.4), and returns the string
// that repeats one. Strings that [CheckTXTString] refuses have no key.
func CheckTXTKeys(txt []string) (string, error) {
	seen := make(map[string]bool, len(txt))
	for _, s := range txt {
		if CheckTXTString(s) != nil {
			continue
		}
		key, _, _ := TXTKey(s)
		if key = Fold(key); seen[key] {
			return s, errTXTTwice
		}
		seen[key] = true
	}
	return "", nil
}

// TXTSize returns the size of a TXT record's data on the wire, at least the one octet of an empty string.
func TXTSize(txt []string) int {
	n := 0
	for _, s := range txt {
		n += 1 + len(s)
	}
	return max(n, emptyRecordSize)
}

// AppendTXT appends a TXT record's data in wire form (RFC 1035 section 3.3.14): each string behind its length, one
// empty string where there is none. The strings have passed [CheckTXTString].
func AppendTXT(buf []byte, txt []string) []byte {
	if len(txt) == 0 {
		return append(buf, 0)
	}
	for _, s := range txt {
		buf = append(append(buf, byte(len(s))), s...)
	}
	return buf
}
