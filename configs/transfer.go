package configs

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Bounds of what a zone says about its secondaries.
const (
	MaxTransferRules = 256 // of Zone.Transfer
	MaxNotifyTargets = 64  // of Zone.Notify
)

// TransferRule lets clients have a zone as a whole: those of a prefix, those that sign with a key, or those that do
// both.
type TransferRule struct {
	Prefix netip.Prefix // not valid: whatever address
	Key    string       // name of one of DNS.Keys; empty: none is needed
}

// NotifyTarget is a secondary that is told of changes.
type NotifyTarget struct {
	Addr netip.AddrPort
	Key  string // name of one of DNS.Keys; empty: messages are not signed
}

var (
	errRule   = errors.New("must be a prefix, @ and the name of a key, or both, such as 10.0.0.0/8, @secondary or 10.0.0.0/8@secondary")
	errTarget = errors.New("must be an IP address and a port, and @ and the name of a key where messages are signed, such as 192.0.2.1:53@secondary")
)

func transferRuleKind() kind[TransferRule] {
	return kind[TransferRule]{name: "prefix@key", parse: parseTransferRule, format: TransferRule.String}
}

func parseTransferRule(s string) (TransferRule, error) {
	address, key, signed := strings.Cut(s, "@")
	rule := TransferRule{Key: key}
	if signed && !isKeyName(key) || !signed && address == "" {
		return rule, errRule
	}
	if address == "" {
		return rule, nil
	}
	var err error
	if rule.Prefix, err = prefixKind().parse(address); err != nil {
		return rule, errRule
	}
	return rule, nil
}

// String returns the rule in the form in which it is configured.
func (r TransferRule) String() string {
	text := ""
	if r.Prefix.IsValid() {
		text = r.Prefix.String()
	}
	return text + atKey(r.Key)
}

func notifyTargetKind() kind[NotifyTarget] {
	return kind[NotifyTarget]{name: "ip:port@key", parse: parseNotifyTarget, format: NotifyTarget.String}
}

func parseNotifyTarget(s string) (NotifyTarget, error) {
	address, key, signed := strings.Cut(s, "@")
	addr, err := netip.ParseAddrPort(address)
	if err != nil || addr.Port() == 0 || addr.Addr().IsUnspecified() || addr.Addr().IsMulticast() || signed && !isKeyName(key) {
		return NotifyTarget{}, errTarget
	}
	return NotifyTarget{Addr: netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()), Key: key}, nil
}

// String returns the target in the form in which it is configured.
func (t NotifyTarget) String() string { return t.Addr.String() + atKey(t.Key) }

func atKey(name string) string {
	if name == "" {
		return ""
	}
	return "@" + name
}

// isKeyName reports whether s can be the name of a key. Which names there are is in the file.
func isKeyName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r))
	})
}

// checkTransfer checks what a zone, whose keys begin with prefix, says about its secondaries; keys reports whether there
// is a file of keys.
func (z Zone) checkTransfer(prefix string, keys bool, require func(ok bool, key, value, rule string)) {
	const noKeys = "must name no key unless dns.keys is set"
	key := prefix + ".transfer"
	require(len(z.Transfer) <= MaxTransferRules, key, fmt.Sprint(len(z.Transfer)), fmt.Sprintf("must be at most %d rules", MaxTransferRules))
	for _, rule := range z.Transfer {
		require(rule.Key == "" || keys, key, rule.String(), noKeys)
	}
	key = prefix + ".notify"
	require(len(z.Notify) <= MaxNotifyTargets, key, fmt.Sprint(len(z.Notify)), fmt.Sprintf("must be at most %d addresses", MaxNotifyTargets))
	for _, target := range z.Notify {
		require(target.Key == "" || keys, key, target.String(), noKeys)
	}
}
