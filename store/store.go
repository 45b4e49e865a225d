// Package store is what a registry holds: service types, instances and their leases, the operator's overlay, and the
// immutable views from which DNS is answered, with the rules that a registration must meet.
//
// It does no I/O. The packages below it keep the leases: memstore in this process, redisstore in Redis. Each of them
// implements the contract that storetest states and checks.
package store

import (
	"errors"
	"time"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// Service is a service type in canonical form, "_web._tcp": small letters, the protocol _tcp or _udp.
type Service string

// ParseService returns the canonical form of "_web._tcp", "_web._udp" or the bare name "web", which means _web._tcp. Its
// error is an [*InvalidError] that names the field "service".
func ParseService(s string) (Service, error) {
	canonical, err := dnssd.ParseService(s)
	if err != nil {
		return "", &InvalidError{Fields: []FieldError{fieldError("service", s, err)}}
	}
	return Service(canonical), nil
}

// Sibling returns the service type of the same name over the other protocol: _web._udp for _web._tcp. The two share the
// address records of their name.
func (s Service) Sibling() Service {
	name, proto := dnssd.CutService(string(s))
	if proto == "_tcp" {
		proto = "_udp"
	} else {
		proto = "_tcp"
	}
	return Service("_" + name + "." + proto)
}

const protoTCP = "_tcp"

// name returns the service's name, "web" of "_web._tcp", without a look at what a canonical form ensures. What is too
// short to be one is its own name.
func (s Service) name() string {
	if len(s) < len("_._tcp") {
		return string(s)
	}
	return string(s[1 : len(s)-len("._tcp")])
}

// Revision numbers the contents of a zone. It rises with every change of content, never with a renewal, and is the same
// wherever the content is the same.
type Revision uint64

// Serial returns the zone's SOA serial at this revision, which is the revision modulo 2^32 (RFC 1982).
func (r Revision) Serial() uint32 { return uint32(r) }

// State says whether a live instance is answered.
type State string

const (
	// Up is the state of an instance that is answered.
	Up State = "up"
	// Draining is the state of an instance that is kept alive but no longer answered.
	Draining State = "draining"
)

// Overlay is what an operator has set for an instance, apart from its registration: no registration or heartbeat undoes
// it, and it ends with the instance. A nil field is not set.
type Overlay struct {
	State  *State
	Weight *uint16
}

// Merge returns o with the fields that change sets.
func (o Overlay) Merge(change Overlay) Overlay {
	if change.State != nil {
		o.State = change.State
	}
	if change.Weight != nil {
		o.Weight = change.Weight
	}
	return o
}

// Equal reports whether o and other set the same fields to the same values.
func (o Overlay) Equal(other Overlay) bool {
	return equalPtr(o.State, other.State) && equalPtr(o.Weight, other.Weight)
}

func equalPtr[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// Lease is how long an instance lives without another heartbeat: a lower bound.
type Lease struct {
	TTL       time.Duration
	ExpiresAt time.Time
}

// Registration is the result of an accepted registration.
type Registration struct {
	Instance Instance // as stored, see Rules.Normalize
	Lease    Lease
	Revision Revision // of the zone, this registration included
	Created  bool     // there was no live lease before
	Warnings []string // advice that did not keep it from being accepted
}

// Renewal asks for one lease to be renewed. ETag, where it is not empty, is the content that the caller believes in.
type Renewal struct {
	Service Service
	ID      string
	ETag    string
}

// Renewed is the result of one Renewal: the lease, or an error that is [ErrGone], [ErrDeregistered] or [ErrConflict].
type Renewed struct {
	Lease Lease
	Err   error
}

// Freshness says how far a store's view can be trusted.
type Freshness uint8

const (
	// Synced says that the view is the store's content within the store's documented bound.
	Synced Freshness = iota
	// Stale says that the view is the last one known, the store being out of reach.
	Stale
	// Lost says that the view is too old to be answered from, or that there never was one.
	Lost
)

// String returns the freshness in one lower-case word.
func (f Freshness) String() string {
	switch f {
	case Synced:
		return "synced"
	case Stale:
		return "stale"
	default:
		return "lost"
	}
}

// Errors that callers tell apart, with errors.Is. A store may wrap them to say more. Besides these, a store's method
// returns an [*InvalidError] for input that breaks a rule, and the context's error when that ended first.
var (
	// ErrGone says that there is no live lease: register again.
	ErrGone = errors.New("the lease is gone")
	// ErrDeregistered says that the instance was explicitly deregistered: stop.
	ErrDeregistered = errors.New("the instance was deregistered")
	// ErrConflict says that the stored content is not the one that the caller believes in: register again.
	ErrConflict = errors.New("another content is stored")
	// ErrUnknown says that there is no such instance.
	ErrUnknown = errors.New("no such instance")
	// ErrFull says that the registration would pass a limit of the store or of what DNS can carry.
	ErrFull = errors.New("limit reached")
	// ErrUnavailable says that the store is out of reach; the call may or may not have taken effect.
	ErrUnavailable = errors.New("the store is unavailable")
)
