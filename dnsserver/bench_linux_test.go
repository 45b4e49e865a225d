//go:build linux && (amd64 || arm64)

package dnsserver_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/store"
)

// BenchmarkZoneSize measures an SRV answer in batches, without the system calls, in zones whose answers fit into the
// processor's caches and in those that do not. All names are asked for, in an order without neighbours.
func BenchmarkZoneSize(b *testing.B) {
	for _, services := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(services), func(b *testing.B) {
			src, queries := newSource(), make([][]byte, services)
			all := make([]*store.Snapshot, services)
			for i := range all {
				service := store.Service(fmt.Sprintf("_service-%d._tcp", i))
				list := make([]store.Live, 10)
				for j := range list {
					list[j] = instance(b, service, fmt.Sprintf("node-%d", j), with(fmt.Sprintf("10.%d.%d.%d", i>>8&255, i&255, j)))
				}
				all[i] = snapshot(service, list...)
				queries[i] = pack(b, edns(question(fmt.Sprintf("_service-%d._tcp."+zone, i), dns.TypeSRV), 1232))
			}
			src.set(all...)
			batch := newServer(b, src).NewBatch()
			rand.Shuffle(len(queries), func(i, j int) { queries[i], queries[j] = queries[j], queries[i] })
			b.ReportMetric(float64(askBatches(b, batch, queries))/float64(b.N), "cpu-ns/op")
		})
	}
}

// askBatches asks every query once for the server to pack its answer, and then b.N of them in batches; it returns the
// processor time of these.
func askBatches(b *testing.B, batch dnsserver.Batch, queries [][]byte) time.Duration {
	for i := range queries {
		batch.Answer(queries[i : i+1])
	}
	b.ResetTimer()
	start := processorTime(b)
	for i := 0; i < b.N; i += dnsserver.BatchSize {
		at := i % (len(queries) / dnsserver.BatchSize * dnsserver.BatchSize)
		if batch.Answer(queries[at:at+dnsserver.BatchSize]) == 0 {
			b.Fatal("no reply")
		}
	}
	return processorTime(b) - start
}
