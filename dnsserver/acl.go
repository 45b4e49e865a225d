package dnsserver

import "net/netip"

// TransferRule lets clients have the whole zone: those of a prefix, those that sign with a key, or, where it has both,
// those of the prefix that sign with the key. One that has neither lets nobody in.
type TransferRule struct {
	Prefix netip.Prefix
	Key    string // name of one of Config.Keys
}

// String returns the rule in the form of 10.0.0.0/8@key.
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
