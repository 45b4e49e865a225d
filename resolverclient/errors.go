package resolverclient

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrNotFound says that a server answered, and that the service has no SRV records: NXDOMAIN, or NODATA.
	ErrNotFound = errors.New("service not found")
	// ErrNotOffered says that the service is decidedly not available: its one SRV record has the target "." (RFC 2782).
	ErrNotOffered = errors.New("service not offered at this domain")
	// ErrNoAnswer says that no server gave an answer; the text has each server's reason.
	ErrNoAnswer = errors.New("no server gave an answer")
	// ErrRefused says, together with ErrNoAnswer, that a server refused the query, mostly for a zone that is not its own.
	ErrRefused = errors.New("REFUSED")
	// ErrNoEndpoint says that the service has SRV records, but none with a port and an address.
	ErrNoEndpoint = errors.New("no usable endpoint")
	// ErrClosed says that the client was closed.
	ErrClosed = errors.New("client closed")
)

var (
	errMalformed = errors.New("malformed reply")
	errTruncated = errors.New("truncated reply")
	errOverdue   = errors.New("the answer is past its TTL and its renewal is under way")
)

// negative is an answer that names no endpoint, and how long it holds.
type negative struct {
	question question
	kind     error // ErrNotFound or ErrNotOffered
	detail   string
	ttl      time.Duration
}

func (n *negative) Error() string {
	return fmt.Sprintf("lookup %v: %v (%s)", n.question, n.kind, n.detail)
}

func (n *negative) Unwrap() error { return n.kind }

// reasons are the errors of several servers or tries, on one line.
type reasons []error

func (r reasons) Error() string {
	texts := make([]string, len(r))
	for i, err := range r {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (r reasons) Unwrap() []error { return r }
