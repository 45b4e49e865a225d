package storebench_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dnsreg/dnsreg/internal/redistest"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/redisstore"
)

// redisBench is a redis-server that is filled by two servers and measured through two others.
type redisBench struct {
	testing.TB
	*subject
	extent
	n      int
	server *redistest.Server
	meter  func() time.Duration // Redis' CPU
}

func measureRedis(t testing.TB, s *subject, n int, e extent) {
	server := redistest.Start(t)
	b := &redisBench{TB: t, subject: s, extent: e, n: n, server: server}
	b.meter = func() time.Duration { return redisCPU(t, server) }
	b.register()
	writer, stopWriter := b.coldStart()
	b.renewals(writer)
	reader := b.start()
	b.idle()
	b.changes(writer, reader)
	ends := timeDeaths(t, writer, reader, e.deaths)
	b.judge(gone, ends.text(), ends.millis()...)
	stopWriter()
}

// register fills Redis through two servers that follow it, and measures what that costs.
func (b *redisBench) register() {
	one, stopOne := b.launch()
	two, stopTwo := b.launch()
	defer stopTwo()
	defer stopOne()
	b.synced(one)
	b.synced(two)
	b.server.Do("CONFIG", "RESETSTAT")
	memory, before := redisMemoryUsed(b, b.server), b.meter()
	took := registerAll(b, one, b.n)
	eventually(b, time.Minute, "both servers have all", func() bool {
		return one.View().Instances() == b.n && two.View().Instances() == b.n
	})
	used := b.meter() - before
	stats := b.server.CommandStats() // by the clock, so that only shares of the times tell something
	scripts, reads := stats["evalsha"].CPU+stats["eval"].CPU, stats["evalsha_ro"].CPU
	b.set(registrations, "%.0f", float64(b.n)/took.Seconds())
	b.set(registerCPU, "%.1f µs", micros(used, b.n))
	script := micros(used, b.n) * float64(scripts) / float64(scripts+reads)
	b.judge(scriptCPU, fmt.Sprintf("%.1f µs", script), script)
	b.set(scriptRatio, "%.1f", script/b.bare())
	runs := max(stats["hincrby"].Calls, 1) // each that changes something has one, and ticks have none
	b.set(perScript, "%.0f", float64(b.n)/float64(runs))
	taken := (redisMemoryUsed(b, b.server) - memory) / b.n
	b.judge(redisMemory, fmt.Sprintf("%d B", taken), float64(taken))
}

// launch starts a server and does not wait for it.
func (b *redisBench) launch() (s *redisstore.Store, stop func()) {
	b.Helper()
	s, err := redisstore.New(redisstore.Config{Rules: store.Rules{Zone: zone}, URL: b.server.URL()})
	if err != nil {
		b.Fatal(err)
	}
	return s, run(b, s)
}

// start starts a server and waits until it has all.
func (b *redisBench) start() *redisstore.Store {
	s, _ := b.launch()
	b.synced(s)
	eventually(b, time.Minute, "it has all", func() bool { return s.View().Instances() >= b.n })
	return s
}

func (b *redisBench) synced(s *redisstore.Store) {
	b.Helper()
	eventually(b, time.Minute, "the server is synced", func() bool {
		stats := s.Stats()
		return stats.Freshness == store.Synced && stats.Epoch != "" && stats.Bell != "down"
	})
}

// coldStart measures how a server starts that finds all.
func (b *redisBench) coldStart() (s *redisstore.Store, stop func()) {
	empty, redisBefore, begin := heap(), b.meter(), time.Now()
	before := processCPU(b)
	s, stop = b.launch()
	await(b, s, func(v *store.View) bool { return v.Instances() == b.n })
	ready := time.Since(begin).Seconds()
	b.judge(coldStart, fmt.Sprintf("%.2f s", ready), ready)
	b.set(coldServer, "%.2f s", (processCPU(b) - before).Seconds())
	redisReady := b.meter()
	b.set(coldRedis, "%.2f s", (redisReady - redisBefore).Seconds())
	b.reaper(s, redisReady)
	held := (heap() - empty) / b.n
	b.judge(serverHeap, fmt.Sprintf("%d B", held), float64(held))
	return s, stop
}

// reaper measures the look that the reaper takes at every lease when it begins.
func (b *redisBench) reaper(s *redisstore.Store, before time.Duration) {
	eventually(b, time.Minute, "the reaper has seen every lease", func() bool { return s.Stats().Reaps >= uint64(b.n) })
	const every = 20.0 // s: with a ttl of 30 s, what is left of a lease that is looked at is 20 s at least
	cost := micros(b.meter()-before, b.n)
	b.set(lookCPU, "%.2f µs", cost)
	b.set(shareReaper, "%.1f %%", float64(b.n)/every*cost/1e4)
}

// renewals measures renewals of many a call in turn with the bare command, and then those of one.
func (b *redisBench) renewals(s *redisstore.Store) {
	many, one := renewing{callers: 4, batch: batch}, renewing{callers: callers, batch: 1}
	var perSecond, cost, server, bare rates
	round := b.extent
	round.rounds = 1
	for range b.rounds {
		fast, costs := timeRenewals(b, s, many, b.n, round, b.meter, func() time.Duration { return processCPU(b) })
		perSecond.add(fast.median())
		cost.add(costs[0].median())
		server.add(costs[1].median())
		bare.add(b.bare())
	}
	b.set(renewalsMany, "%s", perSecond.text("%.0f", ""))
	b.judge(renewCPU, cost.text("%.2f", " µs"), cost.median())
	b.set(shareRenewals, "%.1f %%", float64(b.n)/10*cost.median()/1e4)
	b.set(renewServerCPU, "%s", server.text("%.2f", " µs"))
	b.set(bareCPU, "%s", bare.text("%.2f", " µs"))
	b.set(renewRatio, "%.2f", cost.median()/bare.median())
	perSecond, costs := timeRenewals(b, s, one, b.n, b.extent, b.meter)
	b.set(renewalsOne, "%s", perSecond.text("%.0f", ""))
	b.set(renewOneCPU, "%s", costs[0].text("%.2f", " µs"))
}

// bare sends the command of a renewal alone, of the same leases, and returns what one costs Redis: less it cannot cost.
func (b *redisBench) bare() float64 {
	before, renewed := b.meter(), 0
	for end := time.Now().Add(b.each); time.Now().Before(end); renewed += batch {
		_, err := b.server.Client().Pipelined(b.Context(), func(pipe redis.Pipeliner) error {
			for _, r := range renewalsOf(renewed, batch, b.n) {
				pipe.GetEx(b.Context(), fmt.Sprintf("dnsreg:{%s}:lease:%s:%s", zone, r.Service, r.ID), term)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return micros(b.meter()-before, renewed)
}

// idle measures what servers cost that have nothing to do.
func (b *redisBench) idle() {
	begin, before := time.Now(), b.meter()
	pass(b, 2*b.each)
	b.set(idleShare, "%.2f %%", 100*(b.meter()-before).Seconds()/time.Since(begin).Seconds())
}

func (b *redisBench) changes(writer, reader registry) {
	stop := keepRenewing(b, writer, b.n, b.load)
	begin := time.Now()
	d := timeChanges(b, writer, reader, b.extent.changes)
	rate := float64(stop()) / time.Since(begin).Seconds()
	b.judge(visible, fmt.Sprintf("%s (%.0f renewals/s)", d.text(), rate), d.millis()...)
}
