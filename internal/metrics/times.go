package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dnsreg/dnsreg/dnsserver"
)

func timesDesc() *prometheus.Desc {
	return prometheus.NewDesc("dnsreg_dns_query_seconds",
		"Time from taking DNS queries from the kernel until it had their replies, for each query that of all it was taken with.",
		[]string{"transport"}, nil)
}

// sendTimes sends a histogram for each transport.
func sendTimes(ch chan<- prometheus.Metric, desc *prometheus.Desc, times [2]dnsserver.Times) {
	for transport, t := range times {
		count, buckets := uint64(0), make(map[float64]uint64)
		for i, n := range t.Buckets {
			count += n
			if i < dnsserver.TimeBuckets-1 { // the last one has no bound
				buckets[dnsserver.TimeBound(i).Seconds()] = count
			}
		}
		m, err := prometheus.NewConstHistogram(desc, count, t.Sum.Seconds(), buckets, dnsserver.Transport(transport).String())
		if err != nil {
			m = prometheus.NewInvalidMetric(desc, err)
		}
		ch <- m
	}
}
