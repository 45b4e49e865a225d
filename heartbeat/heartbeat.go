// Package heartbeat is a service's side of registration over HTTP: the JSON form of every call, the [Client] that makes
// the calls, and the [Agent] that keeps instances registered for as long as it runs.
//
// It links no server, no DNS library and no store but the nouns of package store. The endpoint below it is the server's
// side of the same form, so that the two cannot drift apart.
//
// Requests are read strictly: field names are case-exact, unknown and repeated fields are refused, and so are texts
// that are not UTF-8. Replies are read leniently, so that an older client works with a newer server.
package heartbeat

import (
	"fmt"
	"time"
)

// Greatest sizes of a request, in octets, and of a batch, in items.
const (
	MaxBody      = 64 << 10
	MaxBatchBody = 2 << 20
	MaxBatch     = 10_000
)

// Duration is a length of time that JSON carries as Go prints it: "30s", "1m30s".
type Duration time.Duration

// String returns the duration as Go prints it.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText returns the duration as Go prints it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a duration as Go prints it.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("read duration: %w", err)
	}
	*d = Duration(v)
	return nil
}
