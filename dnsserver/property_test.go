package dnsserver_test

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/store"
)

// TestRepliesAgreeWithTheModel asks random questions about random zones: every reply is what a plain table of the zone's
// records says, whole sets without duplicates, within its size, and truncated exactly if the answer does not fit.
func TestRepliesAgreeWithTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		src := newSource(drawZone(t, rt)...)
		s := newServer(t, src)
		m := newModel(t, src.View())
		for range 30 {
			q := drawQuestion(rt, m)
			size := rapid.SampledFrom([]int{0, 100, 512, 700, 1232, 4096}).Draw(rt, "size")
			transport := rapid.SampledFrom([]dnsserver.Transport{dnsserver.UDP, dnsserver.TCP}).Draw(rt, "transport")
			query := question(q.Name, q.Qtype)
			query.Id = uint16(rapid.IntRange(0, 65535).Draw(rt, "id"))
			if size > 0 {
				edns(query, uint16(size))
			}
			checkReply(rt, m, query, s.Answer(pack(t, query), nil, transport), limit(size, transport))
		}
	})
}

func limit(size int, transport dnsserver.Transport) int {
	if transport == dnsserver.TCP {
		return 65535
	}
	return min(max(size, 512), 1232)
}

var (
	drawnServices = []store.Service{"_web._tcp", "_web._udp", "_db._tcp", "_a-b1._udp"}
	drawnIDs      = []string{"h1", "h2", "H3", "Web One", "büro.two", `a.b\c`, "*", "longer-than-the-others-by-some-way"}
	drawnHosts    = []string{"", "", "box", "h1", "db.other.test.", "ns1.other.test."}
	drawnTXT      = []string{"flag", "k=", "v=1", `q=a\b"c`, "long=" + strings.Repeat("x", 240)}
	drawnSubtypes = []string{"admin", "_printer", "dot.ted", "ADMIN", "Ü"}
	drawnTTLs     = []time.Duration{time.Second, 1500 * time.Millisecond, 4 * time.Second, time.Minute}
)

func drawZone(tb testing.TB, rt *rapid.T) []*store.Snapshot {
	var out []*store.Snapshot
	for _, service := range drawnServices {
		var list []store.Live
		ids := rapid.SliceOfNDistinct(rapid.SampledFrom(drawnIDs), 0, len(drawnIDs), rapid.ID).Draw(rt, "ids")
		for _, id := range ids {
			list = append(list, drawInstance(tb, rt, service, id))
		}
		if len(list) > 0 {
			out = append(out, snapshot(service, list...))
		}
	}
	return out
}

func drawInstance(tb testing.TB, rt *rapid.T, service store.Service, id string) store.Live {
	live := instance(tb, service, id, func(in *store.Instance) {
		in.Host = rapid.SampledFrom(drawnHosts).Draw(rt, "host")
		in.Addresses = nil
		if !strings.HasSuffix(in.Host, ".") {
			octets := rapid.SliceOfN(rapid.ByteRange(1, 5), 1, 4).Draw(rt, "addresses")
			for _, o := range octets {
				in.Addresses = append(in.Addresses, netip.AddrFrom4([4]byte{10, 0, 0, o}))
				if o > 3 {
					in.Addresses = append(in.Addresses, netip.AddrFrom16([16]byte{0x20, 0x01, 15: o}))
				}
			}
		}
		in.Port = rapid.Uint16Range(1, 3).Draw(rt, "port")
		in.TXT = rapid.SliceOfNDistinct(rapid.SampledFrom(drawnTXT), 0, 3, rapid.ID).Draw(rt, "txt")
		in.Subtypes = rapid.SliceOfN(rapid.SampledFrom(drawnSubtypes), 0, 2).Draw(rt, "subtypes")
		in.TTL = rapid.SampledFrom(drawnTTLs).Draw(rt, "ttl")
	})
	if rapid.IntRange(0, 3).Draw(rt, "draining") == 0 {
		return draining(live)
	}
	return live
}

// drawQuestion asks for names of the model, names above and below them, and others.
func drawQuestion(rt *rapid.T, m model) dns.Question {
	names := slices.Sorted(maps.Keys(m))
	name := rapid.SampledFrom(names).Draw(rt, "name")
	switch rapid.IntRange(0, 5).Draw(rt, "kind") {
	case 0:
		if i, end := dns.NextLabel(name, 0); !end && dns.IsSubDomain(zone, name[i:]) {
			name = name[i:]
		}
	case 1:
		name = "x." + name
	case 2:
		name = strings.ToUpper(name) // the escapes are digits
	}
	types := []uint16{dns.TypeSRV, dns.TypePTR, dns.TypeTXT, dns.TypeA, dns.TypeAAAA, dns.TypeNS, dns.TypeMX}
	return dns.Question{Name: name, Qtype: rapid.SampledFrom(types).Draw(rt, "type")}
}

func checkReply(rt *rapid.T, m model, query *dns.Msg, wire []byte, limit int) {
	q := query.Question[0]
	r := new(dns.Msg)
	if err := r.Unpack(wire); err != nil {
		rt.Fatalf("%v: %v", q, err)
	}
	if len(wire) > limit {
		rt.Fatalf("%v: %d octets of %d", q, len(wire), limit)
	}
	if (r.IsEdns0() != nil) != (query.IsEdns0() != nil) || r.Question[0].Name != q.Name {
		rt.Fatalf("%v: %v", q, r)
	}
	name := dns.CanonicalName(q.Name)
	if want := m.exists(name); want != (r.Rcode == dns.RcodeSuccess) || !want != (r.Rcode == dns.RcodeNameError) {
		rt.Fatalf("%v: %s, exists %v", q, rcode(r), want)
	}
	want := m[name][q.Qtype]
	switch {
	case r.Truncated:
		checkTruncated(rt, query, r, want, limit)
	case want == nil:
		if len(r.Answer) > 0 || len(r.Ns) != 1 {
			rt.Fatalf("%v: %v", q, r)
		}
	default:
		checkSet(rt, want, r.Answer)
	}
	checkAdditional(rt, m, r)
}

// checkTruncated checks that the whole answer really does not fit.
func checkTruncated(rt *rapid.T, query, r *dns.Msg, want *modelSet, limit int) {
	q := query.Question[0]
	if want == nil || len(r.Answer)+len(r.Ns)+len(records(r.Extra)) > 0 {
		rt.Fatalf("%v: truncated: %v", q, r)
	}
	size := query.Len()
	for d := range want.data {
		rr, err := dns.NewRR(". 5 IN " + dns.TypeToString[q.Qtype] + " " + d)
		if err != nil {
			rt.Fatal(err)
		}
		size += dns.Len(rr) + 1 // a pointer for the root
		if p, ok := rr.(*dns.PTR); ok {
			size += 2 - len(p.Ptr) - 1 + len(strings.SplitN(p.Ptr, "._", 2)[0]) // a pointer for all but the first label
		}
	}
	if size < limit-300 { // escapes are longer than what they stand for
		rt.Fatalf("%v: truncated at %d octets, which would fit in %d", q, size, limit)
	}
}

func checkSet(rt *rapid.T, want *modelSet, rrs []dns.RR) {
	got := map[string]bool{}
	for _, rr := range rrs {
		if d := data(rr); got[d] {
			rt.Fatalf("twice: %v", rr)
		} else {
			got[d] = true
		}
		if rr.Header().Ttl != want.ttl || rr.Header().Class != dns.ClassINET {
			rt.Fatalf("%v: want a TTL of %d", rr, want.ttl)
		}
	}
	if diff := cmp.Diff(want.data, got); diff != "" {
		rt.Fatalf("set (-want +got):\n%s", diff)
	}
}

// checkAdditional checks that every set of the additional section is whole and there once.
func checkAdditional(rt *rapid.T, m model, r *dns.Msg) {
	type key struct {
		name string
		typ  uint16
	}
	sets := map[key][]dns.RR{}
	for _, rr := range r.Extra {
		if h := rr.Header(); h.Rrtype != dns.TypeOPT {
			k := key{dns.CanonicalName(h.Name), h.Rrtype}
			sets[k] = append(sets[k], rr)
		}
	}
	for k, rrs := range sets {
		want := m[k.name][k.typ]
		if want == nil {
			rt.Fatalf("no such set: %v", rrs)
		}
		checkSet(rt, want, rrs)
	}
}
