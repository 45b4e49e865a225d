package resolverclient_test

import (
	"context"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// FuzzReply lets a server answer with arbitrary octets behind the query's id: whatever they are, a lookup ends with an
// answer whose endpoints hold together or with an error, and a balancer picks what can be dialled.
func FuzzReply(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, udp, tcp []byte) {
		c, err := resolverclient.New(resolverclient.Config{
			Servers: []string{"ns:53"}, Attempts: 1, Timeout: 20 * time.Millisecond, Dial: piped(arbitrary(udp, tcp)),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		got, err := c.Lookup(ctx, "_web._tcp.svc.internal.")
		if err == nil && len(got.Endpoints) == 0 {
			t.Error("neither an endpoint nor an error")
		}
		for i, e := range got.Endpoints {
			if i > 0 && e.Priority < got.Endpoints[i-1].Priority {
				t.Errorf("priority %d after %d", e.Priority, got.Endpoints[i-1].Priority)
			}
			if _, _, err := net.SplitHostPort(e.HostPort()); err != nil {
				t.Errorf("host and port %q: %v", e.HostPort(), err)
			}
		}
		if got, err := c.Service(ctx, "_web._tcp.svc.internal."); err == nil && len(got.Endpoints) == 0 {
			t.Error("neither an instance nor an error")
		}
		checkPicks(ctx, t, c)
	})
}

// addSeeds adds good replies whole, cut and with an octet changed. The question they repeat has no letters whose case
// could differ from the query's: arbitrary puts it right.
func addSeeds(f *testing.F) {
	query := new(dns.Msg).SetQuestion("_web._tcp.svc.internal.", dns.TypeSRV)
	full := newZone(f, threeWebs()...)
	bare := newZone(f, append(threeWebs(), "_web._tcp.svc.internal. 5 SRV 0 1 0 .")...)
	bare.noAdditional = true
	alias := newZone(f, "_web._tcp.svc.internal. 5 CNAME _x._tcp.svc.internal.")
	browse := new(dns.Msg).SetQuestion("_web._tcp.svc.internal.", dns.TypePTR)
	for i, z := range []*zone{full, bare, alias, newZone(f), newZone(f, browsable()...)} {
		if i == 4 {
			query = browse
		}
		wire, err := z.answer(query).Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire[2:], wire[2:])
		f.Add(wire[2:len(wire)/2], wire[2:])
		f.Add([]byte{0x86, 0}, wire[2:])
		for _, at := range []int{3, 5, 7, 9, 11, 40, 50, 60} {
			changed := append([]byte(nil), wire[2:]...)
			changed[at%len(changed)] ^= 0x41
			f.Add(changed, wire[2:])
		}
	}
}

// arbitrary answers with given octets behind the true id, and with the true question where they have one of its size.
// It closes when it has none.
func arbitrary(udp, tcp []byte) handler {
	return func(x exchange) {
		body := udp
		if x.network == "tcp" {
			body = tcp
		}
		body = body[:min(len(body), 4000)]
		reply := append(binary.BigEndian.AppendUint16(nil, x.query.Id), body...)
		asked, err := (&dns.Msg{Question: x.query.Question}).Pack()
		if err != nil {
			panic(err) // a mistake in the test itself
		}
		if len(reply) >= len(asked) {
			copy(reply[12:], asked[12:])
		}
		x.send(reply)
	}
}

func checkPicks(ctx context.Context, t *testing.T, c *resolverclient.Client) {
	t.Helper()
	for _, strategy := range allStrategies() {
		b, err := c.Balancer("_web._tcp.svc.internal.", strategy)
		if err != nil {
			t.Fatal(err)
		}
		p, err := b.Pick(ctx)
		if err == nil && (p.Endpoint.Port == 0 || len(p.Endpoint.Addresses) == 0) {
			t.Errorf("%v: picked %+v", strategy, p.Endpoint)
		}
		p.Done(err)
	}
}

// FuzzLookupName asks for arbitrary names: each is refused, or asked for in a form that is a name again.
func FuzzLookupName(f *testing.F) {
	for _, name := range []string{"web", "_web._udp", "a.b.", `a\.b.c.`, `\000\255.x.`, `\`, ".", "..", "a b.", "ÄÖ.x."} {
		f.Add(name)
	}
	c, err := resolverclient.New(resolverclient.Config{
		Servers: []string{"ns:53"}, Zone: "svc.internal", Dial: piped(everything), MaxEntries: 16,
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { c.Close() })
	f.Fuzz(func(t *testing.T, name string) {
		got, err := c.Lookup(t.Context(), name)
		if err != nil {
			return
		}
		if again, err := c.Lookup(t.Context(), got.Name); err != nil || again.Name != got.Name {
			t.Errorf("%q was asked for as %q, and that as %q, %v", name, got.Name, again.Name, err)
		}
	})
}
