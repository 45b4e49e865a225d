package memstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// filled returns a running store with n instances, so many of them in each service.
func filled(b *testing.B, n, each int) *memstore.Store {
	b.Helper()
	s := start(b, memstore.Config{})
	for i := range n {
		service, id := filledName(i, each)
		put(b, s, service, instance(id, time.Hour))
	}
	return s
}

func filledName(i, each int) (store.Service, string) {
	return store.Service(fmt.Sprintf("_s%d._tcp", i/each)), fmt.Sprintf("i%d", i)
}

// BenchmarkRegister registers new instances, five in each service.
func BenchmarkRegister(b *testing.B) {
	s := start(b, memstore.Config{MaxInstances: 1 << 30})
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		service, id := filledName(i, 5)
		put(b, s, service, instance(id, time.Hour))
		i++
	}
}

// BenchmarkRegisterAgain registers what is registered, as a heartbeat, in a store of 100,000 instances.
func BenchmarkRegisterAgain(b *testing.B) {
	const n = 100_000
	s := filled(b, n, 5)
	service, id := filledName(n/2, 5)
	in := instance(id, time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		put(b, s, service, in)
	}
}

// BenchmarkRenew renews leases in a store of 100,000 instances, in batches of one and more.
func BenchmarkRenew(b *testing.B) {
	const n = 100_000
	s := filled(b, n, 5)
	renewals := make([]store.Renewal, n)
	for i := range renewals {
		renewals[i].Service, renewals[i].ID = filledName(i*7919%n, 5) // no neighbours
	}
	for _, batch := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				renewBatch(b, s, renewals[i:i+batch])
				i = (i + batch) % n
			}
			b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "renewals/s")
		})
	}
	b.Run("batch=1 parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i = (i + 1) % n {
				renewBatch(b, s, renewals[i:i+1])
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "renewals/s")
	})
}

func renewBatch(b *testing.B, s *memstore.Store, renewals []store.Renewal) {
	results, err := s.RenewAll(b.Context(), renewals)
	if err != nil || results[0].Err != nil {
		b.Fatalf("renew: %v, error %v", results[0].Err, err)
	}
}

// BenchmarkChange changes one instance of a service of so many, in a store of 100,000 instances.
func BenchmarkChange(b *testing.B) {
	for _, each := range []int{5, 1000} {
		b.Run(fmt.Sprintf("service=%d", each), func(b *testing.B) {
			s := filled(b, 100_000, 5)
			for i := range each {
				put(b, s, "_big._tcp", instance(fmt.Sprintf("i%d", i), time.Hour))
			}
			in := instance("i1", time.Hour)
			b.ReportAllocs()
			for b.Loop() {
				in.Port = in.Port%60_000 + 1
				put(b, s, "_big._tcp", in)
			}
		})
	}
}

// BenchmarkView derives a view of 100,000 services from the last one.
func BenchmarkView(b *testing.B) {
	const n = 100_000
	view := new(store.View)
	snapshots := make([]*store.Snapshot, n)
	for i := range snapshots {
		service, id := filledName(i, 1)
		snapshots[i] = &store.Snapshot{Service: service, Instances: []store.Live{{Instance: instance(id, time.Hour)}}}
		view = view.With(1, snapshots[i])
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		view = view.With(view.Revision()+1, snapshots[i*7919%n])
		i++
	}
}
