package endpoint

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strings"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// crowded is the greatest count of instances that every resolver passes on: BIND refuses an RRset of more than 100
// records (max-records-per-type).
const crowded = 100

// register answers PUT: register, replace or renew.
func (z *zone) register(w http.ResponseWriter, r *http.Request) error {
	reg, service, err := z.put(r)
	if err != nil {
		z.counters.registrations.add(resultOf(err))
		return err
	}
	status, result := http.StatusOK, resultUpdated
	if reg.Created {
		status, result = http.StatusCreated, resultCreated
	}
	z.counters.registrations.add(result)
	z.pacer.add(1)
	return z.ok(w, status, heartbeat.Registration{
		ETag:     reg.Instance.ETag(),
		Lease:    z.leaseForm(reg.Lease),
		Revision: reg.Revision,
		Warnings: z.warnings(service, reg),
		DNS:      z.names(service, &reg.Instance),
	})
}

// put reads a registration and makes it. Everything that is wrong with the request is in its one error.
func (z *zone) put(r *http.Request) (store.Registration, store.Service, error) {
	body, err := readBody(r, heartbeat.MaxBody)
	if err != nil {
		return store.Registration{}, "", err
	}
	var wrong findings
	record, err := heartbeat.ParseRecord(body)
	if err := wrong.take(err); err != nil {
		return store.Registration{}, "", err
	}
	service, err := store.ParseService(r.PathValue("service"))
	if err != nil {
		service = store.Service(r.PathValue("service")) // the rules below refuse it
	}
	in := record.Instance
	in.ID = r.PathValue("id")
	wrong.add(matchPath(record, service, in.ID))
	if len(in.Addresses) == 0 && !dnssd.IsExternal(in.Host) {
		in.Addresses, err = z.callers(r)
		wrong.add(err)
	}
	if len(wrong) > 0 {
		_, _, err := z.Rules.Normalize(service, in)
		wrong.add(err)
		return store.Registration{}, service, &store.InvalidError{Fields: wrong}
	}
	reg, err := z.Store.Register(r.Context(), service, in)
	return reg, service, err
}

// matchPath checks that a record names what the path names, where it names anything.
func matchPath(record heartbeat.Record, service store.Service, id string) error {
	var fields []store.FieldError
	if body, err := store.ParseService(record.Service); record.Service != "" && (err != nil || body != service) {
		fields = append(fields, store.NewFieldError("service", record.Service, fmt.Sprintf("must be left out or be the path's, %q", service)))
	}
	if body := record.Instance.ID; body != "" && body != id {
		fields = append(fields, store.NewFieldError("id", body, fmt.Sprintf("must be left out or be the path's, %q", id)))
	}
	if len(fields) == 0 {
		return nil
	}
	return &store.InvalidError{Fields: fields}
}

// callers returns the caller's address as the addresses of its instance.
func (s *Server) callers(r *http.Request) ([]netip.Addr, error) {
	addr, err := callerAddr(r, s.cfg.TrustedProxies)
	if err != nil {
		return nil, &store.InvalidError{Fields: []store.FieldError{store.NewFieldError("addresses", "", "must be given: "+err.Error())}}
	}
	return []netip.Addr{addr}, nil
}

// warnings returns the store's advice and the endpoint's own.
func (z *zone) warnings(service store.Service, reg store.Registration) []string {
	warnings := append([]string{}, reg.Warnings...)
	if snapshot := z.Store.View().Service(service); snapshot != nil && len(snapshot.Instances) > crowded {
		warnings = append(warnings, fmt.Sprintf("service %q: %d instances; BIND and others pass on at most %d records of one name", service, len(snapshot.Instances), crowded))
	}
	for _, a := range reg.Instance.Addresses {
		if z.cfg.Shared && a.IsLoopback() {
			warnings = append(warnings, fmt.Sprintf("addresses: %s is a loopback address, which means another host to everybody else", a))
		}
	}
	return warnings
}

// names returns the DNS names of an instance.
func (z *zone) names(service store.Service, in *store.Instance) heartbeat.Names {
	return heartbeat.Names{
		Instance: dnssd.InstanceName(z.Rules.Zone, string(service), in.ID),
		Target:   dnssd.TargetName(z.Rules.Zone, string(service), in.Host),
	}
}

// readBody returns the whole body, at most limit octets of it.
func readBody(r *http.Request, limit int64) ([]byte, error) {
	coding := strings.Join(r.Header.Values("Content-Encoding"), ", ")
	if coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, &statusError{http.StatusUnsupportedMediaType, fmt.Sprintf("Content-Encoding %.64q: must be identity", coding), "Accept-Encoding", "identity"}
	}
	if r.ContentLength > limit {
		return nil, fmt.Errorf("%w: %d octets, at most %d are allowed", errTooLarge, r.ContentLength, limit)
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	switch {
	case errors.As(err, new(*http.MaxBytesError)): // the greatest body of any call, met while reading
		return nil, fmt.Errorf("%w: at most %d octets are allowed", errTooLarge, limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, errSlow
	case err != nil:
		return nil, &heartbeat.SyntaxError{Field: "body", Rule: fmt.Sprintf("must arrive whole: %v", err)}
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("%w: at most %d octets are allowed", errTooLarge, limit)
	}
	return data, nil
}

// findings collects the fields that are wrong, from several checks that know nothing of each other.
type findings []store.FieldError

// take adds the fields of an *store.InvalidError whose names no earlier check has found wrong, and returns any other
// error.
func (f *findings) take(err error) error {
	var invalid *store.InvalidError
	if !errors.As(err, &invalid) {
		return err
	}
	earlier := *f
	for _, field := range invalid.Fields {
		if name, _, _ := strings.Cut(field.Field, "["); !earlier.names(name) {
			*f = append(*f, field)
		}
	}
	return nil
}

// add is take for checks that find nothing but wrong fields.
func (f *findings) add(err error) { _ = f.take(err) }

// names reports whether a field of that name, or an element of it, is among the findings.
func (f findings) names(name string) bool {
	for _, field := range f {
		if found, _, _ := strings.Cut(field.Field, "["); found == name {
			return true
		}
	}
	return false
}
