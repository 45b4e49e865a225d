package dnsserver_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
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

// secondary is the address that may have the zone in these tests.
const secondary = "192.0.2.53"

// transfers lets rules have the zone, those of secondary without any.
func transfers(rules ...string) func(*dnsserver.Config) {
	if len(rules) == 0 {
		rules = []string{secondary}
	}
	return func(c *dnsserver.Config) {
		for _, text := range rules {
			address, key, _ := strings.Cut(text, "@")
			rule := dnsserver.TransferRule{Key: key}
			switch {
			case strings.Contains(address, "/"):
				rule.Prefix = netip.MustParsePrefix(address)
			case address != "":
				rule.Prefix = netip.PrefixFrom(netip.MustParseAddr(address), 32)
			}
			c.Zones[0].Transfer.Allow = append(c.Zones[0].Transfer.Allow, rule)
		}
	}
}

func from(addr string) dnsserver.Client { return dnsserver.Client{Addr: netip.MustParseAddr(addr)} }

func axfr() *dns.Msg { return question(zone, dns.TypeAXFR) }

func ixfr(serial uint32) *dns.Msg {
	m := question(zone, dns.TypeIXFR)
	m.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Ns: ".", Mbox: ".", Serial: serial}}
	return m
}

// transfer asks for a transfer over TCP and returns the records of all messages, whose form it checks.
func transfer(tb testing.TB, s *dnsserver.Server, m *dns.Msg) []dns.RR {
	tb.Helper()
	wires, err := s.Stream(from(secondary), pack(tb, m))
	if err != nil {
		tb.Fatal(err)
	}
	var rrs []dns.RR
	for i, wire := range wires {
		r := new(dns.Msg)
		if err := r.Unpack(wire); err != nil {
			tb.Fatal(err)
		}
		if rcode(r) != "NOERROR" || !r.Authoritative || r.Id != m.Id || r.Truncated || len(r.Ns) > 0 {
			tb.Fatalf("message %d: %v", i, r.MsgHdr)
		}
		if (len(r.Question) == 1) != (i == 0) || (r.IsEdns0() != nil) != (i == 0 && m.IsEdns0() != nil) {
			tb.Fatalf("message %d has the questions %v and the additional records %v", i, r.Question, r.Extra)
		}
		if len(wire) > 16384 {
			tb.Fatalf("message %d has %d octets", i, len(wire))
		}
		rrs = append(rrs, r.Answer...)
	}
	return rrs
}

func serialOf(tb rapid.TB, rr dns.RR) uint32 {
	tb.Helper()
	soa, ok := rr.(*dns.SOA)
	if !ok {
		tb.Fatalf("%v is no SOA", rr)
	}
	return soa.Serial
}

// copied is the records that a secondary has, in presentation form.
type copied map[string]bool

func (c copied) add(tb rapid.TB, rr dns.RR) {
	if c[rr.String()] {
		tb.Fatalf("twice: %v", rr)
	}
	c[rr.String()] = true
}

func (c copied) remove(tb rapid.TB, rr dns.RR) {
	if !c[rr.String()] {
		tb.Fatalf("removed but never there: %v", rr)
	}
	delete(c, rr.String())
}

// wholeZone returns the records of AXFR between its two SOA records.
func wholeZone(tb rapid.TB, rrs []dns.RR, serial uint32) copied {
	if len(rrs) < 3 || serialOf(tb, rrs[0]) != serial || rrs[0].String() != rrs[len(rrs)-1].String() {
		tb.Fatalf("not a zone at %d: %v", serial, rrs)
	}
	c := copied{}
	for _, rr := range rrs[1 : len(rrs)-1] {
		if rr.Header().Rrtype == dns.TypeSOA {
			tb.Fatalf("a SOA within: %v", rr)
		}
		c.add(tb, rr)
	}
	return c
}

// apply makes the changes of IXFR as strictly as can be, and returns how many steps there were.
func (c copied) apply(tb rapid.TB, rrs []dns.RR, from, to uint32) int {
	if len(rrs) < 4 || serialOf(tb, rrs[0]) != to || serialOf(tb, rrs[len(rrs)-1]) != to {
		tb.Fatalf("no changes up to %d: %v", to, rrs)
	}
	steps, at, adding := 0, from, true
	for _, rr := range rrs[1 : len(rrs)-1] {
		switch {
		case rr.Header().Rrtype == dns.TypeSOA && adding:
			if serialOf(tb, rr) != at {
				tb.Fatalf("step %d is from %d, want %d", steps, serialOf(tb, rr), at)
			}
			steps, adding = steps+1, false
		case rr.Header().Rrtype == dns.TypeSOA:
			at, adding = serialOf(tb, rr), true
		case adding:
			c.add(tb, rr)
		default:
			c.remove(tb, rr)
		}
	}
	if at != to || !adding {
		tb.Fatalf("the steps end at %d, want %d", at, to)
	}
	return steps
}

// TestX2TransferIsTheModel holds that a transfer of a random zone has every record that the zone has, once, with the TTL
// of its answers, and no other.
func TestX2TransferIsTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		src := newSource(drawZone(t, rt)...)
		s := newServer(t, src, transfers())
		got := model{}
		for rr := range wholeZone(rt, transfer(t, s, axfr()), src.View().Revision().Serial()) {
			parsed, err := dns.NewRR(rr)
			if err != nil {
				rt.Fatal(err)
			}
			got.put(parsed)
		}
		if diff := cmp.Diff(newModel(t, src.View()), got, cmp.AllowUnexported(modelSet{})); diff != "" {
			rt.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

// put adds a record as it was transferred.
func (m model) put(rr dns.RR) {
	name, typ := dns.CanonicalName(rr.Header().Name), rr.Header().Rrtype
	if m[name] == nil {
		m[name] = map[uint16]*modelSet{}
	}
	if m[name][typ] == nil {
		m[name][typ] = &modelSet{data: map[string]bool{}, ttl: rr.Header().Ttl}
	}
	m[name][typ].data[data(rr)] = true
}

// TestX3ChangesLeadToTheSameZone lets a random zone change at random: what a secondary makes of the changes, each of
// which has to fit what it has, is the zone as a whole transfer has it.
func TestX3ChangesLeadToTheSameZone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		src := newSource(drawZone(t, rt)...)
		s := newServer(t, src, transfers())
		serial := src.View().Revision().Serial()
		have := wholeZone(rt, transfer(t, s, axfr()), serial)
		for range rapid.IntRange(1, 4).Draw(rt, "transfers") {
			looks := rapid.IntRange(1, 3).Draw(rt, "looks")
			for range looks {
				for range rapid.IntRange(1, 3).Draw(rt, "changes") {
					src.set(drawChange(t, rt, src.View())...)
				}
				s.Look()
			}
			next := src.View().Revision().Serial()
			if steps := have.apply(rt, transfer(t, s, ixfr(serial)), serial, next); steps != looks {
				rt.Fatalf("%d steps for %d looks", steps, looks)
			}
			serial = next
			if diff := cmp.Diff(wholeZone(rt, transfer(t, s, axfr()), serial), have); diff != "" {
				rt.Fatalf("(-zone +secondary):\n%s", diff)
			}
		}
	})
}

// drawChange draws a zone anew for some of its services.
func drawChange(tb testing.TB, rt *rapid.T, view *store.View) []*store.Snapshot {
	drawn := map[store.Service]*store.Snapshot{}
	for _, s := range drawZone(tb, rt) {
		drawn[s.Service] = s
	}
	var out []*store.Snapshot
	for _, service := range rapid.SliceOfNDistinct(rapid.SampledFrom(drawnServices), 1, 2, rapid.ID).Draw(rt, "services") {
		next := drawn[service]
		if next == nil {
			next = snapshot(service)
		}
		out = append(out, next)
	}
	return out
}

func TestX2ManyMessagesOneSnapshot(t *testing.T) {
	src := newSource(many(t, "_big._tcp", 800), web(t))
	s := newServer(t, src, transfers())
	serial := src.View().Revision().Serial()
	var messages, octets int
	m := edns(axfr(), 1232)
	wires, err := s.Stream(from(secondary), pack(t, m))
	if err != nil {
		t.Fatal(err)
	}
	for _, wire := range wires {
		messages, octets = messages+1, octets+len(wire)
		if messages == 1 {
			src.set(snapshot("_big._tcp")) // which the transfer does not see
		}
	}
	if messages < 4 || octets/messages < 12_000 {
		t.Errorf("%d messages of %d octets", messages, octets)
	}
	src.set(many(t, "_big._tcp", 800))
	serial += 2
	// 800 instances: SRV, PTR, TXT twice, two addresses each; TXT at the service once.
	if got, want := len(wholeZone(t, transfer(t, s, m), serial)), 800*6+1+2*6+1+2+5+2; got < want-40 || got > want+40 {
		t.Errorf("%d records, want about %d", got, want)
	}
}

func TestX2CaseAndOwners(t *testing.T) {
	src := newSource(snapshot("_web._tcp", instance(t, "_web._tcp", "Web One", subtypes("admin")), instance(t, "_web._tcp", "far", external("db.other.test."))))
	s := newServer(t, src, transfers())
	var got []string
	for rr := range wholeZone(t, transfer(t, s, axfr()), 1) {
		got = append(got, rr)
	}
	slices.Sort(got)
	label := `Web\ One`
	want := []string{
		label + "._web._tcp.svc.example.\t5\tIN\tSRV\t0 1 8080 web-one-mnac7p.web.svc.example.",
		label + "._web._tcp.svc.example.\t5\tIN\tTXT\t\"\"",
		"_services._dns-sd._udp.svc.example.\t5\tIN\tPTR\t_web._tcp.svc.example.",
		"_web._tcp.svc.example.\t5\tIN\tPTR\t" + label + "._web._tcp.svc.example.",
		"_web._tcp.svc.example.\t5\tIN\tPTR\tfar._web._tcp.svc.example.",
		"_web._tcp.svc.example.\t5\tIN\tSRV\t0 1 8080 db.other.test.",
		"_web._tcp.svc.example.\t5\tIN\tSRV\t0 1 8080 web-one-mnac7p.web.svc.example.",
		"_web._tcp.svc.example.\t5\tIN\tTXT\t\"\"",
		"admin._sub._web._tcp.svc.example.\t5\tIN\tPTR\t" + label + "._web._tcp.svc.example.",
		"b._dns-sd._udp.svc.example.\t300\tIN\tPTR\tsvc.example.",
		"db._dns-sd._udp.svc.example.\t300\tIN\tPTR\tsvc.example.",
		"far._web._tcp.svc.example.\t5\tIN\tSRV\t0 1 8080 db.other.test.",
		"far._web._tcp.svc.example.\t5\tIN\tTXT\t\"\"",
		"lb._dns-sd._udp.svc.example.\t300\tIN\tPTR\tsvc.example.",
		"ns1.svc.example.\t300\tIN\tA\t127.0.0.1",
		"svc.example.\t300\tIN\tNS\tns1.svc.example.",
		"web-one-mnac7p.web.svc.example.\t5\tIN\tA\t10.0.0.1",
		"web.svc.example.\t5\tIN\tA\t10.0.0.1",
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestX2NamesAreCompressed holds that names are pointed to where that is allowed, and nowhere else.
func TestX2NamesAreCompressed(t *testing.T) {
	s := newServer(t, newSource(many(t, "_big._tcp", 100)), transfers())
	wires, err := s.Stream(from(secondary), pack(t, axfr()))
	if err != nil {
		t.Fatal(err)
	}
	pointers := map[uint16]int{}
	rawRecords(t, wires[0], func(owner int, typ uint16, data, length int) {
		last := wires[0][data+length-2]
		switch {
		case typ == dns.TypeSRV && last >= 0xc0:
			t.Errorf("the target of an SRV record is compressed: %x", wires[0][data:data+length])
		case typ == dns.TypePTR && last >= 0xc0:
			pointers[typ]++
		}
		if wires[0][owner] >= 0xc0 {
			pointers[0]++
		}
	})
	if pointers[dns.TypePTR] < 100 || pointers[0] < 200 {
		t.Errorf("%d data and %d owners are compressed", pointers[dns.TypePTR], pointers[0])
	}
}

func TestX3WhatIXFRGets(t *testing.T) {
	src := newSource(web(t))
	s := newServer(t, src, transfers())
	first := src.View().Revision().Serial()
	transfer(t, s, axfr())
	src.set(snapshot("_db._tcp", instance(t, "_db._tcp", "db-1")))
	last := src.set(many(t, "_big._tcp", 60)).Serial()
	for _, tt := range []struct {
		name   string
		serial uint32
		want   string
	}{
		{"known", first, "changes"},
		{"up to date", last, "SOA"},
		{"ahead", last + 1, "SOA"},
		{"between two looks", first + 1, "zone"},
		{"long ago", last - 1<<30, "zone"},
	} {
		rrs := transfer(t, s, ixfr(tt.serial))
		got := "zone"
		switch {
		case len(rrs) == 1:
			got = "SOA"
		case rrs[1].Header().Rrtype == dns.TypeSOA:
			got = "changes"
		}
		if got != tt.want || serialOf(t, rrs[0]) != last {
			t.Errorf("%s: %s at %d, want %s at %d", tt.name, got, serialOf(t, rrs[0]), tt.want, last)
		}
	}
	stats := s.Stats().Transfers
	want := dnsserver.TransferStats{Full: 3, Incremental: 1, Unchanged: 2, Octets: stats.Octets}
	if stats.JournalSteps, stats.JournalOctets = 0, 0; stats != want {
		t.Errorf("counted %+v, want %+v", stats, want)
	}
}

// TestX3OverUDP holds that changes come over UDP where they fit and are known, and else the SOA record alone, which says
// to come back over TCP.
func TestX3OverUDP(t *testing.T) {
	src := newSource(web(t))
	s := newServer(t, src, transfers())
	s.Look()
	first := src.View().Revision().Serial()
	udp := func(m *dns.Msg) *dns.Msg {
		t.Helper()
		r := new(dns.Msg)
		if err := r.Unpack(s.AnswerTo(from(secondary), pack(t, m), nil)); err != nil {
			t.Fatal(err)
		}
		return r
	}
	second := src.set(snapshot("_db._tcp", instance(t, "_db._tcp", "db-1"))).Serial()
	if r := udp(ixfr(first)); len(r.Answer) != 1 || serialOf(t, r.Answer[0]) != second {
		t.Errorf("before a look: %v", r)
	}
	s.Look()
	r := udp(edns(ixfr(first), 1232))
	if steps := (copied{}).apply(t, r.Answer, first, second); steps != 1 || !r.Authoritative || r.IsEdns0() == nil {
		t.Errorf("changes that fit: %v", r)
	}
	if r := udp(ixfr(second)); len(r.Answer) != 1 || serialOf(t, r.Answer[0]) != second {
		t.Errorf("up to date: %v", r)
	}
	third := src.set(many(t, "_big._tcp", 60)).Serial()
	s.Look()
	if r := udp(edns(ixfr(first), 4096)); len(r.Answer) != 1 || serialOf(t, r.Answer[0]) != third || r.Truncated {
		t.Errorf("changes that do not fit: %v", r)
	}
	if r := udp(axfr()); rcode(r) != "REFUSED" || len(r.Answer) > 0 {
		t.Errorf("AXFR: %v", r)
	}
}

func TestX1WhoMayTransfer(t *testing.T) {
	src := newSource(web(t))
	key := testKey("hmac-sha256")
	for _, tt := range []struct {
		name   string
		rules  []string
		client string
		signed bool
		want   string
	}{
		{"no rules", nil, secondary, true, "REFUSED"},
		{"address", []string{"192.0.2.0/24"}, secondary, false, "NOERROR"},
		{"address, signed all the same", []string{"192.0.2.0/24"}, secondary, true, "NOERROR"},
		{"another address", []string{"192.0.2.0/24", "2001:db8::/32"}, "198.51.100.1", false, "REFUSED"},
		{"IPv6", []string{"192.0.2.0/24", "2001:db8::/32"}, "2001:db8::1", false, "NOERROR"},
		{"key", []string{"@secondary.key"}, "198.51.100.1", true, "NOERROR"},
		{"without the key", []string{"@secondary.key"}, secondary, false, "REFUSED"},
		{"key and address", []string{"192.0.2.0/24@secondary.key"}, secondary, true, "NOERROR"},
		{"key without address", []string{"192.0.2.0/24@secondary.key"}, "198.51.100.1", true, "REFUSED"},
		{"address without key", []string{"192.0.2.0/24@secondary.key"}, secondary, false, "REFUSED"},
		{"another key", []string{"@other.key"}, secondary, true, "REFUSED"},
	} {
		s := newServer(t, src, func(c *dnsserver.Config) {
			c.Keys = []dnsserver.Key{key, {Name: "other.key", Algorithm: "hmac-sha512", Secret: make([]byte, 16)}}
			if tt.rules != nil {
				transfers(tt.rules...)(c)
			}
		})
		for _, m := range []*dns.Msg{axfr(), ixfr(0), ixfr(1)} {
			msg := pack(t, m)
			if tt.signed {
				msg, _ = sign(t, m, key, 0)
			}
			wires, err := s.Stream(from(tt.client), msg)
			if err != nil {
				t.Fatal(err)
			}
			r := new(dns.Msg)
			if err := r.Unpack(wires[0]); err != nil || rcode(r) != tt.want || (len(r.Answer) > 0) != (tt.want == "NOERROR") {
				t.Errorf("%s: %v, %v", tt.name, r, err)
			}
		}
	}
}

func TestX1WhatIsNoZone(t *testing.T) {
	src := newSource(web(t))
	s := newServer(t, src, transfers())
	noSOA := question(zone, dns.TypeIXFR)
	short := ixfr(1)
	short.Ns = []dns.RR{&dns.NULL{Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Data: "\x00\x00\x01"}}
	for _, tt := range []struct {
		name, want string
		in         *dns.Msg
		freshness  store.Freshness
	}{
		{"below the zone", "NOTAUTH", question("_tcp."+zone, dns.TypeAXFR), store.Synced},
		{"another zone", "REFUSED", question("other.test.", dns.TypeAXFR), store.Synced},
		{"no SOA", "FORMERR", noSOA, store.Synced},
		{"a broken SOA", "FORMERR", short, store.Synced},
		{"stale", "NOERROR", axfr(), store.Stale},
		{"lost", "SERVFAIL", axfr(), store.Lost},
		{"lost, IXFR", "SERVFAIL", ixfr(1), store.Lost},
	} {
		src.freshness.Store(int32(tt.freshness))
		wires, err := s.Stream(from(secondary), pack(t, tt.in))
		r := new(dns.Msg)
		if err := r.Unpack(wires[0]); err != nil {
			t.Fatal(err)
		}
		if err != nil || len(wires) != 1 || rcode(r) != tt.want || (tt.want != "NOERROR" && len(r.Answer) > 0) {
			t.Errorf("%s: %v, %v", tt.name, r, err)
		}
	}
}

// TestX3JournalIsBounded holds that old steps make room for new ones, and a step that is too large for all.
func TestX3JournalIsBounded(t *testing.T) {
	src := newSource()
	s := newServer(t, src, transfers(), func(c *dnsserver.Config) { c.Zones[0].Transfer.JournalSize = 20_000 })
	s.Look()
	var serials []uint32
	for i := range 100 {
		serials = append(serials, src.View().Revision().Serial())
		src.set(snapshot("_web._tcp", instance(t, "_web._tcp", fmt.Sprint("i", i))))
		s.Look()
	}
	steps, octets := s.Journal()
	if octets > 20_000 || octets < 15_000 || steps >= 100 {
		t.Errorf("%d steps of %d octets", steps, octets)
	}
	isZone := func(serial uint32) bool {
		return transfer(t, s, ixfr(serial))[1].Header().Rrtype != dns.TypeSOA
	}
	if !isZone(serials[100-steps-1]) || isZone(serials[100-steps]) {
		t.Errorf("%d steps are not the last ones", steps)
	}
	src.set(many(t, "_big._tcp", 300))
	s.Look()
	if steps, octets := s.Journal(); steps+octets > 0 || !isZone(serials[99]) {
		t.Errorf("%d steps of %d octets after a large change", steps, octets)
	}
}

// TestX3MoreChangesThanZone holds that who would get more changes than the zone has records gets the zone.
func TestX3MoreChangesThanZone(t *testing.T) {
	src := newSource(many(t, "_big._tcp", 100))
	s := newServer(t, src, transfers())
	s.Look()
	first := src.View().Revision().Serial()
	states := []*store.Snapshot{snapshot("_big._tcp"), many(t, "_big._tcp", 100)}
	octets := 0
	for i := 0; octets <= 1<<20; i++ {
		if rrs := transfer(t, s, ixfr(first)); i > 0 && rrs[1].Header().Rrtype != dns.TypeSOA {
			t.Fatalf("the whole zone in place of %d octets of changes", octets)
		}
		src.set(states[i%2])
		s.Look()
		_, octets = s.Journal()
	}
	if rrs := transfer(t, s, ixfr(first)); rrs[1].Header().Rrtype == dns.TypeSOA {
		t.Errorf("%d octets of changes in place of the zone", octets)
	}
	if rrs := transfer(t, s, ixfr(src.View().Revision().Serial()-1)); rrs[1].Header().Rrtype != dns.TypeSOA {
		t.Error("the whole zone in place of the last change")
	}
}

// TestX3NoStepBetweenEqualSerials holds that contents which no serial tells apart are never called a change.
func TestX3NoStepBetweenEqualSerials(t *testing.T) {
	src := newSource(web(t))
	s := newServer(t, src, transfers())
	s.Look()
	first := src.View().Revision()
	src.set(snapshot("_db._tcp", instance(t, "_db._tcp", "db-1")))
	s.Look()
	last := src.View().Revision()
	src.view.Store(src.View().With(last)) // the same contents
	s.Look()
	if steps, _ := s.Journal(); steps != 1 {
		t.Errorf("%d steps, want 1", steps)
	}
	src.view.Store(src.View().With(last, snapshot("_db._tcp")))
	if rrs := transfer(t, s, ixfr(first.Serial())); rrs[1].Header().Rrtype == dns.TypeSOA {
		t.Error("changes to contents of the same serial")
	}
	src.set(snapshot("_db._tcp", instance(t, "_db._tcp", "db-2")))
	if rrs := transfer(t, s, ixfr(last.Serial())); rrs[1].Header().Rrtype == dns.TypeSOA {
		t.Error("changes from a serial that stood for two contents")
	}
	last = src.View().Revision()
	src.set(snapshot("_db._tcp", instance(t, "_db._tcp", "db-3")))
	if rrs := transfer(t, s, ixfr(last.Serial())); rrs[1].Header().Rrtype != dns.TypeSOA {
		t.Error("the whole zone, want the changes from a serial that stood for one")
	}
	last = src.View().Revision()
	src.view.Store(src.View().With(first)) // a step back
	if rrs := transfer(t, s, ixfr(last.Serial())); len(rrs) != 1 || serialOf(t, rrs[0]) != first.Serial() {
		t.Errorf("a step back: %v", rrs)
	}
}

func TestTransfersAtOnce(t *testing.T) {
	s := newServer(t, newSource(many(t, "_big._tcp", 800)), transfers(), func(c *dnsserver.Config) { c.MaxTransfers = 1 })
	ask := pack(t, axfr())
	gone := errors.New("gone")
	err := s.StreamTo(from(secondary), ask, func([]byte) error {
		wires, err := s.Stream(from(secondary), ask)
		if r, _ := tsigOf(t, wires[0]); err != nil || rcode(r) != "SERVFAIL" || len(wires) != 1 {
			t.Errorf("beside another transfer: %v, %v", r, err)
		}
		return gone
	})
	if !errors.Is(err, gone) {
		t.Errorf("the transfer that cannot be sent: %v", err)
	}
	transfer(t, s, axfr())
	if stats := s.Stats().Transfers; stats.Broken != 1 || stats.Crowded != 1 || stats.Full != 1 {
		t.Errorf("counted %+v", stats)
	}
}

// TestTransferToASlowReader holds that a client that does not take a transfer is let go, and nobody waits for it.
func TestTransferToASlowReader(t *testing.T) {
	src := newSource(many(t, "_big._tcp", 800))
	r := start(t, newServer(t, src, transfers("127.0.0.1"), func(c *dnsserver.Config) { c.MessageTimeout = 300 * time.Millisecond }))
	slow := dial(t, r.addr)
	if err := slow.SetReadBuffer(1); err != nil {
		t.Fatal(err)
	}
	slow.send(bytes.Repeat(framed(t, axfr()), 60)) // more than the buffers of the kernel hold
	eventually(t, "the transfer ends", func() bool {
		over(t, "udp", r.addr, question(zone, dns.TypeSOA))
		return r.Stats().Transfers.Broken > 0
	})
}

func TestTransferTimeout(t *testing.T) {
	s := newServer(t, newSource(many(t, "_big._tcp", 800)), transfers(), func(c *dnsserver.Config) { c.TransferTimeout = time.Nanosecond })
	if wires, err := s.Stream(from(secondary), pack(t, axfr())); err == nil || len(wires) == 0 {
		t.Errorf("%d messages, %v", len(wires), err)
	}
}

// TestTransfersBetweenQueries holds that a connection goes on behind a transfer, in order.
func TestTransfersBetweenQueries(t *testing.T) {
	src := newSource(many(t, "_big._tcp", 200))
	r := start(t, newServer(t, src, transfers("127.0.0.0/8")))
	c := dial(t, r.addr)
	first, between, last := question(zone, dns.TypeSOA), axfr(), question("nope."+zone, dns.TypeA)
	c.send(slices.Concat(framed(t, first), framed(t, between), framed(t, last)))
	if m := c.receive(); m.Id != first.Id {
		t.Errorf("first %v", m)
	}
	soas := 0
	for soas < 2 {
		m := c.receive()
		for _, rr := range m.Answer {
			if rr.Header().Rrtype == dns.TypeSOA {
				soas++
			}
		}
		if m.Id != between.Id {
			t.Fatalf("between %v", m)
		}
	}
	if m := c.receive(); m.Id != last.Id || rcode(m) != "NXDOMAIN" {
		t.Errorf("last %v", m)
	}
}

// FuzzTransfer gives any octets to a server that lets everybody have everything: each reply can be read, and a stream is
// a whole zone or none of it.
func FuzzTransfer(f *testing.F) {
	signed, _ := sign(f, axfr(), testKey("hmac-sha256"), 0)
	soa := message(wireName(f, zone), []byte{0, 6, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0}, make([]byte, 20))
	for _, seed := range [][]byte{
		pack(f, axfr()), pack(f, ixfr(0)), pack(f, edns(ixfr(1), 512)), signed,
		message(header(flagsQuery, 1, 0, 1), wireQuestion(f, zone, dns.TypeIXFR), soa),
		message(header(flagsQuery, 1, 0, 1), wireQuestion(f, zone, dns.TypeIXFR), soa[:len(soa)-5]),
		message(header(flagsQuery, 1, 1, 1), wireQuestion(f, zone, dns.TypeIXFR), soa, soa),
		message(header(flagsQuery, 1, 0, 0, 1), wireQuestion(f, zone, dns.TypeAXFR), wireTSIG(f, "secondary.key.", "hmac-sha256.", make([]byte, 32))),
		message(header(flagsQuery, 1, 0, 0, 1), wireQuestion(f, zone, dns.TypeAXFR), []byte{0xc0, 12, 0, 250, 0, 255, 0, 0, 0, 0, 0, 0}),
	} {
		f.Add(seed)
	}
	src := newSource(web(f))
	s := newServer(f, src, transfers("0.0.0.0/0"), withKey("hmac-sha256"))
	s.Look()
	src.set(snapshot("_db._tcp", instance(f, "_db._tcp", "db-1")))
	f.Fuzz(func(t *testing.T, query []byte) {
		checkFuzzed := func(reply []byte) *dns.Msg {
			m := new(dns.Msg)
			if err := m.Unpack(reply); err != nil || binary.BigEndian.Uint16(reply) != binary.BigEndian.Uint16(query) {
				t.Fatalf("%x: %v", reply, err)
			}
			return m
		}
		wires, err := s.Stream(from(secondary), query)
		if err != nil {
			t.Fatal(err)
		}
		for _, wire := range wires {
			if len(wire) > 0 {
				checkFuzzed(wire)
			}
		}
		if udp := s.AnswerTo(from(secondary), query, nil); len(udp) > 0 {
			if m := checkFuzzed(udp); m.IsEdns0() == nil && len(udp) > 512 {
				t.Fatalf("%d octets over UDP", len(udp))
			}
		}
	})
}
