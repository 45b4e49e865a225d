package heartbeat

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// ProblemMedia is the media type of every error reply (RFC 9457).
const ProblemMedia = "application/problem+json"

// Types of problems (RFC 9457 section 3.1.1) that stand for one of store's errors. Any other problem has the type
// "about:blank" and says no more than its status.
const (
	TypeBlank        = "about:blank"
	TypeInvalid      = "urn:dnsreg:problem:invalid"
	TypeGone         = "urn:dnsreg:problem:gone"
	TypeUnknown      = "urn:dnsreg:problem:unknown"
	TypeDeregistered = "urn:dnsreg:problem:deregistered"
	TypeConflict     = "urn:dnsreg:problem:conflict"
	TypeFull         = "urn:dnsreg:problem:full"
	TypeUnavailable  = "urn:dnsreg:problem:unavailable"
)

// Problem is an error reply (RFC 9457).
type Problem struct {
	Type   string         `json:"type"`
	Title  string         `json:"title"`
	Status int            `json:"status"`
	Detail string         `json:"detail,omitempty"`
	Errors []ProblemField `json:"errors,omitempty"`
}

// ProblemField is one field that broke a rule.
type ProblemField struct {
	Field string `json:"field"`
	Value string `json:"value"`
	Rule  string `json:"rule"`
}

// ProblemError is an error reply as an error. Where the problem stands for one of store's errors, errors.Is and
// errors.As find that too: [store.ErrGone], [*store.InvalidError] and so on.
type ProblemError struct {
	Status     int           // of HTTP
	Title      string        // "Unauthorized"
	Detail     string        // may be empty
	RetryAfter time.Duration // as the server asks; 0 where it does not
	cause      error
}

// Error returns status, title and detail, which names the fields that are wrong.
func (e *ProblemError) Error() string {
	text := fmt.Sprintf("%d %s", e.Status, e.Title)
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

// Unwrap returns the error of package store that the problem stands for, nil if there is none.
func (e *ProblemError) Unwrap() error { return e.cause }

// Denied reports whether err is an error reply for want of a token (401) or of a permission (403).
func Denied(err error) bool {
	var p *ProblemError
	return errors.As(err, &p) && (p.Status == http.StatusUnauthorized || p.Status == http.StatusForbidden)
}

// problemError returns the error that a reply with an error status stands for.
func problemError(resp *http.Response, body []byte) error {
	e := &ProblemError{Status: resp.StatusCode, Title: http.StatusText(resp.StatusCode)}
	if seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 16); err == nil {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	var p Problem
	if strings.HasPrefix(resp.Header.Get("Content-Type"), ProblemMedia) && json.Unmarshal(body, &p) == nil {
		e.Detail = p.Detail
		if p.Title != "" {
			e.Title = p.Title
		}
	}
	e.cause = p.cause(resp.StatusCode)
	return e
}

// cause returns the error of package store that the problem stands for. A server in front of dnsreg that cannot reach
// it answers 502, 503 or 504 in its own words.
func (p *Problem) cause(status int) error {
	switch p.Type {
	case TypeInvalid:
		return p.invalid()
	case TypeGone:
		return store.ErrGone
	case TypeUnknown:
		return store.ErrUnknown
	case TypeDeregistered:
		return store.ErrDeregistered
	case TypeConflict:
		return store.ErrConflict
	case TypeFull:
		return store.ErrFull
	}
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return store.ErrUnavailable
	}
	return nil
}

func (p *Problem) invalid() error {
	fields := make([]store.FieldError, len(p.Errors))
	for i, e := range p.Errors {
		fields[i] = store.FieldError(e)
	}
	return &store.InvalidError{Fields: fields}
}
