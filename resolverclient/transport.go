package resolverclient

import (
	"cmp"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Transport is an http.RoundTripper for URLs that name a service instead of a host, such as http://web/path or
// http://_web._tcp.example.com./path. A URL with a port, an IP address, "localhost" or a host name with a dot inside but
// none at its end goes to the base transport as it is. Make one with [Client.NewTransport]; it may be used by any number of
// goroutines.
//
// A request goes to an instance by [Config.Strategy]. Where no connection comes about it goes to another, as
// [Client.Do] does, with its body, which nobody has read; where it fails otherwise, or is answered with one of
// [Config.RetryStatuses], only if it may be sent twice: GET, HEAD, OPTIONS and TRACE, or one with an Idempotency-Key header,
// and in each case without a body or with GetBody set. Only such a request is hedged, if [Config.HedgeAfter] is set.
// Retries and hedges are taken from one budget ([Config.RetryShare]). The last instance's reply is returned as it is.
//
// Each instance has a pool of connections of its own. When an answer comes that no longer names an instance, its idle
// connections are closed at once, and those in use when their requests end, of HTTP/2 within a second of it. A service
// that nobody has called for [Config.Idle] is not looked up: its idle connections live as long as the base transport's
// IdleConnTimeout says. Pools are kept for [Config.MaxEntries] services; that of the one called longest ago makes room as
// if its instances were gone.
type Transport struct {
	client *Client
	base   *http.Transport

	mu       sync.Mutex        // guards what follows
	services map[string]*pools // by the name that is looked up
	clock    uint64            // counts requests
}

// NewTransport returns a Transport that takes TLS, timeouts, proxies and the like from base, which is not changed; nil
// means http.DefaultTransport's settings without a proxy. Its dial functions are replaced. For https the certificate
// must name the service as in the URL, or base set TLSClientConfig.ServerName.
func (c *Client) NewTransport(base *http.Transport) *Transport {
	if base == nil {
		base = &http.Transport{ForceAttemptHTTP2: true}
		if standard, ok := http.DefaultTransport.(*http.Transport); ok {
			base = standard.Clone()
			base.Proxy = nil
		}
	}
	return &Transport{client: c, base: base.Clone(), services: map[string]*pools{}}
}

// RoundTrip sends a request to an instance of the service that its URL names.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if namesHost(req.URL) {
		return t.base.RoundTrip(req)
	}
	s, err := t.service(req.URL.Hostname())
	if err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	a := attempt{service: s, req: req}
	return a.run()
}

// CloseIdleConnections closes the connections that no request uses.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.base.CloseIdleConnections()
	for _, s := range t.services {
		s.closeIdle()
	}
}

// namesHost reports whether a URL names a host and not a service.
func namesHost(u *url.URL) bool {
	host := u.Hostname()
	_, err := netip.ParseAddr(host)
	name := strings.TrimSuffix(host, ".")
	dotted := name == host && strings.Contains(name, ".") && !strings.HasPrefix(name, "_")
	return u.Port() != "" || err == nil || strings.EqualFold(name, "localhost") || dotted
}

// service returns the pools of a service, however it is spelled.
func (t *Transport) service(service string) (*pools, error) {
	name, err := t.client.name(service)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clock++
	s := t.services[name]
	if s == nil {
		if s, err = t.open(name); err != nil {
			return nil, err
		}
	}
	s.used = t.clock
	return s, nil
}

// open makes the pools of a name, and room for them. t.mu is held.
func (t *Transport) open(name string) (*pools, error) {
	b, err := t.client.Balancer(name, t.client.cfg.Strategy)
	if err != nil {
		return nil, err
	}
	if len(t.services) >= t.client.cfg.MaxEntries {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(t.services)), func(a, b string) int {
			return cmp.Compare(t.services[a].used, t.services[b].used)
		})
		t.services[oldest].retire()
		delete(t.services, oldest)
	}
	s := &pools{base: t.base, balancer: b, of: map[identity]*pool{}}
	s.dialer.Timeout = t.client.cfg.ConnectTimeout
	b.entry.followedBy(s)
	t.services[name] = s
	return s, nil
}
