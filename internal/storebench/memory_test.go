package storebench_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// measureMemory measures the embedded store, of which there is one: who reads a change is who wrote it.
func measureMemory(t testing.TB, s *subject, n int, e extent) {
	config := memstore.Config{
		Rules: store.Rules{Zone: zone}, MaxInstances: 2 * n, SnapshotFile: filepath.Join(t.TempDir(), "snapshot"), SnapshotEvery: time.Hour,
	}
	empty := heap()
	m, stop := startMemory(t, config)
	took := registerAll(t, m, n)
	s.set(registrations, "%.0f", float64(n)/took.Seconds())
	held := (heap() - empty) / n
	s.judge(serverHeap, fmt.Sprintf("%d B", held), float64(held))
	cpu := func() time.Duration { return processCPU(t) }
	perSecond, costs := timeRenewals(t, m, renewing{callers: 4, batch: batch}, n, e, cpu)
	s.set(renewalsMany, "%s", perSecond.text("%.0f", ""))
	s.set(renewServerCPU, "%s", costs[0].text("%.2f", " µs"))
	perSecond, _ = timeRenewals(t, m, renewing{callers: callers, batch: 1}, n, e)
	s.set(renewalsOne, "%s", perSecond.text("%.0f", ""))
	ends := timeDeaths(t, m, m, e.deaths)
	s.judge(gone, ends.text(), ends.millis()...)
	stopRenewing := keepRenewing(t, m, n, e.load)
	changes := timeChanges(t, m, m, e.changes)
	s.judge(visible, changes.text(), changes.millis()...)
	stopRenewing()
	stop() // writes the snapshot
	m, stop = nil, nil
	heap() // a start has no store of before to clear away

	begin, before := time.Now(), cpu()
	m, stop = startMemory(t, config)
	ready := time.Since(begin)
	s.judge(coldStart, fmt.Sprintf("%.2f s", ready.Seconds()), ready.Seconds())
	s.set(coldServer, "%.2f s", (cpu() - before).Seconds())
	if got := m.View().Instances(); got < n {
		t.Errorf("%d of %d instances are back", got, n)
	}
	stop()
}

// startMemory makes a store, restores what its file has, and runs it.
func startMemory(t testing.TB, config memstore.Config) (*memstore.Store, func()) {
	t.Helper()
	m, err := memstore.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Restore(); err != nil {
		t.Fatal(err)
	}
	return m, run(t, m)
}
