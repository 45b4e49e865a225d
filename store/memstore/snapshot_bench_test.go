package memstore_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// BenchmarkRestore reads 100,000 instances in 10,000 services, which is what a start takes before it answers.
func BenchmarkRestore(b *testing.B) {
	config := kept(b)
	first := restored(b, config)
	stop := run(b, first)
	fill(b, first, 10_000, 10)
	stop()
	b.SetBytes(int64(len(read(b, config.SnapshotFile))))
	for b.Loop() {
		instances(b, restored(b, config), "restored", 100_000)
	}
}

// BenchmarkSave writes the same.
func BenchmarkSave(b *testing.B) {
	config := kept(b)
	s := restored(b, config)
	fill(b, s, 10_000, 10)
	for b.Loop() {
		run(b, s)()
	}
	b.SetBytes(int64(len(read(b, config.SnapshotFile))))
}

// fill registers instances whose records have about 200 octets.
func fill(t testing.TB, s *memstore.Store, services, each int) {
	t.Helper()
	for i := range services * each {
		in := instance(fmt.Sprintf("i%d", i), time.Hour)
		in.TXT = []string{"version=1.2.3", "zone=" + strings.Repeat("a", 30)}
		put(t, s, store.Service(fmt.Sprintf("_s%d._tcp", i/each)), in)
	}
}
