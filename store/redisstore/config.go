package redisstore

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// Notify says what is done about Redis' notify-keyspace-events, which the bell needs to contain K, z and x.
type Notify string

const (
	// NotifyAuto adds the missing flags to those that are set.
	NotifyAuto Notify = "auto"
	// NotifyCheck leaves the flags alone and reports those that are missing.
	NotifyCheck Notify = "check"
	// NotifyOff does without the bell: changes are seen by polling.
	NotifyOff Notify = "off"
)

// Defaults of a [Config].
const (
	DefaultPrefix    = "dnsreg"
	DefaultMaxStale  = 10 * time.Minute
	DefaultRetention = 10 * time.Minute

	defaultPoll   = 500 * time.Millisecond
	defaultTick   = 250 * time.Millisecond
	defaultStale  = 5 * time.Second
	defaultVisits = 10 * time.Minute
)

// Config is what a [Store] is made from. A field of zero takes its default.
//
// The URL is redis://[user[:password]@]host[:port][,host[:port]…][/database][?master=NAME], rediss:// with TLS. Several
// addresses are nodes of a Cluster, or Sentinels where a master is named; those may have a user of their own, as
// sentinel_username and sentinel_password in the query.
type Config struct {
	Rules     store.Rules   // of the zone; its Zone is required
	URL       string        // required: redis:// or rediss:// as above
	Prefix    string        // of every key; default DefaultPrefix
	Notify    Notify        // default NotifyAuto
	MaxStale  time.Duration // how long the view is answered from without Redis; default DefaultMaxStale
	Retention time.Duration // least life of tombstones and emptied services, the same on all servers; default DefaultRetention
	TLS       *tls.Config   // for rediss: roots, client certificates; nil: the system's roots
	Logger    *slog.Logger  // default: discards

	Poll         time.Duration // between two looks at the revision; default 500 ms
	Tick         time.Duration // between two rounds of the reaper; default 250 ms
	StaleAfter   time.Duration // without a good look, the view is called stale; default 5 s
	CompareEvery time.Duration // between two comparisons of the whole log; default 10 min
}

// complete returns the configuration with its defaults and the parsed URL, or an error that wraps an
// [*store.InvalidError].
func (c Config) complete() (Config, target, error) {
	var wrong []store.FieldError
	require := func(ok bool, field string, value any, rule string) {
		if !ok {
			wrong = append(wrong, store.NewFieldError(field, fmt.Sprint(value), rule))
		}
	}
	zone, err := dnssd.ParseZone(c.Rules.Zone)
	require(err == nil && zone == c.Rules.Zone, "Rules.Zone", c.Rules.Zone, "must be a zone in canonical form, see dnssd.ParseZone")
	for i, host := range c.Rules.Hosts {
		ok := dnssd.CheckHostLabel(host) == nil && dnssd.Fold(host) == host
		require(ok, fmt.Sprintf("Rules.Hosts[%d]", i), host, "must be a host label in small letters")
	}
	target, err := parseURL(c.URL)
	if err != nil {
		require(false, "URL", "…", err.Error()) // the value may hold a password
	}
	require(strings.Trim(c.Prefix, prefixLetters) == "", "Prefix", c.Prefix, "must be letters, digits, '.', ':', '_' and '-'")
	switch c.Notify {
	case "", NotifyAuto, NotifyCheck, NotifyOff:
	default:
		require(false, "Notify", c.Notify, "must be auto, check or off")
	}
	for field, d := range map[string]time.Duration{
		"MaxStale": c.MaxStale, "Retention": c.Retention, "Poll": c.Poll, "Tick": c.Tick,
		"StaleAfter": c.StaleAfter, "CompareEvery": c.CompareEvery,
	} {
		require(d >= 0, field, d, "must not be negative")
	}
	if wrong != nil {
		return Config{}, target, fmt.Errorf("redisstore: %w", &store.InvalidError{Fields: wrong})
	}
	return c.withDefaults(), target, nil
}

const prefixLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:_-"

func (c Config) withDefaults() Config {
	for d, value := range map[*time.Duration]time.Duration{
		&c.MaxStale: DefaultMaxStale, &c.Retention: DefaultRetention, &c.Poll: defaultPoll, &c.Tick: defaultTick,
		&c.StaleAfter: defaultStale, &c.CompareEvery: defaultVisits,
	} {
		if *d == 0 {
			*d = value
		}
	}
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	if c.Notify == "" {
		c.Notify = NotifyAuto
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// newID returns an unguessable text for an epoch or a server.
func newID() string { return rand.Text() }
