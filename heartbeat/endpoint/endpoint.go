// Package endpoint is the server's side of registration over HTTP: the calls of the JSON form in package heartbeat,
// made on the store of a zone, with the health and metrics paths beside them.
//
// Every error reply is a problem of RFC 9457, a store's error by the table in problem.go, but for requests that net/http
// refuses before anybody here sees them: what is no HTTP or has too large a header, with a line of plain text, and an
// Expect that it does not know, without a body. With tokens configured every path but
// /livez and /readyz needs one, /metrics and reading included. Where nothing but a loopback address keeps others out,
// requests for the name of another host are refused.
package endpoint

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// Registrar keeps leases. Its methods are safe for concurrent use, keep nothing of their arguments and return the
// errors of package store.
type Registrar interface {
	Register(ctx context.Context, service store.Service, in store.Instance) (store.Registration, error)
	// RenewAll returns as many results as there are renewals, in the same order.
	RenewAll(ctx context.Context, renewals []store.Renewal) ([]store.Renewed, error)
	Deregister(ctx context.Context, service store.Service, id string) (store.Revision, error)
}

// Overlayer keeps what operators set. SetOverlay merges change into what is set, and fails with [store.ErrUnknown]
// where there is no such instance.
type Overlayer interface {
	SetOverlay(ctx context.Context, service store.Service, id string, change store.Overlay) (store.Revision, error)
}

// Reader shows what is registered. View and Freshness never wait; Leases returns the leases of a service by
// [store.Instance.Key].
type Reader interface {
	View() *store.View
	Freshness() store.Freshness
	Leases(ctx context.Context, service store.Service) (map[string]store.Lease, error)
}

// Store is what the endpoint calls of a store.
type Store interface {
	Registrar
	Overlayer
	Reader
}

// Values of Config.AuthMode.
const (
	AuthNone  = "none"  // whoever reaches the address may do everything
	AuthToken = "token" // a bearer token is needed
)

// Config configures a [Server].
type Config struct {
	Zones []Zone // at least one; the first is that of the paths which name none

	// AnswerTTL is the greatest TTL of a DNS answer about an instance: a cache holds a removed one for so long.
	AnswerTTL time.Duration
	// Shared says that other servers read the same stores, so that a loopback address means something else to them.
	Shared bool

	Listen         []string       // host:port each, port 0 for any; may be empty where only Handler is used
	Listeners      []net.Listener // in place of Listen, of TCP and bound by somebody else; Run closes them
	AuthMode       string         // AuthNone or AuthToken; empty: AuthToken where there are Tokens, else none but on loopback only, asked for as localhost or an IP address
	Tokens         []Token        // see ParseTokens
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed; Forwarded (RFC 7239) is not read

	// Capacity is how many renewals a second this server is good for: from half of that on, heartbeats are asked to come
	// less often. 0: 10,000 for each processor.
	Capacity float64

	Metrics http.Handler  // of /metrics; nil: there is no such path
	Ready   func() error  // besides the store, what /readyz asks; nil: nothing. Must be safe for concurrent use and not wait
	Timeout time.Duration // of one call of a store; 0: 5 s
	Drain   time.Duration // longest wait for running calls when Run ends; 0: 5 s
	Logger  *slog.Logger  // nil: silent
}

// Server is the HTTP endpoint. Its handler may be used with or without Listen and Run.
type Server struct {
	cfg       Config
	log       *slog.Logger
	zones     []*zone
	tokens    []Token // none: no authentication
	handler   http.Handler
	counters  *counters
	pacer     *pacer
	listeners []net.Listener
	stopping  atomic.Bool
}

// New returns a server that does nothing before Listen and Run, or an error that names every field of cfg that is
// wrong.
func New(cfg Config) (*Server, error) {
	for i, l := range cfg.Listeners {
		if i == 0 {
			cfg.Listen = nil
		}
		cfg.Listen = append(cfg.Listen, l.Addr().String())
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Server{cfg: cfg, log: cfg.Logger, counters: newCounters(), pacer: newPacer(cfg.Capacity)}
	for _, z := range cfg.Zones {
		z.Store = bounded{z.Store, cfg.Timeout}
		s.zones = append(s.zones, &zone{s, z})
	}
	if cfg.AuthMode != AuthNone {
		s.tokens = cfg.Tokens
	}
	s.handler = s.routes()
	return s, nil
}

func (c Config) withDefaults() Config {
	c.Timeout = cmp.Or(c.Timeout, 5*time.Second)
	c.Drain = cmp.Or(c.Drain, 5*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}
