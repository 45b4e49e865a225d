package resolverclient_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// starts runs programs one after another on one clock, each of which has the snapshot of the one before.
type starts struct {
	*testing.T
	file   string
	script *swap
	log    bytes.Buffer
}

func withStarts(t *testing.T, f func(s *starts)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "answers")
	synctest.Test(t, func(t *testing.T) {
		f(&starts{T: t, file: file, script: newSwap(newZone(t, threeWebs()...).serve)})
	})
}

// start runs one program to its end.
func (s *starts) start(cfg resolverclient.Config, f func(c *resolverclient.Client)) {
	s.Helper()
	cfg.Servers, cfg.Zone, cfg.Dial, cfg.SnapshotFile = []string{"ns:53"}, "svc.internal", piped(s.script.serve), s.file
	cfg.Logger = slog.New(slog.NewTextHandler(&s.log, nil))
	c, err := resolverclient.New(cfg)
	if err != nil {
		s.Fatal(err)
	}
	f(c)
	if err := c.Close(); err != nil {
		s.Error(err)
	}
}

// down lets every server fail.
func (s *starts) down() { s.script.set(rcode(dns.RcodeServerFailure)) }

// lookup checks how many endpoints a name has, none for an error, and whether the answer is one of the snapshot.
func (s *starts) lookup(c *resolverclient.Client, name string, endpoints int, snapshot bool) {
	s.Helper()
	got, err := c.Lookup(s.Context(), name)
	if len(got.Endpoints) != endpoints || (err != nil) != (endpoints == 0) {
		s.Errorf("%s: %d endpoints, %v, want %d", name, len(got.Endpoints), err, endpoints)
	}
	if err == nil && snapshot != (got.Stale != nil && strings.Contains(got.Stale.Error(), "snapshot file")) {
		s.Errorf("%s: stale %v, want of the snapshot: %v", name, got.Stale, snapshot)
	}
}

func TestSnapshotServesAColdStart(t *testing.T) {
	withStarts(t, func(s *starts) {
		s.start(resolverclient.Config{}, func(c *resolverclient.Client) { s.lookup(c, "web", 3, false) })
		s.down()
		s.start(resolverclient.Config{}, func(c *resolverclient.Client) {
			s.lookup(c, "web", 3, true)
			s.lookup(c, "other", 0, false)
			b, err := c.Balancer("web", resolverclient.RoundRobin)
			if err != nil {
				s.Fatal(err)
			}
			if p, err := b.Pick(s.Context()); err != nil || !p.Endpoint.Addresses[0].Is4() {
				s.Errorf("picked %v, %v", p.Endpoint, err)
			}
			pass(30 * time.Second)
			s.lookup(c, "web", 3, true)
			s.script.set(newZone(s, threeWebs()[1:]...).serve) // the first answer ends it
			pass(11 * time.Second)
			s.lookup(c, "web", 2, false)
		})
		if text := s.log.String(); strings.Count(text, "stale answer in use") != 1 || !strings.Contains(text, "snapshot file") {
			s.Errorf("the log says %q", text)
		}
		s.down()
		s.start(resolverclient.Config{}, func(c *resolverclient.Client) { s.lookup(c, "web", 2, true) })
	})
}

// A server that is silent costs the first caller one timeout, as an answer that went stale does.
func TestSnapshotWaitsForOneTimeout(t *testing.T) {
	withStarts(t, func(s *starts) {
		s.start(resolverclient.Config{}, func(c *resolverclient.Client) { s.lookup(c, "web", 3, false) })
		s.script.set(silent)
		s.start(resolverclient.Config{}, func(c *resolverclient.Client) {
			for _, want := range []time.Duration{time.Second, 0, 0} {
				start := time.Now()
				s.lookup(c, "web", 3, true)
				if took := time.Since(start); took != want {
					s.Errorf("took %v, want %v", took, want)
				}
			}
		})
	})
}

// "No such service" is an answer: neither this program nor the next one uses what the file said.
func TestSnapshotEndsWithANegativeAnswer(t *testing.T) {
	withStarts(t, func(s *starts) {
		s.start(resolverclient.Config{}, func(c *resolverclient.Client) { s.lookup(c, "web", 3, false) })
		s.script.set(newZone(s).serve)
		s.start(resolverclient.Config{}, func(c *resolverclient.Client) { s.lookup(c, "web", 0, false) })
		s.down()
		s.start(resolverclient.Config{}, func(c *resolverclient.Client) { s.lookup(c, "web", 0, false) })
	})
}

func TestSnapshotIsBounded(t *testing.T) {
	first := func(s *starts) {
		s.start(resolverclient.Config{}, func(c *resolverclient.Client) { s.lookup(c, "web", 3, false) })
		s.down()
	}
	t.Run("by age", func(t *testing.T) {
		withStarts(t, func(s *starts) {
			first(s)
			time.Sleep(time.Hour - time.Minute)
			s.start(resolverclient.Config{SnapshotMaxAge: time.Hour}, func(c *resolverclient.Client) { s.lookup(c, "web", 3, true) })
			time.Sleep(2 * time.Minute)
			s.start(resolverclient.Config{SnapshotMaxAge: time.Hour}, func(c *resolverclient.Client) { s.lookup(c, "web", 0, false) })
		})
	})
	t.Run("by MaxStale", func(t *testing.T) {
		withStarts(t, func(s *starts) {
			first(s)
			s.start(resolverclient.Config{MaxStale: time.Minute}, func(c *resolverclient.Client) {
				s.lookup(c, "web", 3, true)
				pass(59 * time.Second)
				s.lookup(c, "web", 3, true)
				pass(2 * time.Second)
				s.lookup(c, "web", 0, false)
			})
			s.start(resolverclient.Config{MaxStale: -1}, func(c *resolverclient.Client) { s.lookup(c, "web", 0, false) })
		})
	})
	t.Run("by number", func(t *testing.T) {
		withStarts(t, func(s *starts) {
			first(s)
			s.script.set(newZone(s, append(threeWebs(), "_api._tcp.svc.internal. 5 SRV 0 1 1 web-1.web.svc.internal.")...).serve)
			s.start(resolverclient.Config{MaxEntries: 1}, func(c *resolverclient.Client) {
				time.Sleep(time.Second)
				s.lookup(c, "api", 1, false)
			})
			s.down()
			s.start(resolverclient.Config{}, func(c *resolverclient.Client) {
				s.lookup(c, "api", 1, true)
				s.lookup(c, "web", 0, false)
			})
		})
	})
}

// What one program did not ask for stays for the next; octets that are no text survive; a change is written in a second.
func TestSnapshotKeepsWhatItWasGiven(t *testing.T) {
	records := append(threeWebs(),
		"_tv._tcp.svc.internal. 5 PTR Caf\\195\\169\\255._tv._tcp.svc.internal.",
		"Caf\\195\\169\\255._tv._tcp.svc.internal. 5 SRV 1 2 3 web-1.web.svc.internal.",
		`Caf\195\169\255._tv._tcp.svc.internal. 5 TXT "key=\000\255" "flag"`)
	withStarts(t, func(s *starts) {
		s.script.set(newZone(s, records...).serve)
		var want, got resolverclient.Answer
		var err error
		s.start(resolverclient.Config{}, func(c *resolverclient.Client) {
			if want, err = c.Service(s.Context(), "tv"); err != nil {
				s.Fatal(err)
			}
			pass(1100 * time.Millisecond)
			if info, err := os.Stat(s.file); err != nil || info.Mode().Perm() != 0o600 {
				s.Errorf("a second after the answer: %v, %v", info, err)
			}
		})
		s.start(resolverclient.Config{}, func(c *resolverclient.Client) { s.lookup(c, "web", 3, false) })
		s.down()
		s.start(resolverclient.Config{}, func(c *resolverclient.Client) {
			got, err = c.Service(s.Context(), "tv")
		})
		if err != nil || fmt.Sprintf("%#v", got.Endpoints) != fmt.Sprintf("%#v", want.Endpoints) {
			s.Errorf("got %#v, %v, want %#v", got.Endpoints, err, want.Endpoints)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(s.file), "*")); len(left) != 1 {
			s.Errorf("files are left: %v", left)
		}
	})
}
