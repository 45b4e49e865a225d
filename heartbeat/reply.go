package heartbeat

import (
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// Lease is how long an instance lives without another heartbeat, and when the server wants that heartbeat.
type Lease struct {
	TTL            Duration  `json:"ttl"`
	ExpiresAt      time.Time `json:"expires_at"` // by the server's clock
	HeartbeatAfter Duration  `json:"heartbeat_after"`
}

// check refuses what is no lease: whoever renewed it at its interval would never pause.
func (l Lease) check() error {
	if l.TTL <= 0 {
		return errors.New("it has no lease")
	}
	return nil
}

// Names are the DNS names of an instance, in presentation form.
type Names struct {
	Instance string `json:"instance"` // of its SRV and TXT records
	Target   string `json:"target"`   // of its addresses
}

// Registration is the reply to a registration.
type Registration struct {
	ETag     string         `json:"etag"` // of the content as stored
	Lease    Lease          `json:"lease"`
	Revision store.Revision `json:"revision"`
	Warnings []string       `json:"warnings"` // advice that did not keep it from being accepted
	DNS      Names          `json:"dns"`
	Created  bool           `json:"-"` // there was no live lease before: status 201
}

func (r *Registration) complete(http.Header) error { return r.Lease.check() }

// Renewal is the reply to a heartbeat.
type Renewal struct {
	Lease Lease `json:"lease"`
}

func (r *Renewal) complete(http.Header) error { return r.Lease.check() }

// Results of one item of a batch of heartbeats.
const (
	ResultRenewed      = "renewed"
	ResultGone         = "gone"         // register again
	ResultChanged      = "changed"      // register again
	ResultDeregistered = "deregistered" // stop
)

// BatchResult is what became of one item of a batch of heartbeats.
type BatchResult struct {
	Service store.Service `json:"service"`
	ID      string        `json:"id"`
	Result  string        `json:"result"`
	Lease   *Lease        `json:"lease,omitempty"` // where renewed
}

// Batch is the reply to a batch of heartbeats, in the order of the request.
type Batch struct {
	Instances []BatchResult `json:"instances"`
}

// Change is the reply to a PATCH: state and weight in force, and when no cache holds a draining instance any more.
type Change struct {
	Revision store.Revision `json:"revision"`
	State    store.State    `json:"state"`
	Weight   uint16         `json:"weight"`
	SafeAt   *time.Time     `json:"safe_at,omitempty"` // where draining; by the server's clock
	Date     time.Time      `json:"-"`                 // when the server replied by its clock, in whole seconds; zero where it did not say
}

// complete reads the Date header (RFC 9110 section 6.6.1).
func (c *Change) complete(header http.Header) error {
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		c.Date = date
	}
	return nil
}

// Settles returns how long it is, from the reply on, until no cache holds a draining instance any more, whatever this
// machine's clock says. It is at most a second too much.
func (c Change) Settles() time.Duration {
	switch {
	case c.SafeAt == nil:
		return 0
	case c.Date.IsZero():
		return time.Until(*c.SafeAt)
	}
	return c.SafeAt.Sub(c.Date)
}

// Removal is the reply to a deregistration.
type Removal struct {
	Revision store.Revision `json:"revision"`
	SafeAt   time.Time      `json:"safe_at"` // no cache holds the instance after it
}

// Services is the list of the services with a live instance, in the order of their names.
type Services struct {
	Services []Summary `json:"services"`
}

// Summary is one service in a list.
type Summary struct {
	Service   store.Service  `json:"service"`
	Instances int            `json:"instances"` // live ones, draining ones included
	Revision  store.Revision `json:"revision"`  // of the service's last change
}

// Service is one service with its live instances, draining ones included.
type Service struct {
	Service   store.Service  `json:"service"`
	Revision  store.Revision `json:"revision"`
	Instances []Instance     `json:"instances"`
}

// Instance is a live instance as it is shown: the record, state and weight in force, the lease and the DNS names.
type Instance struct {
	ID        string       `json:"id"`
	Host      string       `json:"host"`
	Addresses []netip.Addr `json:"addresses"`
	Port      uint16       `json:"port"`
	Priority  uint16       `json:"priority"`
	Weight    uint16       `json:"weight"` // in force
	TXT       []string     `json:"txt"`
	Subtypes  []string     `json:"subtypes"`
	TTL       Duration     `json:"ttl"`
	State     store.State  `json:"state"` // in force
	Overlay   *Overlay     `json:"overlay,omitempty"`
	Lease     *LeaseLeft   `json:"lease,omitempty"` // missing where it ended while the reply was made
	DNS       Names        `json:"dns"`
}

// Overlay is what an operator has set for an instance; a missing field is not set.
type Overlay struct {
	State  *store.State `json:"state,omitempty"`
	Weight *uint16      `json:"weight,omitempty"`
}

// LeaseLeft is what is left of a lease.
type LeaseLeft struct {
	ExpiresAt time.Time `json:"expires_at"`
	Remaining Duration  `json:"remaining"`
}

// Detail is one instance on its own.
type Detail struct {
	Service  store.Service  `json:"service"`
	Revision store.Revision `json:"revision"` // of the service's last change
	ETag     string         `json:"etag"`     // of the registered content
	Instance
}
