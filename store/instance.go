package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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

// canonical is the frozen form behind Canonical; its field order and names belong to format 1.
type canonical struct {
	Format    int          `json:"v"`
	ID        string       `json:"id"`
	Host      string       `json:"host"`
	Addresses []netip.Addr `json:"addresses"`
	Port      uint16       `json:"port"`
	Priority  uint16       `json:"priority"`
	Weight    uint16       `json:"weight"`
	TXT       []string     `json:"txt"`
	Subtypes  []string     `json:"subtypes"`
	TTL       int64        `json:"ttl_ms"`
}

// Canonical returns the one byte form of a normalized instance: JSON of format 1, whose bytes never change for the same
// content (golden vectors in testdata). Two instances are the same content exactly if their canonical forms are equal.
func (i Instance) Canonical() []byte {
	data, err := json.Marshal(canonical{
		Format:    1,
		ID:        i.ID,
		Host:      i.Host,
		Addresses: orEmpty(i.Addresses),
		Port:      i.Port,
		Priority:  i.Priority,
		Weight:    i.Weight,
		TXT:       orEmpty(i.TXT),
		Subtypes:  orEmpty(i.Subtypes),
		TTL:       i.TTL.Milliseconds(),
	})
	if err != nil {
		return nil // unreachable: no field's type can fail to encode
	}
	return data
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// ETag returns the name of the instance's content: the first 16 octets of the SHA-256 of its canonical form, in hex.
func (i Instance) ETag() string {
	sum := sha256.Sum256(i.Canonical())
	return hex.EncodeToString(sum[:16])
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
