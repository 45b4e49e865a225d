package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"

	"github.com/dnsreg/dnsreg/configs"
	"github.com/dnsreg/dnsreg/heartbeat/endpoint"
	"github.com/dnsreg/dnsreg/internal/metrics"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
	"github.com/dnsreg/dnsreg/store/redisstore"
)

// registry is a store, of whatever kind, with what the daemon needs to know of it besides the store's contract.
type registry struct {
	endpoint.Store
	run     func(context.Context) error
	restore func() error             // to be called before anything is served
	figures func() metrics.Store     // for /metrics
	state   func() map[string]string // of its parts, for /readyz; nil: it has none
	shared  bool                     // with other servers
}

// newRegistry returns the store that cfg names. It opens nothing but the files of TLS.
func newRegistry(cfg configs.Store, rules store.Rules, log *slog.Logger) (*registry, error) {
	if cfg.Memory() {
		return newMemory(cfg, rules, log)
	}
	return newRedis(cfg, rules, log)
}

func newMemory(cfg configs.Store, rules store.Rules, log *slog.Logger) (*registry, error) {
	s, err := memstore.New(memstore.Config{
		Rules:        rules,
		MaxInstances: cfg.MaxInstances,
		SnapshotFile: cfg.SnapshotFile,
		Logger:       log,
	})
	if err != nil {
		return nil, err
	}
	return &registry{
		Store:   s,
		run:     s.Run,
		restore: s.Restore,
		figures: func() metrics.Store { return memoryFigures(s) },
	}, nil
}

func memoryFigures(s *memstore.Store) metrics.Store {
	stats := s.Stats()
	return metrics.Store{
		Registrations:   stats.Registrations,
		Renewals:        stats.Renewals,
		Deregistrations: stats.Deregistrations,
		Expiries:        stats.Expiries,
		Instances:       stats.Instances,
		Services:        stats.Services,
		Revision:        stats.Revision,
		Freshness:       s.Freshness(),
		Memory:          &metrics.Memory{Tombstones: stats.Tombstones, Saves: stats.Saves, SaveErrors: stats.SaveErrors},
	}
}

func newRedis(cfg configs.Store, rules store.Rules, log *slog.Logger) (*registry, error) {
	secure, err := clientTLS(cfg)
	if err != nil {
		return nil, err
	}
	s, err := redisstore.New(redisstore.Config{
		Rules:    rules,
		URL:      cfg.URL,
		Prefix:   cfg.Prefix,
		Notify:   redisstore.Notify(cfg.Notify),
		MaxStale: cfg.MaxStale,
		// A server that was cut off for as long as it may answer must still learn what was deregistered meanwhile.
		Retention: max(cfg.MaxStale, redisstore.DefaultRetention),
		TLS:       secure,
		Logger:    log,
	})
	if err != nil {
		return nil, blameKeys(err)
	}
	return &registry{
		Store:   s,
		run:     s.Run,
		restore: func() error { return nil },
		figures: func() metrics.Store { return redisFigures(s.Stats()) },
		state:   func() map[string]string { return redisState(s.Stats()) },
		shared:  true,
	}, nil
}

func redisState(stats redisstore.Stats) map[string]string {
	state := map[string]string{"bell": stats.Bell, "reaper": stats.Reaper}
	if stats.Recovering {
		state["data"] = "recovering"
	}
	return state
}

func redisFigures(stats redisstore.Stats) metrics.Store {
	return metrics.Store{
		Registrations:   stats.Registrations,
		Renewals:        stats.Renewals,
		Deregistrations: stats.Deregistrations,
		Expiries:        stats.Expiries,
		Instances:       stats.Instances,
		Services:        stats.Services,
		Revision:        stats.Revision,
		Freshness:       stats.Freshness,
		Redis: &metrics.Redis{
			Age:        stats.Age,
			Failures:   stats.Failures,
			Recovering: stats.Recovering,
			ReadOnly:   stats.ReadOnly,
			Broken:     stats.Broken,
			Bell:       stats.Bell,
			Bells:      stats.Bells,
			Missed:     stats.Missed,
			Visible:    stats.Visible,
			Polls:      stats.Polls,
			Troubles:   stats.Troubles,
			Loads:      stats.Loads,
			Compares:   stats.Compares,
			Recoveries: stats.Recoveries,
			Reaper:     stats.Reaper,
			Watched:    stats.Due,
			Checked:    stats.Reaps,
			Clamped:    stats.Clamps,
		},
	}
}

// blameKeys returns what a Redis store found wrong in terms of the keys that it was configured by.
func blameKeys(err error) error {
	var invalid *store.InvalidError
	if !errors.As(err, &invalid) {
		return err
	}
	keys := map[string]string{
		"URL": "store.url", "Prefix": "store.prefix", "Notify": "store.notify", "MaxStale": "store.max_stale",
	}
	wrong := new(configs.Error)
	for _, f := range invalid.Fields {
		key, ok := keys[f.Field]
		if !ok {
			return err
		}
		if key == "store.url" {
			f.Value = "" // whatever is wrong with it, it may hold a password
		}
		wrong.Problems = append(wrong.Problems, configs.Problem{Key: key, Value: f.Value, Rule: f.Rule})
	}
	return wrong
}

// clientTLS returns how the store's server is told from others and what it is shown, nil for the system's way. The
// client's certificate is read again for each connection, so that it may be renewed.
func clientTLS(cfg configs.Store) (*tls.Config, error) {
	if cfg.TLSCA == "" && cfg.TLSCert == "" {
		return nil, nil
	}
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.TLSCA != "" {
		pem, err := os.ReadFile(cfg.TLSCA)
		if err != nil {
			return nil, fileErrorf("store.tls_ca: %w", err)
		}
		secure.RootCAs = x509.NewCertPool()
		if !secure.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fileErrorf("store.tls_ca %q: must hold a certificate in PEM", cfg.TLSCA)
		}
	}
	if cfg.TLSCert != "" {
		load := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey)
			return &pair, err
		}
		if _, err := load(nil); err != nil {
			return nil, fileErrorf("store.tls_cert %q, store.tls_key %q: %w", cfg.TLSCert, cfg.TLSKey, err)
		}
		secure.GetClientCertificate = load
	}
	return secure, nil
}
