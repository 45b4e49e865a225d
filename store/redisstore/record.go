package redisstore

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// decodeStored decodes a record that is stored under a key, which has to be that of the record's id.
func decodeStored(key, record string) (store.Instance, error) {
	in, err := store.ParseCanonical(record)
	if err == nil && in.Key() != key {
		err = fmt.Errorf("the record of %q is stored as %q", in.ID, key)
	}
	return in, err
}

// leaseText is what a lease's key holds: the ttl in milliseconds and the content's hash.
func leaseText(ttl time.Duration, etag string) string {
	return strconv.FormatInt(ttl.Milliseconds(), 10) + ":" + etag
}

// parseLease reads what leaseText wrote.
func parseLease(s string) (ttl time.Duration, etag string, ok bool) {
	ms, etag, ok := strings.Cut(s, ":")
	n, err := strconv.ParseInt(ms, 10, 64)
	ttl = time.Duration(n) * time.Millisecond
	if !ok || err != nil || n < store.MinTTL.Milliseconds() || n > store.MaxTTL.Milliseconds() {
		return 0, "", false
	}
	return ttl, etag, true
}

// overlayText is the form of an overlay in Redis: "state:weight", each empty where it is not set. An overlay that sets
// nothing is the empty text.
func overlayText(o store.Overlay) string {
	if o == (store.Overlay{}) {
		return ""
	}
	state, weight := overlayFields(o)
	return state + ":" + weight
}

func overlayFields(o store.Overlay) (state, weight string) {
	if o.State != nil {
		state = string(*o.State)
	}
	if o.Weight != nil {
		weight = strconv.Itoa(int(*o.Weight))
	}
	return state, weight
}

// decodeOverlay reads what overlayText wrote.
func decodeOverlay(s string) (store.Overlay, error) {
	var o store.Overlay
	state, weight, ok := strings.Cut(s, ":")
	switch store.State(state) {
	case store.Up, store.Draining:
		o.State = new(store.State(state))
	case "":
	default:
		ok = false
	}
	if weight != "" {
		n, err := strconv.ParseUint(weight, 10, 16)
		if err != nil || strconv.FormatUint(n, 10) != weight {
			ok = false
		}
		o.Weight = new(uint16(n))
	}
	if !ok {
		return store.Overlay{}, fmt.Errorf("not an overlay: %.60q", s)
	}
	return o, nil
}
