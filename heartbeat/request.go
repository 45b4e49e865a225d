package heartbeat

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"
	"unicode/utf8"

	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// Rules of the form that more than one field can break.
const (
	ruleGiven = "must be given"
	ruleUTF8  = "must be valid UTF-8"
)

// Record is the body of a registration: an instance, with its service where the body names it.
type Record struct {
	Service  string
	Instance store.Instance
}

// recordForm is a record as it is written. Zero values are left out where the default is zero too.
type recordForm struct {
	Service   string       `json:"service,omitempty"`
	ID        string       `json:"id,omitempty"`
	Host      string       `json:"host,omitempty"`
	Addresses []netip.Addr `json:"addresses,omitempty"`
	Port      uint16       `json:"port"`
	Priority  uint16       `json:"priority,omitempty"`
	Weight    uint16       `json:"weight"`
	TXT       []string     `json:"txt,omitempty"`
	Subtypes  []string     `json:"subtypes,omitempty"`
	TTL       Duration     `json:"ttl,omitempty"`
}

// Encode returns the record as JSON, which [ParseRecord] reads back to the same record. The weight is written as it
// stands, 0 included. Its error is a [*store.InvalidError] for texts that JSON cannot carry.
func (r Record) Encode() ([]byte, error) {
	in := r.Instance
	if err := checkUTF8(r.Service, in); err != nil {
		return nil, err
	}
	data, err := json.Marshal(recordForm{
		Service:   r.Service,
		ID:        in.ID,
		Host:      in.Host,
		Addresses: in.Addresses,
		Port:      in.Port,
		Priority:  in.Priority,
		Weight:    in.Weight,
		TXT:       in.TXT,
		Subtypes:  in.Subtypes,
		TTL:       Duration(in.TTL),
	})
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	return data, nil
}

// checkUTF8 refuses what encoding/json would change without a word.
func checkUTF8(service string, in store.Instance) error {
	var fields []store.FieldError
	check := func(field, s string) {
		if !utf8.ValidString(s) {
			fields = append(fields, store.NewFieldError(field, s, ruleUTF8))
		}
	}
	check("service", service)
	check("id", in.ID)
	check("host", in.Host)
	for i, s := range in.TXT {
		check(fmt.Sprintf("txt[%d]", i), s)
	}
	for i, s := range in.Subtypes {
		check(fmt.Sprintf("subtypes[%d]", i), s)
	}
	if len(fields) > 0 {
		return &store.InvalidError{Fields: fields}
	}
	return nil
}

// ParseRecord reads the body of a registration. A [*SyntaxError] says that it has not the form; a
// [*store.InvalidError] lists the values that cannot be what they stand for, and then the record holds all others, for
// the store's rules to be checked as well.
func ParseRecord(data []byte) (Record, error) {
	r := Record{Instance: store.Instance{Weight: store.DefaultWeight}}
	err := decode(data, func(d *decoder) error {
		in, port := &r.Instance, false
		readPort := d.intoNumber(1, &in.Port)
		err := d.object(
			member{"service", d.intoText(&r.Service)},
			member{"id", d.intoText(&in.ID)},
			member{"host", d.intoText(&in.Host)},
			member{"addresses", d.intoAddresses(&in.Addresses)},
			member{"port", func() error { port = true; return readPort() }},
			member{"priority", d.intoNumber(0, &in.Priority)},
			member{"weight", d.intoNumber(0, &in.Weight)},
			member{"txt", d.intoTexts(&in.TXT)},
			member{"subtypes", d.intoTexts(&in.Subtypes)},
			member{"ttl", d.intoTTL(&in.TTL)},
		)
		if err == nil && !port {
			d.missing("port")
		}
		return err
	})
	return r, err
}

// missing notes that the field name of the object just read was not given.
func (d *decoder) missing(name string) {
	d.invalid = append(d.invalid, store.NewFieldError(join(d.path, name), "", ruleGiven))
}

// intoAddresses returns a reader of an array of IP addresses.
func (d *decoder) intoAddresses(to *[]netip.Addr) func() error {
	return func() error {
		return d.array(func(int) error {
			s, err := d.text()
			if err != nil {
				return err
			}
			addr, err := netip.ParseAddr(s)
			if err != nil {
				d.require(s, "must be an IP address")
				return nil
			}
			*to = append(*to, addr)
			return nil
		})
	}
}

// intoTTL returns a reader of a lease's length. A zero that is written out is refused here: further on it would stand
// for the default.
func (d *decoder) intoTTL(to *time.Duration) func() error {
	return func() error {
		s, err := d.text()
		if err != nil {
			return err
		}
		ttl, err := time.ParseDuration(s)
		switch {
		case err != nil:
			d.require(s, `must be a duration such as "30s"`)
		case ttl == 0:
			d.require(s, "must be 1s to 24h")
		}
		*to = ttl
		return nil
	}
}

// ParseOverlay reads the body of a PATCH: a state, a weight, or both. Its errors are those of [ParseRecord].
func ParseOverlay(data []byte) (store.Overlay, error) {
	var o store.Overlay
	err := decode(data, func(d *decoder) error {
		var state string
		var weight uint16
		readState, readWeight := d.intoText(&state), d.intoNumber(0, &weight)
		err := d.object(
			member{"state", func() error {
				o.State = (*store.State)(&state)
				err := readState()
				if err == nil && *o.State != store.Up && *o.State != store.Draining {
					d.require(state, `must be "up" or "draining"`)
				}
				return err
			}},
			member{"weight", func() error { o.Weight = &weight; return readWeight() }},
		)
		if err == nil && o == (store.Overlay{}) {
			d.invalid = append(d.invalid, store.NewFieldError("state", "", "must be given, or weight"))
		}
		return err
	})
	return o, err
}

// batchForm is the body of a batch of heartbeats as it is written.
type batchForm struct {
	Instances []renewalForm `json:"instances"`
}

type renewalForm struct {
	Service store.Service `json:"service"`
	ID      string        `json:"id"`
	ETag    string        `json:"etag,omitempty"`
}

// ParseBatch reads the body of a batch of heartbeats. Its errors are those of [ParseRecord].
func ParseBatch(data []byte) ([]store.Renewal, error) {
	var renewals []store.Renewal
	err := decode(data, func(d *decoder) error {
		given := false
		err := d.object(member{"instances", func() error {
			given = true
			return d.array(func(i int) error {
				if i == MaxBatch {
					return tooMany()
				}
				r, err := d.renewal()
				renewals = append(renewals, r)
				return err
			})
		}})
		if err == nil && !given {
			d.missing("instances")
		}
		return err
	})
	return renewals, err
}

func tooMany() error {
	return &store.InvalidError{Fields: []store.FieldError{
		store.NewFieldError("instances", fmt.Sprintf("more than %d", MaxBatch), fmt.Sprintf("must be at most %d", MaxBatch)),
	}}
}

// renewal reads one item of a batch.
func (d *decoder) renewal() (store.Renewal, error) {
	var service string
	var r store.Renewal
	err := d.object(
		member{"service", d.intoText(&service)},
		member{"id", d.intoText(&r.ID)},
		member{"etag", d.intoText(&r.ETag)},
	)
	if err != nil {
		return r, err
	}
	canonical, err := dnssd.ParseService(service)
	d.check("service", service, err)
	d.check("id", r.ID, dnssd.CheckInstance(r.ID))
	r.Service = store.Service(canonical)
	return r, nil
}

// check notes err, if there is one, against the field name of the object just read.
func (d *decoder) check(name, value string, err error) {
	if err != nil {
		d.invalid = append(d.invalid, store.NewFieldError(join(d.path, name), value, err.Error()))
	}
}
