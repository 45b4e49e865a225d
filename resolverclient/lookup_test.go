package resolverclient_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// describe writes the endpoints of an answer in a stable order, one a line.
func describe(endpoints []resolverclient.Endpoint) string {
	var lines []string
	for _, e := range endpoints {
		lines = append(lines, fmt.Sprintf("%d %d %s:%d %v", e.Priority, e.Weight, e.Target, e.Port, e.Addresses))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestLookupReads(t *testing.T) {
	for _, tt := range []struct {
		name    string
		records []string
		bare    bool // no additional section
		want    string
		ttl     time.Duration
	}{
		{
			name: "additional addresses",
			records: []string{
				"_web._tcp.svc.internal. 30 SRV 1 2 80 a.svc.internal.",
				"a.svc.internal. 20 AAAA 2001:db8::1",
				"a.svc.internal. 20 A 10.0.0.1",
			},
			want: "1 2 a.svc.internal.:80 [10.0.0.1 2001:db8::1]",
			ttl:  20 * time.Second,
		},
		{
			name: "addresses by further queries",
			bare: true,
			records: []string{
				"_web._tcp.svc.internal. 30 SRV 1 2 80 a.svc.internal.",
				"_web._tcp.svc.internal. 30 SRV 1 2 81 b.svc.internal.",
				"a.svc.internal. 20 A 10.0.0.1",
				"b.svc.internal. 10 AAAA 2001:db8::1",
			},
			want: "1 2 a.svc.internal.:80 [10.0.0.1]\n1 2 b.svc.internal.:81 [2001:db8::1]",
			ttl:  10 * time.Second,
		},
		{
			name: "alias of the service and of a target",
			bare: true,
			records: []string{
				"_web._tcp.svc.internal. 8 CNAME _other._tcp.example.com.",
				"_other._tcp.example.com. 30 SRV 0 0 80 a.example.com.",
				"a.example.com. 9 CNAME b.example.com.",
				"b.example.com. 20 A 10.0.0.1",
			},
			want: "0 0 a.example.com.:80 [10.0.0.1]",
			ttl:  8 * time.Second,
		},
		{
			name: "target without an address is asked for again soon",
			records: []string{
				"_web._tcp.svc.internal. 30 SRV 0 0 80 a.example.com.",
			},
			want: "0 0 a.example.com.:80 []",
			ttl:  5 * time.Second,
		},
		{
			name: "case of names does not count and a target and port counts once",
			records: []string{
				"_WEB._tcp.svc.internal. 30 SRV 2 0 80 A.svc.Internal.",
				"_web._TCP.svc.internal. 30 SRV 1 0 80 a.svc.internal.",
				"a.SVC.internal. 30 A 10.0.0.1",
			},
			want: "1 0 a.svc.internal.:80 [10.0.0.1]",
			ttl:  30 * time.Second,
		},
		{
			name: "TTL 0 is kept for a second",
			records: []string{
				"_web._tcp.svc.internal. 0 SRV 1 0 80 a.svc.internal.",
				"a.svc.internal. 0 A 10.0.0.1",
			},
			want: "1 0 a.svc.internal.:80 [10.0.0.1]",
			ttl:  time.Second,
		},
		{
			name: "a root target beside others is left out",
			records: []string{
				"_web._tcp.svc.internal. 30 SRV 1 0 80 a.svc.internal.",
				"_web._tcp.svc.internal. 30 SRV 0 0 0 .",
				"a.svc.internal. 30 A 10.0.0.1",
			},
			want: "1 0 a.svc.internal.:80 [10.0.0.1]",
			ttl:  30 * time.Second,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, resolverclient.Config{}, func(b *cacheTest) {
				z := newZone(t, tt.records...)
				z.noAdditional = tt.bare
				b.script.set(z.serve)
				got, _, err := b.lookup()
				if err != nil {
					t.Fatal(err)
				}
				if text := describe(got.Endpoints); text != tt.want {
					t.Errorf("got\n%s\nwant\n%s", text, tt.want)
				}
				if got.TTL != tt.ttl {
					t.Errorf("TTL %v, want %v", got.TTL, tt.ttl)
				}
				if got.Name != "_web._tcp.svc.internal." || got.Stale != nil {
					t.Errorf("name %q, stale %v", got.Name, got.Stale)
				}
			})
		})
	}
}

func TestLookupAsksForNoAddressThatItHas(t *testing.T) {
	queries := &counted{next: newZone(t, threeWebs()...).serve}
	if _, err := clientOf(t, queries.serve).Lookup(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	if n := queries.of(dns.TypeA) + queries.of(dns.TypeAAAA); n != 0 {
		t.Errorf("%d queries for addresses that were in the additional section", n)
	}
}

func TestLookupFails(t *testing.T) {
	loop := newZone(t, "_web._tcp.svc.internal. 5 CNAME _web._tcp.svc.internal.")
	for _, tt := range []struct {
		name    string
		serve   handler
		want    error
		text    string
		service string
	}{
		{name: "NXDOMAIN", serve: newZone(t).serve, want: resolverclient.ErrNotFound, text: "NXDOMAIN"},
		{
			name:  "NODATA",
			serve: newZone(t, "_web._tcp.svc.internal. 5 TXT x").serve,
			want:  resolverclient.ErrNotFound, text: "NODATA",
		},
		{
			name:  "not offered",
			serve: newZone(t, "_web._tcp.svc.internal. 5 SRV 0 0 0 .").serve,
			want:  resolverclient.ErrNotOffered, text: `"."`,
		},
		{name: "SERVFAIL", serve: rcode(dns.RcodeServerFailure), want: resolverclient.ErrNoAnswer, text: "SERVFAIL"},
		{name: "REFUSED", serve: rcode(dns.RcodeRefused), want: resolverclient.ErrNoAnswer, text: "REFUSED"},
		{name: "REFUSED, to be told from silence", serve: rcode(dns.RcodeRefused), want: resolverclient.ErrRefused, text: "REFUSED"},
		{name: "alias to itself", serve: loop.serve, want: resolverclient.ErrNotFound, text: "NODATA"},
		{
			name: "alias without an end", serve: endlessAlias,
			text: "more than 8 aliases",
		},
		{
			name: "no address can be learnt", serve: noAddresses(t),
			want: resolverclient.ErrNoAnswer, text: "lookup A web-",
		},
		{name: "name", serve: silent, service: "we b", text: `service "we b": must be`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := clientOf(t, tt.serve).Lookup(t.Context(), cmp.Or(tt.service, "web"))
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v, want %v with %q", err, tt.want, tt.text)
			}
		})
	}
}

// endlessAlias answers each name with an alias to a longer one.
func endlessAlias(x exchange) {
	name := x.query.Question[0].Name
	m := new(dns.Msg).SetReply(x.query)
	m.Authoritative = true
	m.Answer = []dns.RR{&dns.CNAME{
		Hdr:    dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 5},
		Target: "x." + name,
	}}
	x.reply(m)
}

// noAddresses answers SRV without additionals and fails on everything else.
func noAddresses(tb testing.TB) handler {
	z := newZone(tb, threeWebs()...)
	z.noAdditional = true
	return func(x exchange) {
		if x.query.Question[0].Qtype == dns.TypeSRV {
			z.serve(x)
			return
		}
		rcode(dns.RcodeServerFailure)(x)
	}
}

// One address family that fails, as behind broken middleboxes, must not hide the other.
func TestLookupTakesOneFamilyWhenTheOtherFails(t *testing.T) {
	z := newZone(t, threeWebs()...)
	z.noAdditional = true
	c := clientOf(t, func(x exchange) {
		if x.query.Question[0].Qtype == dns.TypeAAAA {
			rcode(dns.RcodeServerFailure)(x)
			return
		}
		z.serve(x)
	})
	got, err := c.Lookup(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range got.Endpoints {
		if len(e.Addresses) != 1 {
			t.Errorf("%s has addresses %v, want one", e.Target, e.Addresses)
		}
	}
}

func TestLookupNames(t *testing.T) {
	for _, tt := range []struct {
		service, zone string
		want, text    string
	}{
		{service: "web", zone: "svc.internal", want: "_web._tcp.svc.internal."},
		{service: "_Web._UDP", zone: "SVC.internal.", want: "_web._udp.svc.internal."},
		{service: "_web._tcp.Example.COM.", want: "_web._tcp.example.com."},
		{service: "_web._tcp.example.com.", zone: "svc.internal", want: "_web._tcp.example.com."},
		{service: `my\032web.example.`, want: `my\ web.example.`},
		{service: "web", text: "needs a zone"},
		{service: "_web._tcp.example.com", zone: "svc.internal", text: "dot at its end"},
		{service: ".", text: "root"},
		{service: "a..b.", text: "empty label"},
		{service: strings.Repeat("a", 64) + ".", text: "label"},
	} {
		t.Run(tt.service, func(t *testing.T) {
			c, err := resolverclient.New(resolverclient.Config{
				Zone: tt.zone, Servers: []string{"127.0.0.1:1"}, Dial: piped(everything),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			got, err := c.Lookup(t.Context(), tt.service)
			if tt.text != "" {
				if err == nil || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("got %v, want an error with %q", err, tt.text)
				}
				return
			}
			if err != nil || got.Name != tt.want {
				t.Errorf("got %q, %v, want %q", got.Name, err, tt.want)
			}
		})
	}
}

// everything answers any SRV query with one endpoint.
func everything(x exchange) {
	name := x.query.Question[0].Name
	m := new(dns.Msg).SetReply(x.query)
	m.Answer = []dns.RR{&dns.SRV{
		Hdr:    dns.RR_Header{Name: name, Rrtype: dns.TypeSRV, Class: dns.ClassINET, Ttl: 5},
		Target: "a.example.", Port: 80,
	}}
	m.Extra = []dns.RR{&dns.A{
		Hdr: dns.RR_Header{Name: "a.example.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 5},
		A:   []byte{127, 0, 0, 1},
	}}
	x.reply(m)
}

func TestLookupEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("caller is gone")
	c := clientOf(t, func(exchange) { cancel(gone) })
	if _, err := c.Lookup(ctx, "web"); !errors.Is(err, gone) {
		t.Errorf("got %v, want %v", err, gone)
	}
}
