package storebench_test

import (
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
	s.set(serverHeap, "%d B", (heap()-empty)/n)
	cpu := func() time.Duration { return processCPU(t) }
	perSecond, cost := timeRenewals(t, m, renewing{callers: 4, batch: batch}, n, e, cpu)
	s.set(renewalsMany, "%s", perSecond.text("%.0f", ""))
	s.set(renewServerCPU, "%s", cost.text("%.2f", " µs"))
	perSecond, _ = timeRenewals(t, m, renewing{callers: callers, batch: 1}, n, e, cpu)
	s.set(renewalsOne, "%s", perSecond.text("%.0f", ""))
	s.set(gone, "%s", timeDeaths(t, m, m, e.deaths).text())
	stopRenewing := keepRenewing(t, m, n, e.load)
	s.set(visible, "%s", timeChanges(t, m, m, e.changes).text())
	stopRenewing()
	stop() // writes the snapshot

	begin, before := time.Now(), cpu()
	m, stop = startMemory(t, config)
	s.set(coldStart, "%.2f s", time.Since(begin).Seconds())
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
