package redisstore_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/redis/go-redis/v9"

	"github.com/dnsreg/dnsreg/internal/redistest"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/redisstore"
)

// perService is how many instances a service has in benchmarks.
const perService = 10

// instances is how many instances there are: 100,000, or as many as DNSREG_BENCH_INSTANCES says.
func instances(b *testing.B) int {
	s := os.Getenv("DNSREG_BENCH_INSTANCES")
	if s == "" {
		return 100_000
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < perService {
		b.Fatalf("DNSREG_BENCH_INSTANCES=%q", s)
	}
	return n
}

func benchService(i int) store.Service {
	return store.Service(fmt.Sprintf("_service-%d._tcp", i/perService))
}

// benchInstance has a record of 200 octets, or a few more or less.
func benchInstance(i int) store.Instance {
	return instance(benchInstanceID(i), ttl(time.Hour), func(in *store.Instance) {
		in.Host = in.ID
		in.TXT = []string{"version=1.2.3", "zone=a1"}
	})
}

// cpu returns the seconds that Redis' main thread has used.
func cpu(b *testing.B, server *redistest.Server) float64 {
	sum := 0.0
	for key, value := range server.Info("cpu") {
		if strings.HasSuffix(key, "_main_thread") {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				b.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}

// fill writes instances past the store, which is quicker, and returns how many octets of Redis' memory each takes.
func fill(b *testing.B, server *redistest.Server, n int) float64 {
	keys, before := redisstore.NewKeys("dnsreg", zone), used(b, server)
	rev := int(time.Now().Unix())
	for from := 0; from < n; from += 1000 {
		_, err := server.Client().Pipelined(b.Context(), func(pipe redis.Pipeliner) error {
			for i := from; i < min(n, from+1000); i++ {
				service, in := benchService(i), benchInstance(i)
				pipe.HSet(b.Context(), keys.Rec(service), in.Key(), in.Canonical())
				pipe.Set(b.Context(), keys.Lease(service, in.ID), redisstore.LeaseText(in.TTL, in.ETag()), in.TTL)
				pipe.ZAdd(b.Context(), keys.ChangeLog(), redis.Z{Score: float64(rev + i), Member: string(service)})
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	server.Do("HSET", keys.Meta(), "rev", rev+n)
	return float64(used(b, server)-before) / float64(n)
}

func used(b *testing.B, server *redistest.Server) int {
	n, err := strconv.Atoi(server.Info("memory")["used_memory"])
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// BenchmarkRenewAll renews in batches of 1,000, which is what 20 batches of heartbeats at once come to.
func BenchmarkRenewAll(b *testing.B) {
	server, n := redistest.Start(b), instances(b)
	fill(b, server, n)
	s := synced(b, quiet(config(b, server.URL())))
	const size = 1000
	batch := make([]store.Renewal, size)
	before, renewed := cpu(b, server), 0
	for b.Loop() {
		for i := range batch {
			k := (renewed + i*7919) % n
			batch[i] = store.Renewal{Service: benchService(k), ID: benchInstanceID(k)}
		}
		results, err := s.RenewAll(b.Context(), batch)
		if err != nil || results[0].Err != nil {
			b.Fatalf("%v, %v", err, results)
		}
		renewed += size
	}
	b.ReportMetric(float64(renewed)/b.Elapsed().Seconds(), "renewals/s")
	b.ReportMetric((cpu(b, server)-before)*1e6/float64(renewed), "redis-µs/renewal")
}

func benchInstanceID(i int) string { return fmt.Sprintf("instance-%d", i) }

// quiet takes the log away.
func quiet(c redisstore.Config) redisstore.Config {
	c.Logger = nil
	return c
}

// BenchmarkRenewOne renews by 200 callers, one lease each call, as HTTP heartbeats do.
func BenchmarkRenewOne(b *testing.B) {
	server, n := redistest.Start(b), instances(b)
	fill(b, server, n)
	s := synced(b, quiet(config(b, server.URL())))
	var next atomic.Int64
	before := cpu(b, server)
	b.SetParallelism(100)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			k := int(next.Add(1)*7919) % n
			if results, err := s.RenewAll(b.Context(), []store.Renewal{{Service: benchService(k), ID: benchInstanceID(k)}}); err != nil || results[0].Err != nil {
				b.Errorf("%v, %v", err, results)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "renewals/s")
	b.ReportMetric((cpu(b, server)-before)*1e6/float64(b.N), "redis-µs/renewal")
}

// BenchmarkRegister registers new instances, by 200 callers.
func BenchmarkRegister(b *testing.B) {
	server := redistest.Start(b)
	s := synced(b, quiet(config(b, server.URL())))
	var next atomic.Int64
	before := cpu(b, server)
	b.SetParallelism(100)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := int(next.Add(1))
			r, err := s.Register(b.Context(), benchService(i), benchInstance(i))
			if err != nil || len(r.Warnings) > 0 {
				b.Errorf("%v, %q", err, r.Warnings)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "registrations/s")
	b.ReportMetric((cpu(b, server)-before)*1e6/float64(b.N), "redis-µs/registration")
	stats := server.CommandStats()
	runs := max(stats["hincrby"].Calls, 1) // each that changes something has one, and ticks have none
	b.ReportMetric(float64(b.N)/float64(runs), "registrations/script")
	b.ReportMetric(float64(stats["evalsha"].CPU.Microseconds())/float64(b.N), "script-µs/registration")
}

// BenchmarkColdStart measures how long a new server takes until it is synced, and what the zone costs there and in Redis.
func BenchmarkColdStart(b *testing.B) {
	server, n := redistest.Start(b), instances(b)
	perRecord := fill(b, server, n)
	b.ResetTimer()
	for range b.N {
		before, redisBefore := heap(), cpu(b, server)
		s, err := redisstore.New(quiet(config(b, server.URL())))
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Context())
		var run sync.WaitGroup
		run.Go(func() {
			if err := s.Run(ctx); err != nil {
				b.Error(err)
			}
		})
		eventually(b, time.Minute, "all are there", func() bool { return s.View().Instances() == n })
		b.StopTimer()
		b.ReportMetric((cpu(b, server)-redisBefore)*1e3, "redis-ms")
		eventually(b, time.Minute, "the reaper watches", func() bool { return s.Stats().Due == n/perService })
		b.ReportMetric(float64(heap()-before)/float64(n), "heap-B/instance")
		b.ReportMetric(perRecord, "redis-B/instance")
		cancel()
		run.Wait()
		b.StartTimer()
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// BenchmarkVisible measures how long a change takes from the call on one server until the view of another shows it, beside
// 20,000 renewals a second.
func BenchmarkVisible(b *testing.B) {
	server, n := redistest.Start(b), instances(b)
	fill(b, server, n)
	writer, reader := synced(b, quiet(config(b, server.URL()))), synced(b, quiet(config(b, server.URL())))
	stop := load(b, writer, n, 20_000)
	histogram := hdrhistogram.New(1, int64(10*time.Second/time.Microsecond), 3)
	for i := 0; b.Loop(); i++ {
		begin := time.Now()
		in := instance("visible", port(uint16(1+i%60_000)), ttl(time.Hour))
		r := register(b, writer, web, in)
		for reader.View().Revision() < r.Revision {
			runtime.Gosched()
		}
		if err := histogram.RecordValue(time.Since(begin).Microseconds()); err != nil {
			b.Fatal(err)
		}
	}
	beats := stop()
	b.ReportMetric(beats, "renewals/s")
	for _, q := range []float64{50, 99, 100} {
		b.ReportMetric(float64(histogram.ValueAtQuantile(q))/1000, fmt.Sprintf("p%g-ms", q))
	}
}

// load renews at a rate until the function that it returns is called, which returns the rate that it reached.
func load(b *testing.B, s *redisstore.Store, n, rate int) (stop func() float64) {
	const every = 10 * time.Millisecond
	ctx, cancel := context.WithCancel(b.Context())
	begin, renewed := time.Now(), 0
	var wait sync.WaitGroup
	wait.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		batch := make([]store.Renewal, int(time.Duration(rate)*every/time.Second))
		for ctx.Err() == nil {
			for i := range batch {
				k := (renewed + i) % n
				batch[i] = store.Renewal{Service: benchService(k), ID: benchInstanceID(k)}
			}
			if _, err := s.RenewAll(ctx, batch); err == nil {
				renewed += len(batch)
			}
			<-tick.C
		}
	})
	return func() float64 {
		cancel()
		wait.Wait()
		return float64(renewed) / time.Since(begin).Seconds()
	}
}

// BenchmarkExpiry measures how long after its deadline a lease is gone from the view, among many that live.
func BenchmarkExpiry(b *testing.B) {
	server, n := redistest.Start(b), instances(b)
	fill(b, server, n)
	s := synced(b, quiet(config(b, server.URL())))
	eventually(b, time.Minute, "the reaper watches", func() bool { return s.Stats().Due == n/perService })
	histogram := hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 3)
	for b.Loop() {
		r := register(b, s, web, instance("dying", ttl(time.Second)))
		eventually(b, 10*time.Second, "it is gone", func() bool { return s.View().Service(web) == nil })
		if err := histogram.RecordValue(time.Since(r.Lease.ExpiresAt).Microseconds()); err != nil {
			b.Fatal(err)
		}
	}
	for _, q := range []float64{50, 99, 100} {
		b.ReportMetric(float64(histogram.ValueAtQuantile(q))/1000, fmt.Sprintf("p%g-ms", q))
	}
}
