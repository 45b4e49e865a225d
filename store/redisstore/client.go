package redisstore

import (
	"context"
	"crypto/tls"
	"net"
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
	protocol      = 2 // RESP3 adds push messages that nothing here needs
	noRetries     = -1
)

// connection is the way to the zone's data: a client for commands, and the node that is the master of its keys.
type connection struct {
	redis.UniversalClient
	master func(ctx context.Context) (*redis.Client, error)
}

// connect prepares a connection and dials nothing.
func connect(t target, config *tls.Config, metaKey string) *connection {
	switch {
	case t.cluster():
		c := redis.NewClusterClient(t.clusterOptions(config))
		return &connection{c, func(ctx context.Context) (*redis.Client, error) { return c.MasterForKey(ctx, metaKey) }}
	case t.master != "":
		c := redis.NewFailoverClient(t.failoverOptions(config))
		return &connection{c, func(context.Context) (*redis.Client, error) { return c, nil }}
	default:
		c := redis.NewClient(t.options(config))
		return &connection{c, func(context.Context) (*redis.Client, error) { return c, nil }}
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

func maintenanceOff() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

func (t target) options(config *tls.Config) *redis.Options {
	return &redis.Options{
		Addr:                     t.addresses[0],
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
		MaintNotificationsConfig: maintenanceOff(),
	}
}

func (t target) failoverOptions(config *tls.Config) *redis.FailoverOptions {
	return &redis.FailoverOptions{
		MasterName:            t.master,
		SentinelAddrs:         t.addresses,
		SentinelUsername:      t.sentinelUsername,
		SentinelPassword:      t.sentinelPassword,
		DB:                    t.database,
		Username:              t.username,
		Password:              t.password,
		TLSConfig:             t.tlsConfig(config),
		Protocol:              protocol,
		MaxRetries:            noRetries,
		DialTimeout:           dialTimeout,
		DialerRetries:         1,
		ReadTimeout:           ioTimeout,
		WriteTimeout:          ioTimeout,
		PoolTimeout:           poolTimeout,
		ContextTimeoutEnabled: true,
		DisableIdentity:       true,
	}
}

func (t target) clusterOptions(config *tls.Config) *redis.ClusterOptions {
	return &redis.ClusterOptions{
		Addrs:                      t.addresses,
		Username:                   t.username,
		Password:                   t.password,
		TLSConfig:                  t.tlsConfig(config),
		Protocol:                   protocol,
		DialTimeout:                dialTimeout,
		DialerRetries:              1,
		ReadTimeout:                ioTimeout,
		WriteTimeout:               ioTimeout,
		PoolTimeout:                poolTimeout,
		ContextTimeoutEnabled:      true,
		DisableIdentity:            true,
		MaintNotificationsConfig:   maintenanceOff(),
		ClusterStateReloadInterval: clusterReload,
		FailingTimeoutSeconds:      1,
		DisableRoutingPolicies:     true,
	}
}
