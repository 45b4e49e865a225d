package store

import (
	"net/netip"
	"time"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// Bounds and defaults of a lease, and the greatest counts of what an instance may carry.
const (
	MinTTL       = time.Second
	MaxTTL       = 24 * time.Hour
	DefaultTTL   = 30 * time.Second
	MaxAddresses = 16
	MaxSubtypes  = 16
)

// DefaultWeight is the weight of an instance that names none (docs/decisions.md).
const DefaultWeight uint16 = 1

// Instance is one registered instance of a service, as the registrar sent it and [Rules.Normalize] completed it.
type Instance struct {
	ID        string        // one DNS-SD label, unique in its service but for ASCII case
	Host      string        // host label in the zone, or an external host name that ends in a dot
	Addresses []netip.Addr  // of Host; none where Host is external
	Port      uint16        // 1 to 65535
	Priority  uint16        // RFC 2782: lower is tried first
	Weight    uint16        // RFC 2782: share among equal priorities; 0 is a very small chance
	TXT       []string      // "key", "key=" or "key=value" (RFC 6763 section 6), in the order registered
	Subtypes  []string      // labels (RFC 6763 section 7.1)
	TTL       time.Duration // of the lease
}

// Key returns what tells the instances of a service apart: the id with ASCII capitals folded.
func (i Instance) Key() string { return dnssd.Fold(i.ID) }

// Live is an instance whose lease lives, with what an operator has set for it.
type Live struct {
	Instance
	Overlay Overlay
}

// State returns the state in force: the operator's, else up.
func (l *Live) State() State {
	if l.Overlay.State != nil {
		return *l.Overlay.State
	}
	return Up
}

// EffectiveWeight returns the weight in force: the operator's, else the registered one.
func (l *Live) EffectiveWeight() uint16 {
	if l.Overlay.Weight != nil {
		return *l.Overlay.Weight
	}
	return l.Weight
}
