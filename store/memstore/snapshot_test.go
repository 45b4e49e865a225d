package memstore_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// kept is a configuration with a snapshot file, which does not exist yet.
func kept(t testing.TB) memstore.Config {
	t.Helper()
	return memstore.Config{SnapshotFile: filepath.Join(t.TempDir(), "snapshot")}
}

// restored returns a store that has read its file and does not run.
func restored(t testing.TB, config memstore.Config) *memstore.Store {
	t.Helper()
	s := open(t, config)
	if err := s.Restore(); err != nil {
		t.Fatal(err)
	}
	return s
}

// draining sets an overlay.
func draining(t testing.TB, s *memstore.Store, service store.Service, id string) {
	t.Helper()
	state, weight := store.Draining, uint16(7)
	if _, err := s.SetOverlay(context.Background(), service, id, store.Overlay{State: &state, Weight: &weight}); err != nil {
		t.Fatal(err)
	}
}

// snapshots returns the services of a view by name.
func snapshots(v *store.View) []*store.Snapshot {
	return slices.SortedFunc(v.All(), func(a, b *store.Snapshot) int { return strings.Compare(string(a.Service), string(b.Service)) })
}

// full has a store hold something of everything.
func full(t testing.TB, s *memstore.Store) {
	t.Helper()
	put(t, s, web, instance("b", 3*time.Second))
	put(t, s, web, store.Instance{
		ID: `A "quoted" <id> 🙂`, Host: "h", Addresses: []netip.Addr{netip.MustParseAddr("2001:db8::1")}, Port: 65535, Priority: 1, Weight: 2,
		TXT: []string{"k", "k2=v\n", `k3="\`}, Subtypes: []string{"_p"}, TTL: 1500 * time.Millisecond,
	})
	put(t, s, "_db._udp", store.Instance{ID: "x", Host: "db.example.net.", Port: 1, TTL: time.Hour})
	put(t, s, web, instance("gone", time.Hour))
	end(t, s, web, "gone")
	if _, err := s.Deregister(context.Background(), web, "Never \"seen\" 🙂"); !errors.Is(err, store.ErrUnknown) {
		t.Fatal(err)
	}
	draining(t, s, web, "b")
}

// TestSnapshotKeeps holds that a clean stop and a start change nothing that anybody could see, but for the leases, of
// which each has its whole ttl again.
func TestSnapshotKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := kept(t)
		first := restored(t, config)
		stop := run(t, first)
		full(t, first)
		pass(time.Second)
		stop()
		time.Sleep(time.Hour) // the machine is off

		second := restored(t, config)
		before, after := first.View(), second.View()
		if before.Revision() != after.Revision() {
			t.Errorf("revision %d became %d", before.Revision(), after.Revision())
		}
		if diff := cmp.Diff(snapshots(before), snapshots(after), cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("the view changed (-before +after):\n%s", diff)
		}
		stop = run(t, second)
		pass(1499 * time.Millisecond)
		instances(t, second, "just before the first whole ttl is over", 3)
		pass(time.Millisecond)
		instances(t, second, "after it", 2)
		if err := renew(t, second, web, "gone"); !errors.Is(err, store.ErrDeregistered) {
			t.Errorf("renewal of a deregistered instance: %v", err)
		}
		if err := renew(t, second, web, "never \"seen\" 🙂"); !errors.Is(err, store.ErrDeregistered) {
			t.Errorf("renewal of an instance that was deregistered unseen: %v", err)
		}
		if r := put(t, second, web, instance("new", time.Second)); r.Revision <= before.Revision() {
			t.Errorf("a change has revision %d after %d", r.Revision, before.Revision())
		}
		stop()
	})
}

// TestSnapshotTombstonesEnd holds that a tombstone lives for what was left of its life.
func TestSnapshotTombstonesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := kept(t)
		config.Retention = time.Minute
		first := restored(t, config)
		stop := run(t, first)
		put(t, first, web, instance("a", time.Second))
		end(t, first, web, "a")
		pass(40 * time.Second)
		stop()
		second := restored(t, config)
		defer run(t, second)()
		pass(19 * time.Second)
		if err := renew(t, second, web, "a"); !errors.Is(err, store.ErrDeregistered) {
			t.Errorf("after 59 s of 60 s: %v", err)
		}
		pass(2 * time.Second)
		if err := renew(t, second, web, "a"); !errors.Is(err, store.ErrGone) {
			t.Errorf("after 61 s of 60 s: %v", err)
		}
	})
}

// TestSnapshotAfterACrash takes the file as it is while the store runs: what it holds is there, and the revision is above
// all that were served.
func TestSnapshotAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := kept(t)
		config.SnapshotEvery = 10 * time.Second
		first := restored(t, config)
		defer run(t, first)()
		full(t, first)
		pass(10 * time.Second) // the file is written, without b and A, whose leases are over
		put(t, first, web, instance("late", time.Hour))
		end(t, first, "_db._udp", "x")
		last := first.View().Revision()

		second := restored(t, memstore.Config{SnapshotFile: copyOf(t, config.SnapshotFile)})
		instances(t, second, "restored", 1)
		if second.View().Service("_db._udp").Find("x") == nil {
			t.Error("the instance of the file is not there")
		}
		for _, snapshot := range snapshots(second.View()) {
			if snapshot.Revision <= last || snapshot.Revision > second.View().Revision() {
				t.Errorf("%s has revision %d after %d was served", snapshot.Service, snapshot.Revision, last)
			}
		}
		delta, err := second.Changes(t.Context(), last)
		if err != nil || delta.Complete {
			t.Errorf("changes since what was served: %+v, %v; want to be told to start over", delta, err)
		}
	})
}

// TestSnapshotTwoCrashes holds that a file which said "clean" does not say so once its store is in use again.
func TestSnapshotTwoCrashes(t *testing.T) {
	config := kept(t)
	first := restored(t, config)
	run(t, first)()
	put(t, first, web, instance("after the stop", time.Hour)) // which no file knows
	if text := read(t, config.SnapshotFile); !strings.HasSuffix(text, "\nclean\n") {
		t.Fatalf("after a clean stop the file is %q", text)
	}
	second := restored(t, config)
	if text := read(t, config.SnapshotFile); strings.Contains(text, "clean") {
		t.Errorf("in use the file is %q", text)
	}
	put(t, second, web, instance("a", time.Hour))
	third := restored(t, config) // the second crashed before it saved anything
	if third.View().Revision() <= second.View().Revision() {
		t.Errorf("revision %d after %d was served", third.View().Revision(), second.View().Revision())
	}
	stop := run(t, first) // the first one once more
	if text := read(t, config.SnapshotFile); strings.Contains(text, "clean") {
		t.Errorf("running again the file is %q", text)
	}
	stop()
	instances(t, restored(t, config), "after the first's second stop", 1)
}

// TestSnapshotSavesOnlyChanges holds that a fleet whose heartbeats change nothing costs no writes.
func TestSnapshotSavesOnlyChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := kept(t)
		config.SnapshotEvery = time.Second
		s := restored(t, config)
		stop := run(t, s)
		put(t, s, web, instance("a", time.Hour))
		steps := []struct {
			name string
			do   func()
			want uint64
		}{
			{"registered", func() {}, 1},
			{"renewed", func() { _ = renew(t, s, web, "a") }, 0},
			{"deregistered unseen", func() { _, _ = s.Deregister(context.Background(), web, "b") }, 1},
			{"the same again", func() { _, _ = s.Deregister(context.Background(), web, "b") }, 1},
			{"nothing", func() {}, 0},
			{"drained", func() { draining(t, s, web, "a") }, 1},
		}
		for _, step := range steps {
			before := s.Stats().Saves
			step.do()
			pass(3 * time.Second)
			if got := s.Stats().Saves - before; got != step.want {
				t.Errorf("%s: %d writes in three intervals, want %d", step.name, got, step.want)
			}
		}
		stop()
	})
}

// TestSnapshotSaveFails takes the folder away and gives it back.
func TestSnapshotSaveFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(logText)
		config := memstore.Config{SnapshotFile: filepath.Join(t.TempDir(), "folder", "snapshot"), SnapshotEvery: time.Second}
		config.Logger = slog.New(slog.NewTextHandler(log, nil))
		folder := filepath.Dir(config.SnapshotFile)
		if err := open(t, config).Restore(); err == nil || !strings.Contains(err.Error(), folder) {
			t.Errorf("without the folder: %v", err)
		}
		mkdir(t, folder)
		s := restored(t, config)
		stop := run(t, s)
		put(t, s, web, instance("a", time.Hour))
		pass(time.Second)
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		put(t, s, web, instance("b", time.Hour))
		pass(5 * time.Second)
		if n := s.Stats().SaveErrors; n != 5 || strings.Count(log.String(), "snapshot not saved") != 1 {
			t.Errorf("%d errors, log:\n%s", n, log.String())
		}
		mkdir(t, folder)
		pass(time.Second)
		if !strings.Contains(log.String(), "snapshot saved again") {
			t.Errorf("log:\n%s", log.String())
		}
		stop()
		if entries, err := os.ReadDir(folder); err != nil || len(entries) != 1 {
			t.Errorf("left behind: %v, %v", entries, err)
		}
		instances(t, restored(t, config), "restored", 2)
	})
}

// TestSnapshotOfMany has a file that is larger than any buffer.
func TestSnapshotOfMany(t *testing.T) {
	config := kept(t)
	first := restored(t, config)
	stop := run(t, first)
	fill(t, first, 500, 10)
	stop()
	second := restored(t, config)
	if diff := cmp.Diff(snapshots(first.View()), snapshots(second.View()), cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the view changed (-before +after):\n%s", diff)
	}
}

// logText is a log that is read while it is written.
type logText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func mkdir(t testing.TB, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func copyOf(t testing.TB, path string) string {
	t.Helper()
	return fileOf(t, read(t, path))
}

// fileOf returns the path of a new file with this text.
func fileOf(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "snapshot")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sealed returns lines with the checksum that belongs to them.
func sealed(lines string) string {
	return fmt.Sprintf("%send %x\n", lines, sha256.Sum256([]byte(lines)))
}
