package dnsserver_test

import (
	"encoding/binary"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/store"
)

// busySource is 1000 services of 5 instances each.
func busySource(tb testing.TB) *source {
	src := newSource()
	var all []*store.Snapshot
	for i := range 1000 {
		service := store.Service(fmt.Sprintf("_service-%d._tcp", i))
		var list []store.Live
		for j := range 5 {
			address := fmt.Sprintf("10.%d.%d.%d", i>>8, i&255, j)
			list = append(list, instance(tb, service, fmt.Sprintf("node-%d", j), with(address)))
		}
		all = append(all, snapshot(service, list...))
	}
	src.set(all...)
	return src
}

// BenchmarkAnswer measures one answer over UDP: time, allocations and, where the question names them, the records of
// five instances with their addresses.
func BenchmarkAnswer(b *testing.B) {
	for _, bench := range []struct {
		name, qname string
		qtype       uint16
	}{
		{"SRV", "_service-%d._tcp." + zone, dns.TypeSRV},
		{"PTR", "_service-%d._tcp." + zone, dns.TypePTR},
		{"TXT", "node-3._service-%d._tcp." + zone, dns.TypeTXT},
		{"A", "service-%d." + zone, dns.TypeA},
		{"NXDOMAIN", "missing-%d." + zone, dns.TypeA},
		{"NODATA", "_service-%d._tcp." + zone, dns.TypeA},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s := newServer(b, busySource(b))
			var queries [][]byte
			for i := range 1000 {
				queries = append(queries, pack(b, edns(question(fmt.Sprintf(bench.qname, i), bench.qtype), 1232)))
			}
			buf := make([]byte, 0, 1232)
			for _, q := range queries { // every service is compiled
				buf = s.Answer(q, buf[:0], dnsserver.UDP)
			}
			b.ReportAllocs()
			i := 0
			start := processorTime(b)
			for b.Loop() {
				q := queries[i%len(queries)]
				i++
				binary.BigEndian.PutUint16(q, uint16(i))
				buf = s.Answer(q, buf[:0], dnsserver.UDP)
			}
			b.ReportMetric(float64(processorTime(b)-start)/float64(b.N), "cpu-ns/op")
		})
	}
}

// processorTime is what this process has used, which other load on the machine does not change much.
func processorTime(tb testing.TB) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkCompile measures the first answer after a service has changed, by its number of instances.
func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{5, 100, 1000} {
		for _, qtype := range []uint16{dns.TypeSRV, dns.TypePTR, dns.TypeTXT} {
			b.Run(fmt.Sprintf("%s/%d", dns.TypeToString[qtype], n), func(b *testing.B) {
				src := newSource()
				s := newServer(b, src)
				list := many(b, "_web._tcp", n).Instances
				query := pack(b, question("_web._tcp."+zone, qtype))
				buf := make([]byte, 0, 65535)
				b.ReportAllocs()
				start := processorTime(b)
				for b.Loop() {
					src.set(&store.Snapshot{Service: "_web._tcp", Instances: list})
					buf = s.Answer(query, buf[:0], dnsserver.TCP)
				}
				b.ReportMetric(float64(processorTime(b)-start)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}
