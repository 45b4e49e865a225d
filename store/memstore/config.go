package memstore

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// Defaults of a [Config].
const (
	DefaultMaxInstances  = 1_000_000
	DefaultMaxTombstones = 65_536
	DefaultRetention     = 10 * time.Minute
	DefaultSnapshotEvery = 30 * time.Second
)

// Config is what a [Store] is made from. A field of zero takes its default.
type Config struct {
	Rules         store.Rules   // of the zone; its Zone is required
	MaxInstances  int           // live instances; default DefaultMaxInstances
	MaxTombstones int           // deregistered ids, and emptied services in Changes, remembered; default DefaultMaxTombstones
	Retention     time.Duration // how far back Changes reaches, and the least life of a tombstone; default DefaultRetention
	SnapshotFile  string        // path of the file that outlives the process, see Store.Restore; none by default
	SnapshotEvery time.Duration // between two writes of it; default DefaultSnapshotEvery
	Logger        *slog.Logger  // default: discards
}

// complete returns the configuration with its defaults, or an [*store.InvalidError] inside an error that says whose.
func (c Config) complete() (Config, error) {
	var wrong []store.FieldError
	require := func(ok bool, field string, value any, rule string) {
		if !ok {
			wrong = append(wrong, store.NewFieldError(field, fmt.Sprint(value), rule))
		}
	}
	zone, err := dnssd.ParseZone(c.Rules.Zone)
	require(err == nil && zone == c.Rules.Zone, "Rules.Zone", c.Rules.Zone, "must be a zone in canonical form, see dnssd.ParseZone")
	for i, host := range c.Rules.Hosts {
		ok := dnssd.CheckHostLabel(host) == nil && strings.ToLower(host) == host
		require(ok, fmt.Sprintf("Rules.Hosts[%d]", i), host, "must be a host label in small letters")
	}
	require(c.MaxInstances >= 0, "MaxInstances", c.MaxInstances, notNegative)
	require(c.MaxTombstones >= 0, "MaxTombstones", c.MaxTombstones, notNegative)
	require(c.Retention >= 0, "Retention", c.Retention, notNegative)
	require(c.SnapshotEvery >= 0, "SnapshotEvery", c.SnapshotEvery, notNegative)
	if wrong != nil {
		return Config{}, fmt.Errorf("memstore: %w", &store.InvalidError{Fields: wrong})
	}
	return c.withDefaults(), nil
}

const notNegative = "must not be negative"

func (c Config) withDefaults() Config {
	if c.MaxInstances == 0 {
		c.MaxInstances = DefaultMaxInstances
	}
	if c.MaxTombstones == 0 {
		c.MaxTombstones = DefaultMaxTombstones
	}
	if c.Retention == 0 {
		c.Retention = DefaultRetention
	}
	if c.SnapshotEvery == 0 {
		c.SnapshotEvery = DefaultSnapshotEvery
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}
