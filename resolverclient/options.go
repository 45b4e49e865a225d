package resolverclient

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// Option narrows or changes what a [Balancer] chooses among. Those that look at TXT have the service looked up by way
// of DNS-SD, as [Client.Service] does.
type Option func(*options)

type options struct {
	metadata  bool // endpoints need Instance and TXT
	filters   []func(Endpoint) bool
	subtype   string
	subtyped  bool
	zoneKey   string // a TXT key, whose value zone comes first
	zone      string
	client    string // who the subset is for
	size      int    // of the subset
	subset    bool
	slowStart time.Duration
}

// Filter leaves only the endpoints that a function keeps. It is called when the answer changes, not at each pick, and
// must depend on nothing but the endpoint.
func Filter(keep func(Endpoint) bool) Option {
	return func(o *options) { o.metadata, o.filters = true, append(o.filters, keep) }
}

// FilterTXT leaves only the endpoints with key=value in their TXT; the key in whatever case. For versions and canaries.
func FilterTXT(key, value string) Option {
	return Filter(func(e Endpoint) bool {
		v, ok := e.Text(key)
		return ok && v == value
	})
}

// Subtype leaves only the instances that were registered with a subtype (RFC 6763 section 7.1).
func Subtype(sub string) Option {
	return func(o *options) { o.metadata, o.subtype, o.subtyped = true, sub, true }
}

// PreferTXT takes the endpoints with key=value in their TXT before the others of the same priority, which are used only
// while none of them is usable: zone=a for those of the caller's own zone.
func PreferTXT(key, value string) Option {
	return func(o *options) { o.metadata, o.zoneKey, o.zone = true, key, value }
}

// Subset leaves size endpoints of each priority, chosen by rendezvous hashing of their identities with the client's
// name: the same ones for the same client each time, other ones for other clients, and a change of the set changes no
// more than it must.
func Subset(client string, size int) Option {
	return func(o *options) { o.client, o.size, o.subset = client, size, true }
}

// SlowStart raises the weight of an endpoint that is new from a tenth to the whole within a window. It has an effect
// with the weighted strategies only, and none on the endpoints that were there at the balancer's first pick.
func SlowStart(window time.Duration) Option {
	return func(o *options) { o.slowStart = window }
}

// check returns an error for every option that is wrong.
func (o *options) check() error {
	var errs []error
	if o.subset && o.size < 1 {
		errs = append(errs, fmt.Errorf("Subset of %d: must be at least 1", o.size))
	}
	if o.slowStart < 0 {
		errs = append(errs, fmt.Errorf("SlowStart of %v: must not be negative", o.slowStart))
	}
	if err := dnssd.CheckSubtype(o.subtype); o.subtyped && err != nil {
		errs = append(errs, fmt.Errorf("Subtype %q: %w", o.subtype, err))
	}
	return errors.Join(errs...)
}

// subtypeName returns the owner name of a subtype's PTR records.
func subtypeName(sub, name string) string {
	return dnssd.Escape(sub) + "." + dnssd.SubtypeLabel + "." + name
}

// arrange returns the endpoints of one priority that may be picked, in groups of which the first is preferred.
func (o *options) arrange(class []Endpoint) [][]Endpoint {
	var local, other []Endpoint
	for _, e := range o.choose(class) {
		value, ok := "", false
		if o.zoneKey != "" {
			value, ok = e.Text(o.zoneKey)
		}
		if ok && value == o.zone {
			local = append(local, e)
		} else {
			other = append(other, e)
		}
	}
	return slices.DeleteFunc([][]Endpoint{local, other}, func(group []Endpoint) bool { return len(group) == 0 })
}

// choose returns the endpoints that are usable, kept by every filter and in the subset.
func (o *options) choose(class []Endpoint) (out []Endpoint) {
	for _, e := range class {
		dropped := func(keep func(Endpoint) bool) bool { return !keep(e) }
		if e.usable() && !slices.ContainsFunc(o.filters, dropped) {
			out = append(out, e)
		}
	}
	if !o.subset || len(out) <= o.size {
		return out
	}
	slices.SortFunc(out, func(a, b Endpoint) int { return cmp.Compare(o.rank(a), o.rank(b)) })
	out = out[:o.size]
	slices.SortFunc(out, compareEndpoints)
	return out
}

// rank is where an endpoint stands for the client: the lowest are its subset.
func (o *options) rank(e Endpoint) uint64 { return hash(o.client + "\x00" + e.hashKey()) }
