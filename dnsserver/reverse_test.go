package dnsserver_test

import (
	"context"
	"fmt"
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
	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// reversing gives the zone reverse zones.
func reversing(prefixes ...string) func(*dnsserver.Config) {
	return func(c *dnsserver.Config) {
		for _, p := range prefixes {
			c.Zones[0].Reverse = append(c.Zones[0].Reverse, netip.MustParsePrefix(p))
		}
	}
}

// reverseName returns the name of an address as another library computes it.
func reverseName(tb testing.TB, address string) string {
	tb.Helper()
	name, err := dns.ReverseAddr(address)
	if err != nil {
		tb.Fatal(err)
	}
	return name
}

func TestZ1HostNamesOfAnAddress(t *testing.T) {
	s := newServer(t, newSource(
		snapshot("_web._tcp",
			instance(t, "_web._tcp", "a", with("10.0.0.1", "2001:db8::1"), ttl(3*time.Second)),
			instance(t, "_web._tcp", "Web One", with("10.0.0.1"), ttl(time.Second)),
			instance(t, "_web._tcp", "box-1", with("10.0.0.3"), host("box")),
			instance(t, "_web._tcp", "box-2", with("10.0.0.3"), host("box")),
			draining(instance(t, "_web._tcp", "d", with("10.0.0.1", "10.0.0.4"))),
			instance(t, "_web._tcp", "e", external("db.other.test.")),
		),
		snapshot("_db._udp", instance(t, "_db._udp", "b", with("10.0.0.1", "192.0.2.1"))),
	), reversing("10.0.0.0/8", "2001:db8::/32"))
	lookups(t, s, []lookup{
		{reverseName(t, "10.0.0.1"), dns.TypePTR, []string{"a.web.svc.example.", "b.db.svc.example.", "web-one-" + hashOf("Web One") + ".web.svc.example."}},
		{reverseName(t, "2001:db8::1"), dns.TypePTR, []string{"a.web.svc.example."}},
		{strings.ToUpper(reverseName(t, "2001:db8::1")), dns.TypePTR, []string{"a.web.svc.example."}},
		{reverseName(t, "10.0.0.3"), dns.TypePTR, []string{"box.web.svc.example."}},
		{reverseName(t, "10.0.0.1"), dns.TypeANY, []string{"a.web.svc.example.", "b.db.svc.example.", "web-one-" + hashOf("Web One") + ".web.svc.example."}},
	})
	for name, want := range map[string]uint32{reverseName(t, "10.0.0.1"): 1, reverseName(t, "2001:db8::1"): 3, reverseName(t, "10.0.0.3"): 5} {
		if got := ask(t, s, name, dns.TypePTR).Answer[0].Header().Ttl; got != want {
			t.Errorf("%s: TTL %d, want %d", name, got, want)
		}
	}
	for name, want := range map[string]string{
		reverseName(t, "10.0.0.4"): "NXDOMAIN", reverseName(t, "10.0.0.2"): "NXDOMAIN", reverseName(t, "192.0.2.1"): "REFUSED", "in-addr.arpa.": "REFUSED",
	} {
		if r := ask(t, s, name, dns.TypePTR); rcode(r) != want || len(r.Answer) > 0 {
			t.Errorf("%s: %v, want %s", name, r, want)
		}
	}
}

// hashOf returns what tells the host of an id apart.
func hashOf(id string) string {
	label := dnssd.HostLabel(id)
	return label[strings.LastIndexByte(label, '-')+1:]
}

func TestZ2ReverseApex(t *testing.T) {
	src := newSource(only(t, "_web._tcp", "a"))
	s := newServer(t, src, reversing("10.0.0.0/16"), func(c *dnsserver.Config) { c.Zones[0].Mailbox = "noc@example.net" })
	apex := "0.10.in-addr.arpa."
	lookups(t, s, []lookup{
		{apex, dns.TypeSOA, []string{"ns1.svc.example. noc.example.net. 1 300 60 86400 5"}},
		{apex, dns.TypeNS, []string{"ns1.svc.example."}},
		{apex, dns.TypePTR, []string{}},
	})
	revision := src.set(only(t, "_db._tcp", "b"))
	if got := ask(t, s, apex, dns.TypeSOA).Answer[0].(*dns.SOA).Serial; got != revision.Serial() {
		t.Errorf("serial %d at revision %d", got, revision)
	}
	r := ask(t, s, reverseName(t, "10.0.0.9"), dns.TypePTR)
	if len(r.Ns) != 1 || r.Ns[0].Header().Name != apex || r.Ns[0].(*dns.SOA).Serial != revision.Serial() || r.Ns[0].Header().Ttl != 5 {
		t.Errorf("negative answer %v", r)
	}
}

func TestZ3ReverseNamesThatExist(t *testing.T) {
	s := newServer(t, newSource(snapshot("_web._tcp", instance(t, "_web._tcp", "a", with("10.0.0.1", "10.20.0.255", "fd00:1::ab")))),
		reversing("10.0.0.0/8", "fd00::/8"))
	for name, want := range map[string]string{
		"10.in-addr.arpa.":               "NOERROR",
		"0.10.in-addr.arpa.":             "NOERROR",
		"0.0.10.in-addr.arpa.":           "NOERROR",
		"20.10.in-addr.arpa.":            "NOERROR",
		"1.10.in-addr.arpa.":             "NXDOMAIN",
		"1.0.10.in-addr.arpa.":           "NXDOMAIN",
		"00.10.in-addr.arpa.":            "NXDOMAIN",
		"020.10.in-addr.arpa.":           "NXDOMAIN",
		"276.10.in-addr.arpa.":           "NXDOMAIN",
		"0020.10.in-addr.arpa.":          "NXDOMAIN",
		"a.10.in-addr.arpa.":             "NXDOMAIN",
		"_tcp.10.in-addr.arpa.":          "NXDOMAIN",
		"-1.10.in-addr.arpa.":            "NXDOMAIN",
		"1.1.0.0.10.in-addr.arpa.":       "NXDOMAIN",
		"255.255.255.10.in-addr.arpa.":   "NXDOMAIN",
		"d.f.ip6.arpa.":                  "NOERROR",
		"0.0.d.f.ip6.arpa.":              "NOERROR",
		"1.0.d.f.ip6.arpa.":              "NXDOMAIN",
		"1.0.0.0.0.0.d.f.ip6.arpa.":      "NOERROR",
		"g.d.f.ip6.arpa.":                "NXDOMAIN",
		"00.d.f.ip6.arpa.":               "NXDOMAIN",
		"0." + reverseName(t, "fd00::1"): "NXDOMAIN",
	} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeTXT} {
			if r := ask(t, s, name, qtype); rcode(r) != want || len(r.Answer) > 0 || len(r.Ns) != 1 || !r.Authoritative {
				t.Errorf("%s: %s, want %s", name, rcode(r), want)
			}
		}
	}
	if r := ask(t, s, reverseName(t, "10.0.0.1"), dns.TypeA); rcode(r) != "NOERROR" || len(r.Ns) != 1 {
		t.Errorf("another type: %v", r)
	}
}

func TestZ3ReverseZoneBelowAnother(t *testing.T) {
	s := newServer(t, newSource(only(t, "_web._tcp", "a")), reversing("10.0.0.0/8"), serving(dnsserver.Zone{
		Name: "lab.example", Source: newSource(snapshot("_web._tcp", instance(t, "_web._tcp", "b", with("10.9.8.7", "10.0.0.1")))),
		Reverse: []netip.Prefix{netip.MustParsePrefix("10.9.8.0/24")},
	}))
	lookups(t, s, []lookup{
		{reverseName(t, "10.0.0.1"), dns.TypePTR, []string{"a.web.svc.example."}},
		{reverseName(t, "10.9.8.7"), dns.TypePTR, []string{"b.web.lab.example."}},
	})
	for name, want := range map[string]string{"9.10.in-addr.arpa.": "NOERROR", "8.10.in-addr.arpa.": "NXDOMAIN"} {
		if r := ask(t, s, name, dns.TypePTR); rcode(r) != want || r.Ns[0].Header().Name != "10.in-addr.arpa." {
			t.Errorf("%s: %v, want %s", name, r, want)
		}
	}
}

// reverseModel is the host names of a zone's addresses, as a plain table: by reverse name, each with the set's TTL.
func reverseModel(tb testing.TB, view *store.View) map[string]*modelSet {
	m := map[string]*modelSet{}
	for snapshot := range view.All() {
		for live := range snapshot.Up() {
			for _, addr := range live.Addresses {
				name := reverseName(tb, addr.String())
				if m[name] == nil {
					m[name] = &modelSet{data: map[string]bool{}, ttl: uint32(modelTTL / time.Second)}
				}
				m[name].data[dnssd.TargetName(zone, string(snapshot.Service), live.Host)] = true
				m[name].ttl = min(m[name].ttl, uint32(max(live.TTL/time.Second, 1)))
			}
		}
	}
	return m
}

// TestZ1ReverseFollowsTheZone goes through a random history. At every view each name of the reverse zones is what a plain
// table says, whatever was asked before.
func TestZ1ReverseFollowsTheZone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		src := newSource()
		s := newServer(t, src, reversing("10.0.0.0/8", "2001::/16"))
		for range rapid.IntRange(1, 4).Draw(rt, "views") {
			changed := drawZone(t, rt)
			if rapid.Bool().Draw(rt, "removal") {
				changed = append(changed, &store.Snapshot{Service: rapid.SampledFrom(drawnServices).Draw(rt, "removed")})
			}
			src.set(changed...)
			if rapid.Bool().Draw(rt, "asked") {
				checkReverse(t, rt, s, reverseModel(t, src.View()))
			}
		}
		checkReverse(t, rt, s, reverseModel(t, src.View()))
	})
}

// checkReverse asks for the names of some addresses, of those that are there and others, and for all names above them.
func checkReverse(tb testing.TB, rt *rapid.T, s *dnsserver.Server, m map[string]*modelSet) {
	for i := byte(1); i <= 6; i++ {
		for _, addr := range []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, i}), netip.AddrFrom16([16]byte{0x20, 0x01, 15: i})} {
			name := reverseName(tb, addr.String())
			r := ask(tb, s, name, dns.TypePTR)
			if want := m[name]; want != nil {
				checkSet(rt, want, r.Answer)
			} else if rcode(r) != "NXDOMAIN" {
				rt.Fatalf("%s: %v, which nobody has", name, r)
			}
		}
	}
	for _, name := range []string{"0.0.10.in-addr.arpa.", "0.0.1.0.0.2.ip6.arpa."} {
		exists := slices.ContainsFunc(slices.Collect(maps.Keys(m)), func(owner string) bool { return dns.IsSubDomain(name, owner) })
		if r := ask(tb, s, name, dns.TypePTR); exists != (rcode(r) == "NOERROR") || len(r.Answer) > 0 {
			rt.Fatalf("%s: %v, exists %v", name, r, exists)
		}
	}
}

// TestReverseOfManyAddresses has thousands of addresses come and go, in an order that means nothing, so that the list's
// parts are split and joined.
func TestReverseOfManyAddresses(t *testing.T) {
	const services, each = 40, 100
	src := newSource()
	s := newServer(t, src, reversing("10.0.0.0/8"))
	address := func(i, j int) string {
		n := (i*each + j) * 40503 % 65536 // odd: no two are the same
		return fmt.Sprintf("10.7.%d.%d", n>>8, n&255)
	}
	one := func(i, instances int) *store.Snapshot {
		service := store.Service(fmt.Sprintf("_s%d._tcp", i))
		var list []store.Live
		for j := range instances {
			list = append(list, instance(t, service, fmt.Sprintf("i%d", j), with(address(i, j))))
		}
		return snapshot(service, list...)
	}
	check := func(instances func(i int) int) {
		t.Helper()
		for i := range services {
			for j := range each {
				r := ask(t, s, reverseName(t, address(i, j)), dns.TypePTR)
				want := []string{}
				if j < instances(i) {
					want = append(want, fmt.Sprintf("i%d.s%d.svc.example.", j, i))
				}
				if got := records(r.Answer); !slices.Equal(got, want) {
					t.Fatalf("%s: %v, want %v", address(i, j), got, want)
				}
			}
		}
	}
	var all []*store.Snapshot
	for i := range services / 2 {
		all = append(all, one(i, each))
	}
	src.set(all...)
	for i := services / 2; i < services; i++ { // one after another, each asked for
		src.set(one(i, each))
		ask(t, s, "10.in-addr.arpa.", dns.TypeSOA)
		ask(t, s, "1.10.in-addr.arpa.", dns.TypePTR)
	}
	check(func(int) int { return each })
	for i := range services {
		src.set(one(i, i%7))
		ask(t, s, "1.10.in-addr.arpa.", dns.TypePTR)
	}
	check(func(i int) int { return i % 7 })
}

// TestZ1ReverseOfACrowd has more hosts at one address than a datagram, then than any message, can carry.
func TestZ1ReverseOfACrowd(t *testing.T) {
	crowd := func(n int) *store.Snapshot {
		var list []store.Live
		for i := range n {
			list = append(list, instance(t, "_web._tcp", fmt.Sprintf("instance-%d", i), with("10.0.0.1")))
		}
		return snapshot("_web._tcp", list...)
	}
	src := newSource(crowd(300))
	s := newServer(t, src, reversing("10.0.0.0/8"))
	m := edns(question(reverseName(t, "10.0.0.1"), dns.TypePTR), 1232)
	if r := exchange(t, s, m, dnsserver.UDP); !r.Truncated || len(r.Answer) > 0 {
		t.Errorf("over UDP: %v", r.MsgHdr)
	}
	if r := exchange(t, s, m, dnsserver.TCP); r.Truncated || len(r.Answer) != 300 {
		t.Errorf("over TCP: %v, %d records", r.MsgHdr, len(r.Answer))
	}
	src.set(crowd(3000))
	if r := exchange(t, s, m, dnsserver.TCP); rcode(r) != "SERVFAIL" || len(r.Answer) > 0 {
		t.Errorf("too many: %v, %d records", r.MsgHdr, len(r.Answer))
	}
}

func TestReverseAllocatesNothing(t *testing.T) {
	s := newServer(t, newSource(web(t)), reversing("10.0.0.0/8", "2001:db8::/32"))
	for _, name := range []string{reverseName(t, "10.0.0.1"), reverseName(t, "2001:db8::1"), reverseName(t, "10.9.9.9"), "0.10.in-addr.arpa.", "x.10.in-addr.arpa."} {
		in, out := pack(t, question(name, dns.TypePTR)), make([]byte, 0, 2048)
		s.Answer(in, out, dnsserver.UDP)
		if n := testing.AllocsPerRun(100, func() { s.Answer(in, out, dnsserver.UDP) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestReverseOfALostZone(t *testing.T) {
	src := newSource(web(t))
	s := newServer(t, src, reversing("10.0.0.0/8"))
	src.freshness.Store(int32(store.Lost))
	if r := ask(t, s, reverseName(t, "10.0.0.1"), dns.TypePTR); rcode(r) != "SERVFAIL" {
		t.Errorf("lost: %v", r.MsgHdr)
	}
}

// TestReverseIsReadyBeforeItIsAsked holds that a server that runs reads the zone before the first query needs it.
func TestReverseIsReadyBeforeItIsAsked(t *testing.T) {
	src := newSource()
	s := newServer(t, src, reversing("10.0.0.0/8"))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for _, want := range []int{2, 3} { // h1 and h2, then one more
		src.set(web(t), many(t, "_many._tcp", want-2))
		for deadline := time.Now().Add(10 * time.Second); s.Addresses() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d addresses are known, want %d", s.Addresses(), want)
			}
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestReverseConfig(t *testing.T) {
	prefixes := func(n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf("10.%d.0.0/16", i))
		}
		return list
	}
	other := dnsserver.Zone{Name: "other.test", Source: newSource(), Reverse: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/8")}}
	for _, tt := range []struct {
		name   string
		change []func(*dnsserver.Config)
		want   string // of the error; empty: none
	}{
		{"most", []func(*dnsserver.Config){reversing(prefixes(dnsserver.MaxReverse)...)}, ""},
		{"too many", []func(*dnsserver.Config){reversing(prefixes(dnsserver.MaxReverse + 1)...)}, "Zones[0].Reverse"},
		{"within an octet", []func(*dnsserver.Config){reversing("10.0.0.0/8", "172.16.0.0/12")}, "Zones[0].Reverse[1]"},
		{"twice", []func(*dnsserver.Config){reversing("10.0.0.0/8"), serving(other)}, "Zones[1].Reverse[0]"},
		{"a zone of that name", []func(*dnsserver.Config){serving(other), serving(dnsserver.Zone{Name: "10.in-addr.arpa", Source: newSource()})}, "Zones[2].Name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dnsserver.Config{Zones: []dnsserver.Zone{{Name: zone, Source: newSource()}}, Listen: []string{"127.0.0.1:0"}}
			for _, change := range tt.change {
				change(&c)
			}
			_, err := dnsserver.New(c)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want+" ") {
				t.Errorf("error %v, want one of %s", err, tt.want)
			}
		})
	}
}

// hundredThousand is a zone of 100,000 instances with an address each.
func hundredThousand(tb testing.TB) *source {
	src := newSource()
	var all []*store.Snapshot
	for i := range 1000 {
		all = append(all, hundred(tb, i, 8080))
	}
	src.set(all...)
	return src
}

func hundred(tb testing.TB, i int, p uint16) *store.Snapshot {
	service := store.Service(fmt.Sprintf("_service-%d._tcp", i))
	var list []store.Live
	for j := range 100 {
		n := i*100 + j
		list = append(list, instance(tb, service, fmt.Sprintf("node-%d", j), port(p), with(fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255))))
	}
	return snapshot(service, list...)
}

// BenchmarkReverse measures one answer about an address among 100,000.
func BenchmarkReverse(b *testing.B) {
	s := newServer(b, hundredThousand(b), reversing("10.0.0.0/8"))
	in, out := pack(b, question(reverseName(b, "10.0.77.7"), dns.TypePTR)), make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		s.Answer(in, out, dnsserver.UDP)
	}
}

// BenchmarkReverseChange measures the first answer after a change of one instance among 100,000, in a service of 100.
func BenchmarkReverseChange(b *testing.B) {
	src := hundredThousand(b)
	s := newServer(b, src, reversing("10.0.0.0/8"))
	in, out := pack(b, question(reverseName(b, "10.0.77.7"), dns.TypePTR)), make([]byte, 0, 512)
	s.Answer(in, out, dnsserver.UDP)
	whole := hundred(b, 7, 8080)
	less := snapshot(whole.Service, slices.Clone(whole.Instances[:99])...)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		src.set([]*store.Snapshot{less, whole}[i%2])
		s.Answer(in, out, dnsserver.UDP)
	}
}

// BenchmarkReverseLoad measures the first answer of all about 100,000 instances.
func BenchmarkReverseLoad(b *testing.B) {
	src := hundredThousand(b)
	in := pack(b, question(reverseName(b, "10.0.77.7"), dns.TypePTR))
	b.ReportAllocs()
	for b.Loop() {
		s := newServer(b, src, reversing("10.0.0.0/8"))
		if r := s.Answer(in, nil, dnsserver.UDP); r[7] != 1 {
			b.Fatalf("reply %x", r)
		}
	}
}

// TestZ1ReverseFollowsAnInstance holds that a set has the least TTL of those who are in it, as they come, drain and go.
func TestZ1ReverseFollowsAnInstance(t *testing.T) {
	long := instance(t, "_web._tcp", "a", ttl(4*time.Second))
	short := instance(t, "_web._tcp", "b", ttl(2*time.Second))
	moved := instance(t, "_web._tcp", "a", ttl(4*time.Second), host("box"))
	src := newSource()
	s := newServer(t, src, reversing("10.0.0.0/8"))
	for i, tt := range []struct {
		in     []store.Live
		answer []string
		ttl    uint32
	}{
		{[]store.Live{long}, []string{"a.web.svc.example."}, 4},
		{[]store.Live{long, short}, []string{"a.web.svc.example.", "b.web.svc.example."}, 2},
		{[]store.Live{long, draining(short)}, []string{"a.web.svc.example."}, 4},
		{[]store.Live{long, short}, []string{"a.web.svc.example.", "b.web.svc.example."}, 2},
		{[]store.Live{moved}, []string{"box.web.svc.example."}, 4},
		{[]store.Live{draining(moved)}, []string{}, 0},
	} {
		src.set(snapshot("_web._tcp", slices.Clone(tt.in)...))
		r := ask(t, s, reverseName(t, "10.0.0.1"), dns.TypePTR)
		if diff := cmp.Diff(tt.answer, records(r.Answer)); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
		if len(r.Answer) > 0 && r.Answer[0].Header().Ttl != tt.ttl {
			t.Errorf("step %d: TTL %d, want %d", i, r.Answer[0].Header().Ttl, tt.ttl)
		}
	}
}
