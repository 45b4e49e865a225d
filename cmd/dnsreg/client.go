package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dnsreg/dnsreg/configs"
	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/resolverclient"
)

// Where the client verbs find a server that was told nothing either.
const (
	defaultServer = "http://127.0.0.1:8054"
	defaultDNS    = "127.0.0.1:8053"
)

// httpFlags are the flags of the verbs that call the HTTP API.
type httpFlags struct {
	server, zone, tokenFile string
	timeout                 time.Duration
}

func (f *httpFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.server, "server", env("DNSREG_SERVER", defaultServer), "URL of the server (DNSREG_SERVER)")
	cmd.Flags().StringVar(&f.zone, "zone", env("DNSREG_ZONE_NAME", ""), "zone of the registry (DNSREG_ZONE_NAME); none: the server's default zone")
	cmd.Flags().StringVar(&f.tokenFile, "token-file", env("DNSREG_TOKEN_FILE", ""), "file with the bearer token (DNSREG_TOKEN_FILE)")
	addTimeout(cmd, &f.timeout)
}

func addTimeout(cmd *cobra.Command, timeout *time.Duration) {
	cmd.Flags().DurationVar(timeout, "timeout", 0, "give up after this long with exit code 124 (default: each call has its own limit)")
}

// checkTimeout refuses what is no limit.
func checkTimeout(timeout time.Duration) error {
	if timeout < 0 {
		return usagef("--timeout %v: must not be negative", timeout)
	}
	return nil
}

// checkServers refuses what is no address of a DNS server.
func checkServers(servers []string) error {
	for _, s := range servers {
		_, port, err := net.SplitHostPort(s)
		if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 {
			return usagef("--dns %q: must be host:port, such as %s", s, defaultDNS)
		}
	}
	return nil
}

// checkZone refuses what can be no zone.
func checkZone(zone string) error {
	if _, err := dnssd.ParseZone(zone); err != nil {
		return usagef("--zone %q: %w", zone, err)
	}
	return nil
}

// env returns a variable's value, or preset where it is empty.
func env(name, preset string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return preset
}

// client returns a client of the server that the flags name, after a look at the environment for variables that nobody
// reads.
func (f *httpFlags) client() (*heartbeat.Client, error) {
	if err := cmp.Or(configs.CheckEnvironment(), checkTimeout(f.timeout)); err != nil {
		return nil, err
	}
	token, err := readToken(f.tokenFile)
	if err != nil {
		return nil, err
	}
	cfg := heartbeat.Config{Server: f.server, Zone: f.zone, Token: token}
	if f.timeout > 0 {
		cfg.HTTPClient = &http.Client{} // the limit is --timeout, shorter or longer than the client's own
	}
	client, err := heartbeat.NewClient(cfg)
	if err != nil {
		return nil, usageError{err}
	}
	return client, nil
}

// readToken returns the one line of the token file at path; no path, no token.
func readToken(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", usagef("read token file: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", usagef("token file %s: must hold one token of printable ASCII and nothing else", path)
	}
	return token, nil
}

// within returns ctx with the limit of --timeout, if there is one.
func within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%w: --timeout %v", errTimedOut, timeout))
}

// errTimedOut says that a verb's --timeout is over, which no other deadline does.
var errTimedOut = errors.New("timed out")

// inTime returns err, or that --timeout is over where that is why the call that returned err ended.
func inTime(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errTimedOut) && !errors.Is(err, errTimedOut) {
		return cause
	}
	return err
}

// call runs do with a client and the limit of the flags.
func (f *httpFlags) call(ctx context.Context, do func(context.Context, *heartbeat.Client) error) error {
	client, err := f.client()
	if err != nil {
		return err
	}
	ctx, cancel := within(ctx, f.timeout)
	defer cancel()
	return inTime(ctx, do(ctx, client))
}

// dnsFlags are the flags of the verbs that ask DNS.
type dnsFlags struct {
	dns     []string
	zone    string
	timeout time.Duration
}

func (f *dnsFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.dns, "dns", strings.Split(env("DNSREG_DNS", defaultDNS), ","), "DNS servers, host:port (DNSREG_DNS)")
	cmd.Flags().StringVar(&f.zone, "zone", env("DNSREG_ZONE_NAME", configs.Default().Zone.Name), "zone of the registry (DNSREG_ZONE_NAME)")
	addTimeout(cmd, &f.timeout)
}

// call runs do with a resolver and the limit of the flags, and closes the resolver.
func (f *dnsFlags) call(ctx context.Context, do func(context.Context, *resolverclient.Client) error) (err error) {
	if err := cmp.Or(configs.CheckEnvironment(), checkTimeout(f.timeout), checkServers(f.dns), checkZone(f.zone)); err != nil {
		return err
	}
	client, err := resolverclient.New(resolverclient.Config{Servers: f.dns, Zone: f.zone})
	if err != nil {
		return usageError{err}
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	ctx, cancel := within(ctx, f.timeout)
	defer cancel()
	return inTime(ctx, do(ctx, client))
}
