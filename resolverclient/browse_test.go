package resolverclient_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// browsable are two instances of web with metadata, one of them with an id that is no host name.
func browsable() []string {
	return []string{
		`_services._dns-sd._udp.svc.internal. 5 PTR _web._tcp.svc.internal.`,
		`_services._dns-sd._udp.svc.internal. 5 PTR _mail._tcp.svc.internal.`,
		`_services._dns-sd._udp.svc.internal. 5 PTR _else._tcp.example.com.`,
		`_web._tcp.svc.internal. 5 PTR Büro\.\ Zwei._web._tcp.svc.internal.`,
		`_web._tcp.svc.internal. 5 PTR web-1._web._tcp.svc.internal.`,
		`_web._tcp.svc.internal. 5 SRV 0 1 8080 web-1.web.svc.internal.`,
		`_web._tcp.svc.internal. 5 SRV 1 2 8081 buero-zwei.web.svc.internal.`,
		`web-1._web._tcp.svc.internal. 5 SRV 0 1 8080 web-1.web.svc.internal.`,
		`web-1._web._tcp.svc.internal. 5 TXT "zone=a" "Version=1.2" "flag" "path=c:\\dir"`,
		`Büro\.\ Zwei._web._tcp.svc.internal. 5 SRV 1 2 8081 buero-zwei.web.svc.internal.`,
		`Büro\.\ Zwei._web._tcp.svc.internal. 5 TXT ""`,
		`web-1.web.svc.internal. 5 A 10.0.0.1`,
		`buero-zwei.web.svc.internal. 5 A 10.0.0.2`,
	}
}

func TestServices(t *testing.T) {
	c := clientOf(t, newZone(t, browsable()...).serve)
	got, err := c.Services(t.Context())
	if want := []string{"_mail._tcp", "_web._tcp"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := clientOf(t, newZone(t).serve).Services(t.Context()); !errors.Is(err, resolverclient.ErrNotFound) {
		t.Errorf("got %v from an empty zone, want ErrNotFound", err)
	}
	if _, err := clientOf(t, rcode(dns.RcodeRefused)).Services(t.Context()); !errors.Is(err, resolverclient.ErrNoAnswer) {
		t.Errorf("got %v from a server that refuses, want ErrNoAnswer", err)
	}
	c.Close()
	if _, err := c.Services(t.Context()); !errors.Is(err, resolverclient.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	nowhere, err := resolverclient.New(resolverclient.Config{Servers: []string{"127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer nowhere.Close()
	if _, err := nowhere.Services(t.Context()); err == nil || !strings.Contains(err.Error(), "no zone") {
		t.Errorf("got %v without a zone", err)
	}
}

// inventory writes the instances of an answer with their metadata.
func inventory(endpoints []resolverclient.Endpoint) string {
	var lines []string
	for _, e := range endpoints {
		lines = append(lines, fmt.Sprintf("%s %d %d %s %q", e.Instance, e.Priority, e.Weight, e.HostPort(), e.TXT))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

const browsed = `Büro. Zwei 1 2 10.0.0.2:8081 []
web-1 0 1 10.0.0.1:8080 ["zone=a" "Version=1.2" "flag" "path=c:\\dir"]`

func TestServiceReadsMetadata(t *testing.T) {
	for _, bare := range []bool{false, true} {
		t.Run(fmt.Sprintf("additional section empty %v", bare), func(t *testing.T) {
			z := newZone(t, browsable()...)
			z.noAdditional = bare
			queries := &counted{next: z.serve}
			c := clientOf(t, queries.serve)
			got, err := c.Service(t.Context(), "web")
			if err != nil {
				t.Fatal(err)
			}
			if text := inventory(got.Endpoints); text != browsed {
				t.Errorf("got\n%s\nwant\n%s", text, browsed)
			}
			if _, err := c.Service(t.Context(), "_web._tcp"); err != nil {
				t.Error(err)
			}
			if n := queries.of(dns.TypePTR); n != 1 {
				t.Errorf("%d PTR queries, want 1 and then the cache", n)
			}
			if n := queries.of(dns.TypeSRV); n != 0 && !bare {
				t.Errorf("%d SRV queries for records that were additional", n)
			}
		})
	}
}

func TestServiceWithoutPTR(t *testing.T) {
	got, err := clientOf(t, newZone(t, threeWebs()...).serve).Service(t.Context(), "web")
	if err != nil || len(got.Endpoints) != 3 || got.Endpoints[0].Instance != "" {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = clientOf(t, newZone(t).serve).Service(t.Context(), "web")
	if !errors.Is(err, resolverclient.ErrNotFound) || !strings.Contains(err.Error(), "PTR") {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if _, err := clientOf(t, silent).Service(t.Context(), "we b"); err == nil {
		t.Error("a malformed name was taken")
	}
}

// Records that cannot be had must neither hide an instance that was known nor the others.
func TestServiceSurvivesPartialFailure(t *testing.T) {
	z := newZone(t, browsable()...)
	z.noAdditional = true
	failing := func(kinds ...uint16) handler {
		return func(x exchange) {
			q := x.query.Question[0]
			if slices.Contains(kinds, q.Qtype) && strings.EqualFold(q.Name, "web-1._web._tcp.svc.internal.") {
				rcode(dns.RcodeServerFailure)(x)
				return
			}
			z.serve(x)
		}
	}
	t.Run("TXT", func(t *testing.T) {
		got, err := clientOf(t, failing(dns.TypeTXT)).Service(t.Context(), "web")
		if err != nil || len(got.Endpoints) != 2 {
			t.Errorf("got %+v, %v, want both without the metadata of one", got, err)
		}
	})
	t.Run("SRV of one unknown", func(t *testing.T) {
		got, err := clientOf(t, failing(dns.TypeSRV)).Service(t.Context(), "web")
		if err != nil || len(got.Endpoints) != 1 {
			t.Errorf("got %+v, %v, want the other one", got, err)
		}
	})
	t.Run("SRV of one known", func(t *testing.T) {
		bubble(t, resolverclient.Config{}, func(b *cacheTest) {
			b.script.set(z.serve)
			for _, h := range []handler{z.serve, failing(dns.TypeSRV)} {
				b.script.set(h)
				pass(5 * time.Second)
				got, err := b.client.Service(b.Context(), "web")
				if text := inventory(got.Endpoints); err != nil || text != browsed {
					t.Errorf("got\n%s\n%v, want\n%s", text, err, browsed)
				}
			}
		})
	})
	t.Run("SRV of all gone", func(t *testing.T) {
		ptr := newZone(t, "_web._tcp.svc.internal. 5 PTR a._web._tcp.svc.internal.")
		if _, err := clientOf(t, ptr.serve).Service(t.Context(), "web"); !errors.Is(err, resolverclient.ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
	})
	t.Run("all", func(t *testing.T) {
		c := clientOf(t, func(x exchange) {
			if x.query.Question[0].Qtype == dns.TypeSRV {
				rcode(dns.RcodeServerFailure)(x)
				return
			}
			z.serve(x)
		})
		if _, err := c.Service(t.Context(), "web"); !errors.Is(err, resolverclient.ErrNoAnswer) {
			t.Errorf("got %v, want ErrNoAnswer", err)
		}
	})
}

func TestEndpointText(t *testing.T) {
	e := resolverclient.Endpoint{TXT: []string{"zone=a", "flag", "empty=", "ZONE=b", "=odd"}}
	for _, tt := range []struct {
		key, want string
		ok        bool
	}{{"zone", "a", true}, {"Zone", "a", true}, {"flag", "", true}, {"empty", "", true}, {"none", "", false}, {"", "", false}} {
		if got, ok := e.Text(tt.key); got != tt.want || ok != tt.ok {
			t.Errorf("%q: got %q, %v", tt.key, got, ok)
		}
	}
}
