package zone_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/bench/internal/zone"
	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// records returns the records of a zone's master file, each in presentation form, by name and type.
func records(tb testing.TB, z zone.Zone) map[string][]string {
	tb.Helper()
	var text bytes.Buffer
	n, err := z.WriteTo(&text)
	if err != nil {
		tb.Fatal(err)
	}
	if n != int64(text.Len()) {
		tb.Errorf("WriteTo returned %d, wrote %d", n, text.Len())
	}
	sets := make(map[string][]string)
	parser := dns.NewZoneParser(&text, "", "zone")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		key := rr.Header().Name + " " + dns.TypeToString[rr.Header().Rrtype]
		sets[key] = append(sets[key], rr.String())
	}
	if err := parser.Err(); err != nil {
		tb.Fatal(err)
	}
	return sets
}

// server returns a server of dnsreg that holds the zone.
func server(tb testing.TB, z zone.Zone) *dnsserver.Server {
	tb.Helper()
	s, err := memstore.New(memstore.Config{Rules: store.Rules{Zone: zone.Name}})
	if err != nil {
		tb.Fatal(err)
	}
	for i := range z.Services {
		for j := range z.Instances {
			if _, err := s.Register(context.Background(), z.Service(i), z.Instance(i, j)); err != nil {
				tb.Fatal(err)
			}
		}
	}
	server, err := dnsserver.New(dnsserver.Config{Zones: []dnsserver.Zone{{Name: zone.Name, Source: s}}, Listen: []string{"127.0.0.1:0"}})
	if err != nil {
		tb.Fatal(err)
	}
	return server
}

func answer(tb testing.TB, s *dnsserver.Server, query []byte) *dns.Msg {
	tb.Helper()
	reply := new(dns.Msg)
	if err := reply.Unpack(s.Answer(query, nil, dnsserver.TCP)); err != nil {
		tb.Fatal(err)
	}
	return reply
}

// TestFileIsWhatDnsregAnswers asks dnsreg for every set of the master file.
func TestFileIsWhatDnsregAnswers(t *testing.T) {
	z := zone.Zone{Services: 3, Instances: 4}
	s := server(t, z)
	sets := records(t, z)
	if len(sets) < 3*(3+4*3+1) {
		t.Fatalf("the file has only %d sets", len(sets))
	}
	for key, want := range sets {
		name, typ, _ := strings.Cut(key, " ")
		if typ == "SOA" { // of its own serial
			continue
		}
		query, err := new(dns.Msg).SetQuestion(name, dns.StringToType[typ]).Pack()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, rr := range answer(t, s, query).Answer {
			got = append(got, rr.String())
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(ttlless(want), ttlless(got)); diff != "" {
			t.Errorf("%s (-file +dnsreg):\n%s", key, diff)
		}
	}
}

// ttlless leaves out the times to live of the apex and browsing names, which a lease bounds on neither side.
func ttlless(records []string) []string {
	var list []string
	for _, r := range records {
		fields := strings.Split(r, "\t")
		list = append(list, strings.Join(append(fields[:1:1], fields[2:]...), "\t"))
	}
	return list
}

func TestMixIsAnsweredAsItSays(t *testing.T) {
	z := zone.Zone{Services: 7, Instances: 5}
	s := server(t, z)
	for _, kind := range []zone.Kind{zone.SRV, zone.PTR, zone.A, zone.TXT, zone.Missing} {
		for _, q := range []zone.Query{{Kind: kind}, {Kind: kind, EDNS: true}, {Kind: kind, EDNS: true, Cookie: []byte("clientid")}} {
			t.Run(fmt.Sprintf("%s %t %d", kind, q.EDNS, len(q.Cookie)), func(t *testing.T) {
				checkMix(t, s, z, q)
			})
		}
	}
}

func checkMix(t *testing.T, s *dnsserver.Server, z zone.Zone, q zone.Query) {
	mix, err := z.Mix(q)
	if err != nil {
		t.Fatal(err)
	}
	if len(mix.Queries) != z.Services {
		t.Fatalf("%d queries for %d services", len(mix.Queries), z.Services)
	}
	names := make(map[string]bool)
	for _, query := range mix.Queries {
		if len(query) != len(mix.Queries[0]) {
			t.Errorf("queries of %d and %d octets", len(query), len(mix.Queries[0]))
		}
		if mix.Random > 0 {
			copy(query[mix.Random:mix.Random+mix.RandomLen()], fmt.Sprintf("%012d", len(names)))
		}
		reply := answer(t, s, query)
		names[reply.Question[0].Name] = true
		if reply.Rcode != mix.Rcode || len(reply.Answer) != mix.Answers {
			t.Errorf("%s: rcode %d, %d answers; the mix says %d, %d", reply.Question[0].Name,
				reply.Rcode, len(reply.Answer), mix.Rcode, mix.Answers)
		}
		if (reply.IsEdns0() != nil) != q.EDNS {
			t.Errorf("reply has EDNS: %t, want %t", !q.EDNS, q.EDNS)
		}
	}
	if len(names) != z.Services {
		t.Errorf("%d names were asked for, want %d", len(names), z.Services)
	}
}

func TestMixCarriesCookie(t *testing.T) {
	cookie := []byte("clientidserver..")
	mix, err := zone.Zone{Services: 1, Instances: 1}.Mix(zone.Query{Kind: zone.SRV, EDNS: true, Cookie: cookie})
	if err != nil {
		t.Fatal(err)
	}
	if want := append([]byte{0, dns.EDNS0COOKIE, 0, 16}, cookie...); !bytes.HasSuffix(mix.Queries[0], want) {
		t.Errorf("query %x does not end in %x", mix.Queries[0], want)
	}
}

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		zone zone.Zone
		ok   bool
	}{
		{zone.Zone{}, false},
		{zone.Zone{Services: 1}, false},
		{zone.Zone{Services: 1, Instances: 1}, true},
		{zone.Zone{Services: 1, Instances: 1001}, false},
		{zone.Zone{Services: 100_000, Instances: 10}, true},
		{zone.Zone{Services: 100_000, Instances: 200}, false},
		{zone.Zone{Services: 100_001, Instances: 1}, false},
	} {
		if err := test.zone.Validate(); (err == nil) != test.ok {
			t.Errorf("Validate(%s) = %v, want ok: %t", test.zone, err, test.ok)
		}
	}
}

func TestInstancesHaveAddressesOfTheirOwn(t *testing.T) {
	z := zone.Zone{Services: 300, Instances: 10}
	seen := make(map[string]bool)
	for i := range z.Services {
		for j := range z.Instances {
			seen[z.Instance(i, j).Addresses[0].String()] = true
		}
	}
	if len(seen) != z.Services*z.Instances {
		t.Errorf("%d addresses for %d instances", len(seen), z.Services*z.Instances)
	}
}

func TestWriteQueries(t *testing.T) {
	z := zone.Zone{Services: 4, Instances: 2}
	for _, test := range []struct {
		kind zone.Kind
		want []string
	}{
		{zone.SRV, []string{
			"_s00000._tcp.svc.internal. SRV", "_s00001._tcp.svc.internal. SRV",
			"_s00002._tcp.svc.internal. SRV", "_s00003._tcp.svc.internal. SRV",
		}},
		{zone.A, []string{
			"s00000.svc.internal. A", "s00001.svc.internal. A", "s00002.svc.internal. A", "s00003.svc.internal. A",
		}},
		{zone.TXT, []string{
			"n000._s00000._tcp.svc.internal. TXT", "n000._s00002._tcp.svc.internal. TXT",
			"n001._s00001._tcp.svc.internal. TXT", "n001._s00003._tcp.svc.internal. TXT",
		}},
	} {
		var text bytes.Buffer
		if err := z.WriteQueries(&text, test.kind); err != nil {
			t.Fatal(err)
		}
		got := strings.Split(strings.TrimSpace(text.String()), "\n")
		slices.Sort(got)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.kind, diff)
		}
	}
}
