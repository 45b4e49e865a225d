package endpoint

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/store"
)

// renew answers a heartbeat. A body is not read.
func (z *zone) renew(w http.ResponseWriter, r *http.Request, service store.Service, id string) error {
	etag, err := parseIfMatch(strings.Join(r.Header.Values("If-Match"), ","))
	if err != nil {
		return err
	}
	renewed, err := z.renewEach(r, []store.Renewal{{Service: service, ID: id, ETag: etag}})
	if err != nil {
		return err
	}
	if err := renewed[0].Err; err != nil {
		return fmt.Errorf("%s %q: %w", service, id, err)
	}
	return z.ok(w, http.StatusOK, heartbeat.Renewal{Lease: z.leaseForm(renewed[0].Lease)})
}

// renewAll answers a batch of heartbeats.
func (z *zone) renewAll(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(r, heartbeat.MaxBatchBody)
	if err != nil {
		return err
	}
	renewals, err := heartbeat.ParseBatch(body)
	if err != nil {
		return err
	}
	renewed, err := z.renewEach(r, renewals)
	if err != nil {
		return err
	}
	batch := heartbeat.Batch{Instances: make([]heartbeat.BatchResult, len(renewals))}
	for i, renewal := range renewals {
		batch.Instances[i] = z.batchResult(renewal, renewed[i])
	}
	return z.ok(w, http.StatusOK, batch)
}

func (s *Server) batchResult(renewal store.Renewal, renewed store.Renewed) heartbeat.BatchResult {
	result := heartbeat.BatchResult{Service: renewal.Service, ID: renewal.ID, Result: resultOf(renewed.Err)}
	if renewed.Err == nil {
		lease := s.leaseForm(renewed.Lease)
		result.Lease = &lease
	}
	return result
}

// renewEach renews leases and counts what became of them. A result that is none of those a caller can act on fails the
// whole call.
func (z *zone) renewEach(r *http.Request, renewals []store.Renewal) ([]store.Renewed, error) {
	renewed, err := z.Store.RenewAll(r.Context(), renewals)
	if err != nil {
		z.counters.heartbeats.addN(resultOf(err), uint64(len(renewals)))
		return nil, err
	}
	if len(renewed) != len(renewals) {
		return nil, fmt.Errorf("renew: the store returned %d results to %d renewals", len(renewed), len(renewals))
	}
	z.pacer.add(len(renewed))
	for i, result := range renewed {
		z.counters.heartbeats.add(resultOf(result.Err))
		if !isItemResult(resultOf(result.Err)) {
			return nil, fmt.Errorf("%s %q: %w", renewals[i].Service, renewals[i].ID, result.Err)
		}
	}
	return renewed, nil
}

// isItemResult reports whether one item of a batch may have this result.
func isItemResult(result string) bool {
	switch result {
	case heartbeat.ResultRenewed, heartbeat.ResultGone, heartbeat.ResultChanged, heartbeat.ResultDeregistered:
		return true
	}
	return false
}

// resultOf returns the result that an error of the store stands for, in counters and batches.
func resultOf(err error) string {
	switch {
	case err == nil:
		return heartbeat.ResultRenewed
	case errors.Is(err, store.ErrGone):
		return heartbeat.ResultGone
	case errors.Is(err, store.ErrConflict):
		return heartbeat.ResultChanged
	case errors.Is(err, store.ErrDeregistered):
		return heartbeat.ResultDeregistered
	case errors.Is(err, store.ErrFull):
		return resultFull
	case problemOf(err).Status >= http.StatusInternalServerError:
		return resultFailed
	default:
		return resultInvalid
	}
}

// parseIfMatch returns the one entity tag of an If-Match header (RFC 9110 section 13.1.1), quoted, weak or bare, or
// nothing where there is no header or "*".
func parseIfMatch(header string) (string, error) {
	tag := strings.TrimSpace(header)
	if tag == "" || tag == "*" {
		return "", nil
	}
	tag = strings.TrimPrefix(tag, "W/")
	if len(tag) >= 2 && tag[0] == '"' && tag[len(tag)-1] == '"' {
		tag = tag[1 : len(tag)-1]
	}
	if tag == "" || strings.ContainsFunc(tag, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == ',' }) {
		wrong := heartbeat.SyntaxError(store.NewFieldError("If-Match", header, "must be one entity tag"))
		return "", &wrong
	}
	return tag, nil
}
