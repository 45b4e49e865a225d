package soak_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// Row 18: a server with the embedded store crashes. With a snapshot file it answers again at once, with a damaged one or
// none when the heartbeats have come.
func TestEmbeddedCrash(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		damage func(testing.TB, string)
		kept   bool
	}{
		{"with a snapshot", func(testing.TB, string) {}, true},
		{"with a truncated snapshot", truncate, false},
		{"without a snapshot", remove, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			embeddedCrash(t, tt.damage, tt.kept)
		})
	}
}

func truncate(t testing.TB, file string) {
	t.Helper()
	info, err := os.Stat(file)
	if err == nil {
		err = os.Truncate(file, info.Size()/2)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func remove(t testing.TB, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

func embeddedCrash(t *testing.T, damage func(testing.TB, string), kept bool) {
	n, dir := either(1_000, 100_000), t.TempDir()
	file := filepath.Join(dir, "live")
	crashed, _ := embed(t, "crashed", file)
	f := newFleet(t, n, lease(), crashed)
	f.start()
	f.leave(f.members[0], crashed)
	left := filepath.Join(dir, "left") // what a crash at this instant leaves behind
	eventually(t, bound+10*time.Second, "a snapshot of the whole fleet", func() bool { return copyWhole(t, file, left, crashed) })
	damage(t, left)

	begin := time.Now()
	restarted, restored := embed(t, "restarted", left)
	ready := time.Since(begin)
	for _, m := range f.members {
		m.move(restarted)
	}
	if kept && restored != n-1 || !kept && restored != 0 {
		t.Errorf("%d instances restored, kept %v", restored, kept)
	}
	check := watch(t, f, restarted)
	back := f.awaitRenewed(begin, lease()+2*bound)
	check.await(2*lease() + bound)
	if kept && f.returned.Load() > 0 {
		t.Errorf("%d registered again, whose leases had to be restored", f.returned.Load())
	}
	if restarted.View().Service(f.members[0].service).Find(f.members[0].in.ID) != nil {
		t.Error("the deregistered instance is back")
	}
	t.Logf("%d of %d instances answered %v after the start; every heartbeat accepted after %v (heartbeat %v), registered again %d",
		restored, n-1, ready, back, beat(), f.returned.Load())
}

// embed starts a server with an embedded store and returns how many instances it has restored.
func embed(t testing.TB, name, file string) (*server, int) {
	t.Helper()
	s, err := memstore.New(memstore.Config{
		Rules: store.Rules{Zone: zone}, SnapshotFile: file, SnapshotEvery: 100 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)).With("server", name),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Restore(); err != nil {
		t.Fatal(err)
	}
	restored := s.View().Instances()
	run(t, func(ctx context.Context) error { return s.Run(ctx) })
	return newServer(t, name, s), restored
}

// copyWhole copies the snapshot file and reports whether the copy has what the server shows, by restoring it.
func copyWhole(t testing.TB, file, copied string, s *server) bool {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	if err := os.WriteFile(copied, data, 0o600); err != nil {
		t.Fatal(err)
	}
	trial, err := memstore.New(memstore.Config{Rules: store.Rules{Zone: zone}, SnapshotFile: copied})
	if err != nil {
		t.Fatal(err)
	}
	return trial.Restore() == nil && trial.View().Instances() == s.View().Instances()
}
