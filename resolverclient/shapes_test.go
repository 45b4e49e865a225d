package resolverclient_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// shape is how a server writes the same data.
type shape struct {
	name string
	zone func(*zone)
	edit func(x exchange, m *dns.Msg) // the reply, before it is packed
}

func shapes() []shape {
	none := func(exchange, *dns.Msg) {}
	return []shape{
		{name: "all of it", edit: none},
		{name: "no additionals", zone: func(z *zone) { z.noAdditional = true }, edit: none},
		{name: "no compression", edit: func(_ exchange, m *dns.Msg) { m.Compress = false }},
		{name: "targets in capitals, as in the file", edit: func(_ exchange, m *dns.Msg) {
			for _, rr := range m.Answer {
				if srv, ok := rr.(*dns.SRV); ok {
					srv.Target = strings.ToUpper(srv.Target)
				}
			}
		}},
		{name: "additionals in capitals", edit: func(_ exchange, m *dns.Msg) {
			for _, rr := range m.Extra {
				if rr.Header().Rrtype != dns.TypeOPT {
					rr.Header().Name = strings.ToUpper(rr.Header().Name)
				}
			}
		}},
		{name: "cut to nothing, with TC", zone: func(z *zone) { z.limit = 1 }, edit: none},
		{name: "cut to a part, with TC", edit: func(x exchange, m *dns.Msg) {
			if x.network == "udp" && len(m.Answer) > 1 {
				m.Answer, m.Extra, m.Truncated = m.Answer[:1], nil, true
			}
		}},
		{name: "additionals cut, without TC", edit: func(_ exchange, m *dns.Msg) {
			if len(m.Extra) > 2 {
				m.Extra = m.Extra[:1]
			}
		}},
		{name: "strangers beside", edit: func(_ exchange, m *dns.Msg) {
			for _, text := range []string{"other.example. 1 A 192.0.2.66", "_web._tcp.other.example. 1 SRV 0 9 9 other.example."} {
				rr, _ := dns.NewRR(text)
				m.Answer, m.Extra = append(m.Answer, rr), append(m.Extra, rr)
			}
		}},
		{name: "no EDNS and a TTL of 0", edit: func(_ exchange, m *dns.Msg) {
			m.Extra = nil
			for _, rr := range m.Answer {
				rr.Header().Ttl = 0
			}
		}},
	}
}

// serve answers from a zone in this shape.
func (s shape) serve(z *zone) handler {
	if s.zone != nil {
		s.zone(z)
	}
	return func(x exchange) {
		z.serve(exchange{x.network, x.query, func(wire []byte) {
			m := new(dns.Msg)
			if m.Unpack(wire) != nil {
				return
			}
			m.Compress = true
			s.edit(x, m)
			x.reply(m)
		}})
	}
}

// However a server writes it, 3 and 150 instances are the same instances, those of the zone.
func TestLookupOfEveryShape(t *testing.T) {
	for _, n := range []int{3, 150} {
		want := map[string]string{}
		for i := range n {
			want[fmt.Sprintf("p0-%d.svc.internal.", i)] = fmt.Sprintf("127.0.%d.%d:%d", i/250, i%250+1, i+1)
		}
		for _, s := range shapes() {
			t.Run(fmt.Sprint(s.name, "/", n), func(t *testing.T) {
				t.Parallel()
				got, err := clientOf(t, s.serve(newZone(t, benchRecords(n)...))).Lookup(t.Context(), "web")
				if err != nil || len(got.Endpoints) != n {
					t.Fatalf("%d endpoints, %v", len(got.Endpoints), err)
				}
				for _, e := range got.Endpoints {
					if e.HostPort() != want[e.Target] || int(e.Weight) != 1+int(e.Port-1)%10 {
						t.Errorf("got %+v, want %s", e, want[e.Target])
					}
				}
			})
		}
	}
}

// A reply as CoreDNS gives it for a headless Kubernetes service: the names of the query echoed in its mixed case, SRV
// targets uncompressed, weights that divide 100, a short TTL, and the pods' addresses beside.
func TestLookupOfAKubernetesService(t *testing.T) {
	c := clientOf(t, func(x exchange) {
		m := new(dns.Msg).SetReply(x.query)
		m.Authoritative, m.Compress = true, true
		name := x.query.Question[0].Name
		for i, pod := range []string{"10-244-1-5", "10-244-2-9", "10-244-3-1"} {
			target := pod + ".web.default.svc.cluster.local."
			addr := netip.MustParseAddr(strings.ReplaceAll(pod, "-", "."))
			m.Answer = append(m.Answer, &dns.SRV{
				Hdr:    dns.RR_Header{Name: name, Rrtype: dns.TypeSRV, Class: dns.ClassINET, Ttl: 5},
				Weight: 33, Port: uint16(8080 + i), Target: target,
			})
			m.Extra = append(m.Extra, &dns.A{
				Hdr: dns.RR_Header{Name: target, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 5}, A: addr.AsSlice(),
			})
		}
		m.SetEdns0(1232, false)
		x.reply(m)
	})
	b, err := c.Balancer("_http._tcp.web.default.svc.cluster.local.", resolverclient.WeightedRoundRobin)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for range 30 {
		p, err := b.Pick(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		counts[p.Endpoint.HostPort()]++
		p.Done(nil)
	}
	if want := map[string]int{"10.244.1.5:8080": 10, "10.244.2.9:8081": 10, "10.244.3.1:8082": 10}; fmt.Sprint(counts) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", counts, want)
	}
}
