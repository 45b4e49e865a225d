package memstore_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

const (
	head   = "dnsreg-snapshot 1 \"svc.internal.\" 1000\n"
	inA    = `i {} {"v":1,"id":"a","host":"a","addresses":["10.0.0.1"],"port":80,"priority":0,"weight":1,"txt":[],"subtypes":[],"ttl_ms":2000}` + "\n"
	sample = head + "s _web._tcp 900\n" + inA + "t _web._tcp 1000 2000 \"b c\"\n"
)

// TestRestoreSetsAside holds that whatever is not a whole file of this zone is kept under another name, and that the
// store starts empty and works.
func TestRestoreSetsAside(t *testing.T) {
	good := sealed(sample)
	inB := strings.ReplaceAll(inA, `"a"`, `"b"`)
	tests := []struct{ name, in string }{
		{"empty", ""},
		{"noise", "\x00\xff\n\n"},
		{"one line without end", strings.Repeat("x", 1<<21)},
		{"no end", sample},
		{"cut in an instance", good[:len(head)+40]},
		{"cut in the checksum", good[:len(good)-3]},
		{"one bit flipped", strings.Replace(good, "10.0.0.1", "10.0.0.3", 1)},
		{"a line lost", strings.Replace(good, inA, "", 1)},
		{"more behind the end", good + "s _db._tcp 1\n"},
		{"clean twice", good + "clean\nclean\n"},
		{"another version", sealed(strings.Replace(sample, "snapshot 1", "snapshot 2", 1))},
		{"another zone", sealed(strings.Replace(sample, "svc.internal.", "other.example.", 1))},
		{"no revision", sealed(strings.Replace(sample, "1000\n", "\n", 1))},
		{"an unknown line", sealed(sample + "x y\n")},
		{"an empty line", sealed(sample + "\n")},
		{"an instance without a service", sealed(head + inA)},
		{"no service", sealed(head + "s web 1\n")},
		{"a service twice", sealed(sample + "s _web._tcp 1\n")},
		{"a service from the future", sealed(head + "s _web._tcp 1001\n")},
		{"an instance twice", sealed(strings.Replace(sample, inA, inA+inA, 1))},
		{"instances out of order", sealed(strings.Replace(sample, inA, inB+inA, 1))},
		{"a record in another form", sealed(strings.Replace(sample, `{"v":1`, `{ "v":1`, 1))},
		{"an overlay that is none", sealed(strings.Replace(sample, "i {} ", "i {]} ", 1))},
		{"an overlay with an unknown state", sealed(strings.Replace(sample, "i {} ", `i {"state":"gone"} `, 1))},
		{"a tombstone with too little", sealed(head + "t _web._tcp 1 2\n")},
		{"a tombstone of nothing", sealed(head + "t _web._tcp 1 2 \"\"\n")},
		{"a tombstone without quotes", sealed(head + "t _web._tcp 1 2 a\n")},
		{"a tombstone that outlives itself", sealed(head + "t _web._tcp 3 2 \"a\"\n")},
		{"a tombstone for ever", sealed(head + "t _web._tcp 1 9223372036854775807 \"a\"\n")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			config := memstore.Config{SnapshotFile: fileOf(t, tt.in), Logger: slog.New(slog.NewTextHandler(&log, nil))}
			s := restored(t, config)
			instances(t, s, "set aside", 0)
			if got := read(t, config.SnapshotFile+".damaged"); got != tt.in {
				t.Errorf("set aside is %q", got)
			}
			if text := log.String(); !strings.Contains(text, "snapshot set aside") || !strings.Contains(text, "error=") {
				t.Errorf("log:\n%s", text)
			}
			stop := run(t, s)
			put(t, s, web, instance("new", time.Hour))
			stop()
			instances(t, restored(t, config), "restored after it", 1)
		})
	}
}

func TestRestoreReads(t *testing.T) {
	s := restored(t, memstore.Config{SnapshotFile: fileOf(t, sealed(sample)+"clean\n")})
	if got := s.View().Revision(); got != 1000 {
		t.Errorf("revision %d, want 1000", got)
	}
	if got := s.View().Service(web); got == nil || got.Revision != 900 || got.Find("a") == nil {
		t.Errorf("service %+v", got)
	}
	if err := renew(t, s, web, "a"); err != nil {
		t.Errorf("renew: %v", err)
	}
	if err := renew(t, s, web, "B C"); !errors.Is(err, store.ErrDeregistered) {
		t.Errorf("renew of a tombstone: %v", err)
	}
}

// TestRestoreUnderOtherRules leaves out what could not be registered any more.
func TestRestoreUnderOtherRules(t *testing.T) {
	config := kept(t)
	first := restored(t, config)
	stop := run(t, first)
	put(t, first, "_ns1._tcp", instance("a", time.Hour))
	put(t, first, web, instance("a", time.Hour))
	stop()
	last := first.View().Revision()
	config.Rules = store.Rules{Zone: "svc.internal.", Hosts: []string{"ns1"}}
	second := restored(t, config)
	instances(t, second, "restored", 1)
	if second.View().Service("_ns1._tcp") != nil || second.View().Revision() <= last {
		t.Errorf("the service that is refused now: %v, revision %d after %d", second.View().Service("_ns1._tcp"), second.View().Revision(), last)
	}
	if r := put(t, second, web, instance("a", time.Hour)); r.Created {
		t.Error("the one that is not refused had no lease")
	}
}

func TestRestoreNothing(t *testing.T) {
	for name, config := range map[string]memstore.Config{"no file is kept": {}, "no file yet": kept(t)} {
		s := restored(t, config)
		instances(t, s, name, 0)
	}
}

func TestRestoreRefuses(t *testing.T) {
	s := open(t, kept(t))
	put(t, s, web, instance("a", time.Hour))
	if err := s.Restore(); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("in use: %v", err)
	}
	folder := filepath.Join(t.TempDir(), "f")
	mkdir(t, folder)
	if err := open(t, memstore.Config{SnapshotFile: filepath.Join(folder, "no", "file")}).Restore(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

// FuzzRestore holds that whatever stands between the first line and the checksum, the store starts, and that what it took
// from it is saved and read back as the same.
func FuzzRestore(f *testing.F) {
	for _, lines := range []string{
		"", "s _web._tcp 900\n" + inA, "s _a._udp 1\ns _b._tcp 2\n", "t _web._tcp 1 2 \"a\"\n", `i {"weight":1,"state":"draining"} {}` + "\n",
	} {
		f.Add(lines)
	}
	f.Fuzz(func(t *testing.T, lines string) {
		config := memstore.Config{SnapshotFile: fileOf(t, sealed(head+lines))}
		first := restored(t, config)
		run(t, first)()
		second := restored(t, config)
		if a, b := first.View(), second.View(); a.Revision() != b.Revision() || a.Instances() != b.Instances() || a.Services() != b.Services() {
			t.Errorf("%d instances of %d services at %d became %d of %d at %d", a.Instances(), a.Services(), a.Revision(), b.Instances(), b.Services(), b.Revision())
		}
	})
}
