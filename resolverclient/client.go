package resolverclient

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// Client looks services up and remembers the answers. Make one with [New] and share it; the zero value does not work.
type Client struct {
	cfg     Config
	zone    string // canonical, or empty
	servers []*server
	cache   cache
	saved   *snapshot

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu      sync.Mutex  // guards writing closed, running.Add against Close, and timers
	closed  atomic.Bool // read by every pick
	running sync.WaitGroup
	timers  map[*time.Timer]bool // of after
}

// New returns a client of the servers that cfg names, or an error that names every wrong field. It reads
// [Config.ResolvConf] where cfg names no server, and [Config.SnapshotFile], sends nothing and starts nothing.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	zone, zerr := parseZone(cfg.Zone)
	var serr error
	if len(cfg.Servers) == 0 {
		cfg.Servers, serr = systemServers(cfg.ResolvConf)
	}
	if err := errors.Join(cfg.check(), zerr, serr); err != nil {
		return nil, fmt.Errorf("resolverclient: %w", err)
	}
	c := &Client{cfg: cfg, zone: zone, timers: map[*time.Timer]bool{}}
	c.cache = cache{max: cfg.MaxEntries, entries: map[question]*slot{}, spelled: map[question]*slot{}}
	for _, addr := range cfg.Servers {
		c.servers = append(c.servers, &server{addr: addr, dial: cfg.Dial, timeout: cfg.Timeout})
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.saved = openSnapshot(c)
	return c, nil
}

// Close ends lookups that are under way and waits for their goroutines. Later calls return [ErrClosed], those of
// balancers, watchers and transports too; idle connections of transports are closed, and others when their requests
// end. It returns the error of writing [Config.SnapshotFile], if there is one.
func (c *Client) Close() error {
	c.mu.Lock()
	first := c.closed.CompareAndSwap(false, true)
	for timer := range c.timers {
		timer.Stop()
	}
	clear(c.timers)
	c.mu.Unlock()
	c.cancel()
	c.running.Wait()
	if !first {
		return nil
	}
	err := c.saved.close()
	c.cache.close()
	return err
}

// begin counts a goroutine that Close waits for, or reports that the client is closed.
func (c *Client) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	open := !c.closed.Load()
	if open {
		c.running.Add(1)
	}
	return open
}

// after calls f when d has passed, unless the client is closed before.
func (c *Client) after(d time.Duration, f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		if !c.begin() {
			return
		}
		defer c.running.Done()
		c.mu.Lock()
		delete(c.timers, timer)
		c.mu.Unlock()
		f()
	})
	c.timers[timer] = true
}

// entry returns the cache's entry of a service, by SRV records alone or by way of PTR.
func (c *Client) entry(service string, kind uint16) (*entry, error) {
	if c.closed.Load() {
		return nil, ErrClosed
	}
	spelled := question{service, kind}
	if e := c.cache.recall(spelled); e != nil {
		return e, nil
	}
	name, err := c.name(service)
	if err != nil {
		return nil, err
	}
	asked := question{name, kind}
	return c.cache.entry(asked, spelled, func() *entry { return newEntry(c, asked) })
}

// name returns the owner name of a service's SRV records in small letters: an absolute name as it is, anything else
// in the zone.
func (c *Client) name(service string) (string, error) {
	if dns.IsFqdn(service) {
		return absoluteName(service)
	}
	canonical, err := dnssd.ParseService(service)
	switch {
	case err != nil:
		return "", fmt.Errorf("service %q: %w, or an absolute name with a dot at its end", service, err)
	case c.zone == "":
		return "", fmt.Errorf("service %q: needs a zone, or an absolute name with a dot at its end", service)
	}
	name := dnssd.ServiceName(c.zone, canonical)
	if _, err := dnssd.Split(name); err != nil {
		return "", fmt.Errorf("service %q: %w", service, err)
	}
	return name, nil
}

// absoluteName returns a name in the escapes that package dns writes, so that it equals the names in replies.
func absoluteName(name string) (string, error) {
	labels, err := dnssd.Split(name)
	if err != nil {
		return "", err
	}
	if len(labels) == 0 {
		return "", fmt.Errorf("service %q: must not be the root", name)
	}
	wire := make([]byte, 0, dnssd.MaxName)
	for _, label := range labels {
		wire = append(append(wire, byte(len(label))), label...)
	}
	name, _, err = dns.UnpackDomainName(append(wire, 0), 0)
	if err != nil {
		return "", fmt.Errorf("service %q: %w", strings.Join(labels, "."), err)
	}
	return dns.CanonicalName(name), nil
}
