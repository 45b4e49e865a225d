package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"

	"github.com/dnsreg/dnsreg/configs"
	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/heartbeat/endpoint"
	"github.com/dnsreg/dnsreg/internal/metrics"
)

// daemon is a whole server: stores, DNS and HTTP. Listen, then Run, each once.
type daemon struct {
	url   string // of the stores, without what is secret
	log   *slog.Logger
	sites []*site // the default zone first
	dns   *dnsserver.Server
	http  *endpoint.Server
}

// newDaemon returns a server that does nothing yet. It reads every file that the configuration names. Its error names
// every key that is wrong.
//
// Sockets that are bound already take the place of addresses to listen on.
func newDaemon(cfg configs.Config, bound sockets, log *slog.Logger) (*daemon, error) {
	cfg = bound.replace(cfg)
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	d := &daemon{url: cfg.Store.ShownURL(), log: log}
	var err error
	if d.sites, err = newSites(cfg, log); err != nil {
		return nil, err
	}
	if d.dns, err = d.newDNS(cfg, bound.dns); err != nil {
		return nil, err
	}
	if d.http, err = d.newHTTP(cfg, bound.http); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *daemon) newHTTP(cfg configs.Config, bound []net.Listener) (*endpoint.Server, error) {
	tokens, err := readTokens(cfg.Auth.Tokens)
	if err != nil {
		return nil, err
	}
	page, err := d.metrics()
	if err != nil {
		return nil, err
	}
	mode := cfg.Auth.Mode
	if mode == configs.AuthAuto {
		mode = "" // what the endpoint makes of the tokens
	}
	return endpoint.New(endpoint.Config{
		Zones:          each(d.sites, (*site).http),
		Shared:         d.sites[0].store.shared,
		AnswerTTL:      cfg.DNS.TTL,
		Listen:         cfg.HTTP.Listen,
		Listeners:      bound,
		AuthMode:       mode,
		Tokens:         tokens,
		TrustedProxies: cfg.HTTP.TrustedProxies,
		Metrics:        page,
		Logger:         d.log,
	})
}

// readTokens reads the token file at path; no path, no tokens.
func readTokens(path string) ([]endpoint.Token, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fileErrorf("auth.tokens: %w", err)
	}
	defer func() { _ = f.Close() }() // only read from
	tokens, err := endpoint.ParseTokens(f)
	if err == nil && len(tokens) == 0 {
		err = errors.New("must hold at least one token")
	}
	if err != nil {
		return nil, fileErrorf("auth.tokens %q: %w", path, err)
	}
	return tokens, nil
}

// metrics returns the handler of /metrics, which is part of the endpoint that it reads from.
func (d *daemon) metrics() (http.Handler, error) {
	return metrics.Handler(metrics.Sources{
		Version: buildVersion(),
		DNS:     func() dnsserver.Stats { return d.dns.Stats() },
		HTTP:    func() endpoint.Stats { return d.http.Stats() },
		Stores:  func() []metrics.Store { return each(d.sites, (*site).figures) },
	})
}

// each returns what of makes of every element of a list.
func each[T, U any](list []T, of func(T) U) []U {
	out := make([]U, len(list))
	for i, v := range list {
		out[i] = of(v)
	}
	return out
}

// Listen binds every address. Its error names the key whose address is not free, and then none stays bound.
func (d *daemon) Listen() error {
	if err := d.dns.Listen(); err != nil {
		return fmt.Errorf("dns.listen: %w", err)
	}
	if err := d.http.Listen(); err != nil {
		return errors.Join(err, closing(d.dns.Run))
	}
	return nil
}

// closing returns the error of a part that runs just to close its sockets.
func closing(run func(context.Context) error) error {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	return run(ended)
}

// DNS returns the addresses that DNS listens on, with the ports in place of 0.
func (d *daemon) DNS() []netip.AddrPort { return d.dns.Addrs() }

// URL returns the URL of the HTTP endpoint's first address.
func (d *daemon) URL() string { return d.http.URL() }

// Run serves until ctx ends or a part fails, and returns when everything has stopped, in this order:
//
//  1. HTTP: /readyz says no, nobody is accepted, calls that run are finished;
//  2. DNS: nothing more is read, what was read is answered;
//  3. the stores.
//
// So whoever was told "registered" is answered for as long as DNS answers at all.
//
// A store that is out of reach keeps nothing from starting: it is served as lost until it is found.
func (d *daemon) Run(ctx context.Context) error {
	for _, s := range d.sites {
		if err := s.store.restore(); err != nil {
			return errors.Join(fmt.Errorf("store.snapshot_file: %w", err), closing(d.http.Run), closing(d.dns.Run))
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	runs := each(d.sites, func(s *site) func(context.Context) error { return s.store.run })
	var parts []*part
	for _, run := range append(runs, d.dns.Run, d.http.Run) {
		parts = append(parts, start(context.WithoutCancel(ctx), run, cancel))
	}
	names := each(d.sites, func(s *site) string { return s.name })
	d.log.Info("serving", "zones", names, "dns", d.DNS(), "http", d.URL(), "store", d.url, "version", buildVersion())
	<-ctx.Done()
	d.log.Info("stopping")
	var errs []error
	for _, p := range slices.Backward(parts) {
		errs = append(errs, p.end())
	}
	d.log.Info("stopped")
	return errors.Join(errs...)
}

// part is a part of a daemon that runs.
type part struct {
	stop context.CancelFunc
	done chan error
}

// start runs a part until its end is called; ended is called if it ends before that, and after.
func start(ctx context.Context, run func(context.Context) error, ended func()) *part {
	ctx, stop := context.WithCancel(ctx)
	p := &part{stop: stop, done: make(chan error, 1)}
	go func() {
		defer ended()
		p.done <- run(ctx)
	}()
	return p
}

// end stops the part and returns its error when it has ended.
func (p *part) end() error {
	p.stop()
	return <-p.done
}
