package redisstore

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Bounds of what Redis may take. Together they keep every call within callTimeout.
const (
	callTimeout = 1100 * time.Millisecond
	dialTimeout = time.Second
	ioTimeout   = 500 * time.Millisecond
	poolTimeout = 200 * time.Millisecond

	clusterReload = 2 * time.Second
	reloadPause   = 500 * time.Millisecond
	protocol      = 2 // RESP3 adds push messages that nothing here needs
	noRetries     = -1
)

// connection is the way to the zone's data: a client for commands, and the node that is the master of its keys.
type connection struct {
	redis.UniversalClient
	master func(ctx context.Context) (*redis.Client, error)
	reload func(ctx context.Context) // has a Cluster's map looked at anew, at most twice a second
}

// connect prepares a connection and dials nothing.
func connect(t target, config *tls.Config, metaKey string) *connection {
	switch {
	case t.cluster():
		c := redis.NewClusterClient(t.clusterOptions(config))
		reload := new(reloader)
		return &connection{
			c,
			func(ctx context.Context) (*redis.Client, error) { return c.MasterForKey(ctx, metaKey) },
			func(ctx context.Context) { reload.try(ctx, c) },
		}
	case t.master != "":
		return single(redis.NewFailoverClient(t.options(config).Failover()))
	default:
		return single(redis.NewClient(t.options(config).Simple()))
	}
}

func single(c *redis.Client) *connection {
	return &connection{c, func(context.Context) (*redis.Client, error) { return c, nil }, func(context.Context) {}}
}

// reloader keeps a Cluster's map from being asked for too often.
type reloader struct {
	mu   sync.Mutex
	last time.Time
}

func (r *reloader) try(ctx context.Context, c *redis.ClusterClient) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.last) >= reloadPause {
		r.last = now
		c.ReloadState(ctx)
	}
}

// tlsConfig returns the configuration for TLS, nil without it.
func (t target) tlsConfig(config *tls.Config) *tls.Config {
	if !t.tls {
		return nil
	}
	if config == nil {
		config = new(tls.Config)
	}
	config = config.Clone()
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	if host, _, err := net.SplitHostPort(t.addresses[0]); err == nil && config.ServerName == "" && !t.cluster() && t.master == "" {
		config.ServerName = host
	}
	return config
}

// options are what every kind of client has.
func (t target) options(config *tls.Config) *redis.UniversalOptions {
	return &redis.UniversalOptions{
		Addrs:                    t.addresses,
		MasterName:               t.master,
		SentinelUsername:         t.sentinelUsername,
		SentinelPassword:         t.sentinelPassword,
		DB:                       t.database,
		Username:                 t.username,
		Password:                 t.password,
		TLSConfig:                t.tlsConfig(config),
		Protocol:                 protocol,
		MaxRetries:               noRetries,
		DialTimeout:              dialTimeout,
		DialerRetries:            1,
		ReadTimeout:              ioTimeout,
		WriteTimeout:             ioTimeout,
		PoolTimeout:              poolTimeout,
		ContextTimeoutEnabled:    true,
		DisableIdentity:          true,
		FailingTimeoutSeconds:    1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

func (t target) clusterOptions(config *tls.Config) *redis.ClusterOptions {
	options := t.options(config).Cluster()
	options.ClusterStateReloadInterval = clusterReload
	options.DisableRoutingPolicies = true
	return options
}
