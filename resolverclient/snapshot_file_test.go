package resolverclient_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/resolverclient"
)

func TestSnapshotDamaged(t *testing.T) {
	for _, tt := range []struct {
		name   string
		damage func([]byte) []byte
	}{
		{"empty", func([]byte) []byte { return nil }},
		{"cut", func(b []byte) []byte { return b[:len(b)/2] }},
		{"one bit", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }},
		{"another program's", func([]byte) []byte { return []byte("nameserver 192.0.2.1\n") }},
		{"longer than any", func([]byte) []byte { return make([]byte, resolverclient.MaxSnapshot+2048) }},
		{"of a later version", func(b []byte) []byte { return bytes.Replace(b, []byte("snapshot 1"), []byte("snapshot 2"), 1) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			withStarts(t, func(s *starts) {
				s.start(resolverclient.Config{}, func(c *resolverclient.Client) { s.lookup(c, "web", 3, false) })
				whole, err := os.ReadFile(s.file)
				if err != nil {
					s.Fatal(err)
				}
				damaged := tt.damage(whole)
				if err := os.WriteFile(s.file, damaged, 0o600); err != nil {
					s.Fatal(err)
				}
				s.down()
				s.start(resolverclient.Config{}, func(c *resolverclient.Client) { s.lookup(c, "web", 0, false) })
				aside, err := os.ReadFile(s.file + ".damaged")
				if err != nil || !bytes.Equal(aside, damaged) || !strings.Contains(s.log.String(), "damaged snapshot") {
					s.Errorf("set aside %d octets, %v; the log says %q", len(aside), err, s.log.String())
				}
				if _, err := os.Stat(s.file); !os.IsNotExist(err) {
					s.Errorf("the file is still there: %v", err)
				}
			})
		})
	}
}

// What no server can have said is not used, whatever the checksum says.
func TestSnapshotTrusts(t *testing.T) {
	long := strings.Repeat("A", 400) // 300 octets in base64
	endpoint := `{"target":"a.","port":1,"addresses":["10.0.0.1"]}`
	answer := func(name, kind, seen, endpoints string) string {
		return fmt.Sprintf(`[{"name":%q,"type":%q,"seen":%q,"endpoints":[%s]}]`, name, kind, seen, endpoints)
	}
	const web, now = "_web._tcp.svc.internal.", "2000-01-01T00:00:00Z" // where the clock of a bubble begins
	for _, tt := range []struct {
		name, body, text string
	}{
		{"good", answer(web, "SRV", now, endpoint), ""},
		{"a clock that was set back a little", answer(web, "SRV", "2000-01-01T00:01:00Z", endpoint), ""},
		{"future", answer(web, "SRV", "2000-01-01T00:01:01Z", endpoint), "is in the future"},
		{"type", answer(web, "A", now, endpoint), "must be SRV or PTR"},
		{"capital letters", answer("_Web._tcp.svc.internal.", "SRV", now, endpoint), "must be written as"},
		{"no endpoint", answer(web, "SRV", now, ""), "0 endpoints"},
		{"too many endpoints", answer(web, "SRV", now, strings.Repeat(endpoint+",", 1<<14)+endpoint), "16385 endpoints"},
		{"no target", answer(web, "SRV", now, `{"target":"","port":1,"addresses":["10.0.0.1"]}`), "must not be the root"},
		{"root", answer(web, "SRV", now, `{"target":".","port":1,"addresses":["10.0.0.1"]}`), "root"},
		{"long label", answer(web, "SRV", now, `{"target":"`+strings.Repeat("a", 64)+`.","port":1,"addresses":["10.0.0.1"]}`), "label"},
		{"zone", answer(web, "SRV", now, `{"target":"a.","port":1,"addresses":["fe80::1%eth0"]}`), "without a zone"},
		{"no address", answer(web, "SRV", now, `{"target":"a.","port":1,"addresses":[""]}`), "address"},
		{"long id", answer(web, "SRV", now, `{"target":"a.","port":1,"addresses":["10.0.0.1"],"instance":"`+long+`"}`), "instance of 300"},
		{"long txt", answer(web, "SRV", now, `{"target":"a.","port":1,"addresses":["10.0.0.1"],"txt":["`+long+`"]}`), "txt of 300"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			withStarts(t, func(s *starts) {
				if err := os.WriteFile(s.file, resolverclient.SealSnapshot([]byte(tt.body)), 0o600); err != nil {
					s.Fatal(err)
				}
				s.down()
				want := 1
				if tt.text != "" {
					want = 0
				}
				s.start(resolverclient.Config{}, func(c *resolverclient.Client) { s.lookup(c, "web", want, true) })
				if log := s.log.String(); !strings.Contains(log, tt.text) {
					s.Errorf("the log says %q", log)
				}
			})
		})
	}
}

// A snapshot file that is a pipe or a directory is reported, and nobody waits for its other end.
func TestSnapshotOfAnotherKind(t *testing.T) {
	var log bytes.Buffer
	c := newClient(t, resolverclient.Config{
		Servers: []string{"127.0.0.1:1"}, SnapshotFile: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err := c.Close(); err != nil || !strings.Contains(log.String(), "no regular file") {
		t.Errorf("got %v; the log says %q", err, &log)
	}
}

// A file that cannot be written is an error of Close, and of nothing else.
func TestSnapshotNotWritten(t *testing.T) {
	c := newClient(t, resolverclient.Config{
		Servers:      []string{listen(t, newZone(t, threeWebs()...).serve)},
		SnapshotFile: filepath.Join(t.TempDir(), "no", "such", "directory"),
	})
	if _, err := c.Lookup(t.Context(), "web"); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err == nil || !strings.Contains(err.Error(), "write snapshot") {
		t.Errorf("got %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("the second Close: %v", err)
	}
}

// Whatever is in the file, a client starts, and what it then answers from it holds together.
func FuzzSnapshot(f *testing.F) {
	f.Add([]byte("[]\n"))
	f.Add([]byte(`[{"name":"_web._tcp.svc.internal.","type":"SRV","seen":"2020-01-01T00:00:00Z","endpoints":[` +
		`{"target":"a.","port":1,"addresses":["10.0.0.1",""]},{"target":"","port":0,"txt":["AAA=",null],"addresses":["::1%x"]}]}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		file := filepath.Join(t.TempDir(), "answers")
		if err := os.WriteFile(file, resolverclient.SealSnapshot(body), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := resolverclient.New(resolverclient.Config{
			Servers: []string{"ns:53"}, Attempts: 1, Dial: piped(rcode(dns.RcodeServerFailure)),
			SnapshotFile: file, SnapshotMaxAge: math.MaxInt64,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		got, err := c.Lookup(t.Context(), "_web._tcp.svc.internal.")
		if err == nil && (len(got.Endpoints) == 0 || got.Stale == nil) {
			t.Errorf("got %v without an error", got)
		}
		for _, e := range got.Endpoints {
			if _, _, err := net.SplitHostPort(e.HostPort()); err != nil {
				t.Errorf("host and port %q: %v", e.HostPort(), err)
			}
		}
	})
}
