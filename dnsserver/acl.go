package dnsserver

import (
	"errors"
	"net/netip"
	"strings"
)

// TransferRule lets clients have the whole zone: those of a prefix, those that sign with a key, or, where it has both,
// those of the prefix that sign with the key. One that has neither lets nobody in.
type TransferRule struct {
	Prefix netip.Prefix
	Key    string // name of one of Config.Keys
}

var errRule = errors.New("must be a prefix, @ and the name of a key, or both, such as 10.0.0.0/8, @secondary or 10.0.0.0/8@secondary")

// ParseTransferRule reads a rule: "10.0.0.0/8", "10.0.0.1", "@key" or "10.0.0.0/8@key".
func ParseTransferRule(s string) (TransferRule, error) {
	address, key, signed := strings.Cut(s, "@")
	rule := TransferRule{Key: key}
	if _, err := keyName(key); signed && err != nil {
		return rule, errRule
	}
	if address == "" {
		if !signed {
			return rule, errRule
		}
		return rule, nil
	}
	if a, err := netip.ParseAddr(address); err == nil && a.Zone() == "" {
		rule.Prefix = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		return rule, nil
	}
	p, err := netip.ParsePrefix(address)
	if err != nil {
		return rule, errRule
	}
	rule.Prefix = p.Masked()
	return rule, nil
}

// String returns the rule as ParseTransferRule reads it.
func (r TransferRule) String() string {
	var s string
	if r.Prefix.IsValid() {
		s = r.Prefix.String()
	}
	if r.Key != "" {
		s += "@" + r.Key
	}
	return s
}

// grant is a TransferRule in use.
type grant struct {
	prefix netip.Prefix
	key    *tsigKey // nil: none is needed
}

// grants is the rules of a zone.
type grants []grant

// allow reports whether a query may have the whole zone.
func (g grants) allow(q *query) bool {
	key := q.verified()
	for _, rule := range g {
		near := !rule.prefix.IsValid() || rule.prefix.Contains(q.from.Addr)
		signed := rule.key == nil || rule.key == key
		if near && signed && (rule.prefix.IsValid() || rule.key != nil) {
			return true
		}
	}
	return false
}
