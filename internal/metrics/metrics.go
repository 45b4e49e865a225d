// Package metrics shows what the parts of a server have counted in the form that Prometheus reads.
package metrics

import (
	"net/http"
	"runtime"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/heartbeat/endpoint"
)

// Sources are the parts of a server. Each function is called once for each scrape, from any goroutine.
type Sources struct {
	Version string // of the build
	DNS     func() dnsserver.Stats
	HTTP    func() endpoint.Stats
	Stores  func() []Store // of each zone
}

// Handler returns the handler of /metrics: the figures of the sources, the build's, the Go runtime's and the process's.
// It calls no source before the first scrape.
func Handler(s Sources) (http.Handler, error) {
	registry, err := NewRegistry(s)
	if err != nil {
		return nil, err
	}
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), nil
}

// NewRegistry returns the registry behind [Handler].
func NewRegistry(s Sources) (*prometheus.Registry, error) {
	registry := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{
		newCollector(s),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return registry, nil
}

// family is one metric: how it is described, and its samples at a scrape.
type family struct {
	name, help string
	labels     []string
	kind       prometheus.ValueType
	read       func(scrape, func(value float64, labels ...string))
}

func (f family) desc() *prometheus.Desc {
	return prometheus.NewDesc("dnsreg_"+f.name, f.help, f.labels, nil)
}

// scrape is the state of all sources at one time.
type scrape struct {
	dns    dnsserver.Stats
	http   endpoint.Stats
	stores []Store
	store  Store // of the zone that is read
}

// ofZones returns metrics that count apart by zones.
func ofZones(families []family) []family {
	for i, f := range families {
		families[i].labels = append(slices.Clone(f.labels), "zone")
		families[i].read = func(s scrape, emit func(float64, ...string)) {
			for _, s.store = range s.stores {
				zone := s.store.Zone
				f.read(s, func(value float64, labels ...string) { emit(value, append(labels, zone)...) })
			}
		}
	}
	return families
}

// collector is a prometheus.Collector of the sources.
type collector struct {
	sources  Sources
	families []family
	descs    []*prometheus.Desc // of families
	times    *prometheus.Desc
}

func newCollector(s Sources) *collector {
	c := &collector{sources: s, times: timesDesc()}
	c.families = slices.Concat(dnsFamilies(), transferFamilies(), httpFamilies(), ofZones(storeFamilies()), ofZones(redisFamilies()))
	c.families = append(c.families, buildFamily(s.Version))
	for _, f := range c.families {
		c.descs = append(c.descs, f.desc())
	}
	return c
}

// Describe sends the description of every metric.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range c.descs {
		ch <- desc
	}
	ch <- c.times
}

// Collect sends every sample.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	now := scrape{dns: c.sources.DNS(), http: c.sources.HTTP(), stores: c.sources.Stores()}
	for i, f := range c.families {
		desc := c.descs[i]
		f.read(now, func(value float64, labels ...string) {
			m, err := prometheus.NewConstMetric(desc, f.kind, value, labels...)
			if err != nil {
				m = prometheus.NewInvalidMetric(desc, err)
			}
			ch <- m
		})
	}
	sendTimes(ch, c.times, now.dns.Times)
}

// counts returns a metric that counts apart by labels.
func counts(name, help string, read func(scrape, func(float64, ...string)), labels ...string) family {
	return family{name: name, help: help, labels: labels, kind: prometheus.CounterValue, read: read}
}

// count returns a metric that only rises.
func count(name, help string, read func(scrape) uint64) family {
	return counts(name, help, func(s scrape, emit func(float64, ...string)) { emit(float64(read(s))) })
}

// gauge returns a metric that rises and falls.
func gauge(name, help string, read func(scrape) float64) family {
	f := counts(name, help, func(s scrape, emit func(float64, ...string)) { emit(read(s)) })
	f.kind = prometheus.GaugeValue
	return f
}

func dnsFamilies() []family {
	return []family{
		counts("dns_requests_total", "DNS queries that were replied to.", func(s scrape, emit func(float64, ...string)) {
			for _, r := range s.dns.Requests {
				emit(float64(r.Count), r.Transport.String(), r.Type, r.Rcode)
			}
		}, "transport", "type", "rcode"),
		count("dns_dropped_total", "DNS messages that got no reply: too short, or no queries.", func(s scrape) uint64 { return s.dns.Dropped }),
		count("dns_truncated_total", "DNS replies with TC set.", func(s scrape) uint64 { return s.dns.Truncated }),
		counts("dns_rate_limited_total", "DNS queries beyond the rate limit, by what they got instead of an answer.", func(s scrape, emit func(float64, ...string)) {
			emit(float64(s.dns.Limited), "none")
			emit(float64(s.dns.Slipped), "truncated")
		}, "reply"),
		count("dns_send_errors_total", "DNS replies that could not be sent.", func(s scrape) uint64 { return s.dns.SendErrors }),
		gauge("dns_tcp_connections", "DNS connections that are open.", func(s scrape) float64 { return float64(s.dns.TCPOpen) }),
		count("dns_tcp_accepted_total", "DNS connections that were accepted.", func(s scrape) uint64 { return s.dns.TCPAccepted }),
		count("dns_tcp_evicted_total", "Idle DNS connections that were closed to make room.", func(s scrape) uint64 { return s.dns.TCPEvicted }),
		count("dns_tcp_refused_total", "DNS connections that were closed at once for want of room.", func(s scrape) uint64 { return s.dns.TCPRefused }),
	}
}

func httpFamilies() []family {
	return []family{
		counts("http_requests_total", "HTTP requests.", func(s scrape, emit func(float64, ...string)) {
			for r, n := range s.http.Requests {
				emit(float64(n), r.Route, strconv.Itoa(r.Status))
			}
		}, "route", "code"),
		counts("registrations_total", "Registrations over HTTP.", func(s scrape, emit func(float64, ...string)) {
			emitResults(s.http.Registrations, emit)
		}, "result"),
		counts("heartbeats_total", "Heartbeats over HTTP, those of a batch one by one.", func(s scrape, emit func(float64, ...string)) {
			emitResults(s.http.Heartbeats, emit)
		}, "result"),
	}
}

func emitResults(results map[string]uint64, emit func(float64, ...string)) {
	for result, n := range results {
		emit(float64(n), result)
	}
}

func buildFamily(version string) family {
	f := counts("build_info", "Always 1; the labels say what was built.", func(_ scrape, emit func(float64, ...string)) {
		emit(1, version, runtime.Version())
	}, "version", "goversion")
	f.kind = prometheus.GaugeValue
	return f
}
