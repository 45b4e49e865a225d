package resolverclient_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// dual is a service of one instance with addresses of both kinds, found by PTR, SRV, TXT and address queries of their
// own, of which the handler refuses those of a type. The TTL is a minute.
func dual(tb testing.TB, refused uint16) handler {
	z := newZone(tb,
		"_web._tcp.svc.internal. 60 PTR i1._web._tcp.svc.internal.",
		"_web._tcp.svc.internal. 60 SRV 0 1 80 a.svc.internal.",
		"i1._web._tcp.svc.internal. 60 SRV 0 1 80 a.svc.internal.",
		"i1._web._tcp.svc.internal. 60 TXT version=2",
		"a.svc.internal. 60 A 10.0.0.1",
		"a.svc.internal. 60 AAAA 2001:db8::1")
	z.noAdditional = true
	return func(x exchange) {
		q := x.query.Question[0]
		if q.Qtype == refused && !strings.EqualFold(q.Name, "_web._tcp.svc.internal.") {
			rcode(dns.RcodeServerFailure)(x)
			return
		}
		z.serve(x)
	}
}

// gist is what the tests of this file look at in an answer: the addresses, the metadata and whether it is stale.
func gist(a resolverclient.Answer, err error) string {
	if err != nil {
		return "error"
	}
	var parts []string
	for _, e := range a.Endpoints {
		parts = append(append(parts, fmt.Sprint(e.Addresses)), e.TXT...)
	}
	if a.Stale != nil {
		parts = append(parts, "stale")
	}
	return strings.Join(parts, " ")
}

// Where the addresses of one kind cannot be had, the others are an answer, which is completed soon.
func TestHalfAnAnswerIsAskedForAgainSoon(t *testing.T) {
	for refused, half := range map[uint16]string{dns.TypeA: "[2001:db8::1]", dns.TypeAAAA: "[10.0.0.1]"} {
		t.Run(dns.TypeToString[refused], func(t *testing.T) {
			bubble(t, resolverclient.Config{MinTTL: 30 * time.Second}, func(b *cacheTest) {
				b.script.set(dual(t, refused))
				a, _, err := b.lookup()
				if got := gist(a, err); got != half || a.TTL > 5*time.Second {
					t.Errorf("got %s for %v, want %s for 5 s at most", got, a.TTL, half)
				}
				b.script.set(dual(t, dns.TypeNone))
				pass(5 * time.Second)
				a, _, err = b.lookup()
				if got := gist(a, err); got != "[10.0.0.1 2001:db8::1]" || a.TTL < 30*time.Second {
					t.Errorf("got %s for %v, want both for the TTL", got, a.TTL)
				}
			})
		})
	}
}

// Records that cannot be had anew are those of before: fresh until their TTL ends, then stale for MaxStale, then no more.
func TestLoansAreBoundedAndReported(t *testing.T) {
	const all = "[10.0.0.1 2001:db8::1] version=2"
	for _, tt := range []struct {
		refused uint16
		after   string // MaxStale
	}{
		{dns.TypeA, "[2001:db8::1] version=2"},
		{dns.TypeAAAA, "[10.0.0.1] version=2"},
		{dns.TypeTXT, "[10.0.0.1 2001:db8::1]"},
		{dns.TypeSRV, "error"},
	} {
		t.Run(dns.TypeToString[tt.refused], func(t *testing.T) {
			var log bytes.Buffer
			cfg := resolverclient.Config{
				MaxStale: 2 * time.Minute, Idle: time.Hour, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			}
			bubble(t, cfg, func(b *cacheTest) {
				want := func(when, text string) {
					t.Helper()
					if got := gist(b.client.Service(b.Context(), "web")); got != text {
						t.Errorf("%s: got %q, want %q", when, got, text)
					}
				}
				b.script.set(dual(t, dns.TypeNone))
				want("at first", all)
				b.script.set(dual(t, tt.refused))
				pass(59 * time.Second)
				want("before the TTL ends", all)
				pass(2 * time.Second)
				want("after the TTL", all+" stale")
				pass(110 * time.Second)
				want("before MaxStale ends", all+" stale")
				pass(20 * time.Second)
				want("after MaxStale", tt.after)
				b.script.set(dual(t, dns.TypeNone))
				pass(15 * time.Second)
				want("after the trouble", all)
			})
			if n := strings.Count(log.String(), "stale answer in use"); n != 1 {
				t.Errorf("logged %d times:\n%s", n, &log)
			}
		})
	}
}

// Nothing is lent past its TTL where MaxStale says so.
func TestNoLoansWithoutMaxStale(t *testing.T) {
	bubble(t, resolverclient.Config{MaxStale: -1, Idle: time.Hour}, func(b *cacheTest) {
		b.script.set(dual(t, dns.TypeNone))
		b.lookup()
		b.script.set(dual(t, dns.TypeA))
		pass(59 * time.Second)
		if got := gist(b.client.Lookup(b.Context(), "web")); got != "[10.0.0.1 2001:db8::1]" {
			t.Errorf("within the TTL: %s", got)
		}
		pass(time.Second)
		if got := gist(b.client.Lookup(b.Context(), "web")); got != "[2001:db8::1]" {
			t.Errorf("after the TTL: %s", got)
		}
	})
}

// Addresses of a snapshot are stale from the start, do not outlive MaxStale, and grow no younger by being saved again.
func TestLoansOfTheSnapshot(t *testing.T) {
	for _, tt := range []struct {
		name     string
		maxStale time.Duration
		want     string
	}{
		{"lent", time.Minute, "[10.0.0.1 2001:db8::1] stale"},
		{"without stale answers", -1, "[2001:db8::1]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			withStarts(t, func(s *starts) {
				s.script.set(dual(t, dns.TypeNone))
				s.start(resolverclient.Config{}, func(c *resolverclient.Client) { s.lookup(c, "web", 1, false) })
				s.script.set(dual(t, dns.TypeA))
				s.start(resolverclient.Config{MaxStale: tt.maxStale}, func(c *resolverclient.Client) {
					for range 2 {
						if got := gist(c.Lookup(s.Context(), "web")); got != tt.want {
							t.Errorf("got %s, want %s", got, tt.want)
						}
						pass(30 * time.Second)
					}
				})
			})
		})
	}
	withStarts(t, func(s *starts) {
		s.script.set(dual(t, dns.TypeNone))
		s.start(resolverclient.Config{}, func(c *resolverclient.Client) { s.lookup(c, "web", 1, false) })
		s.script.set(dual(t, dns.TypeA))
		for range 3 {
			time.Sleep(10 * time.Hour)
			s.start(resolverclient.Config{}, func(c *resolverclient.Client) { _, _ = c.Lookup(s.Context(), "web") })
		}
		s.start(resolverclient.Config{}, func(c *resolverclient.Client) {
			if got := gist(c.Lookup(s.Context(), "web")); got != "[2001:db8::1]" {
				t.Errorf("30 hours after a server said so: %s", got)
			}
		})
	})
}
