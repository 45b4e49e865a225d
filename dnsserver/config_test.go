package dnsserver_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/store"
)

func TestNewNamesEveryWrongField(t *testing.T) {
	good := func() dnsserver.Config {
		return dnsserver.Config{Zones: []dnsserver.Zone{{Name: zone, Source: newSource()}}, Listen: []string{"127.0.0.1:0"}}
	}
	server := func(name string, addresses ...string) func(*dnsserver.Config) {
		return func(c *dnsserver.Config) {
			c.Zones[0].NameServers = []dnsserver.NameServer{{Name: name, Addresses: addrs(addresses...)}}
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*dnsserver.Config)
		want   []string
	}{
		{"nothing wrong", func(*dnsserver.Config) {}, nil},
		{"zone", func(c *dnsserver.Config) { c.Zones[0].Name = "a..b" }, []string{"Zones[0].Name"}},
		{"zone of multicast DNS", func(c *dnsserver.Config) { c.Zones[0].Name = "x.local" }, []string{"Zones[0].Name"}},
		{"no zone", func(c *dnsserver.Config) { c.Zones = nil }, []string{"Zones"}},
		{"most zones", serving(manyZones(newSource())...), nil},
		{"zones", serving(append(manyZones(newSource()), dnsserver.Zone{Name: "one.more", Source: newSource()})...), []string{"Zones"}},
		{"zone twice", serving(dnsserver.Zone{Name: "SVC.example", Source: newSource()}), []string{"Zones[1].Name"}},
		{"zone among services", serving(dnsserver.Zone{Name: "x._udp.svc.example", Source: newSource()}), []string{"Zones[1].Name"}},
		{"zone in place of services", serving(dnsserver.Zone{Name: "_tcp.svc.example", Source: newSource()}), []string{"Zones[1].Name"}},
		{"second zone", serving(dnsserver.Zone{Mailbox: "a@"}), []string{"Zones[1].Source", "Zones[1].Name", "Zones[1].Mailbox"}},
		{"source", func(c *dnsserver.Config) { c.Zones[0].Source = nil }, []string{"Zones[0].Source"}},
		{"nowhere to listen", func(c *dnsserver.Config) { c.Listen = nil }, []string{"Listen"}},
		{"where to listen", func(c *dnsserver.Config) {
			c.Listen = []string{"127.0.0.1", ":53", "localhost:53", "[::1]:53", ":70000", "127.0.0.1:0"}
		}, []string{"Listen[0]", "Listen[2]", "Listen[4]"}},
		{"TTL below", func(c *dnsserver.Config) { c.TTL = time.Millisecond }, []string{"TTL"}},
		{"TTL above", func(c *dnsserver.Config) { c.TTL = 25 * time.Hour }, []string{"TTL"}},
		{"TTL not of seconds", func(c *dnsserver.Config) { c.TTL = 1500 * time.Millisecond }, []string{"TTL"}},
		{"negative TTL", func(c *dnsserver.Config) { c.NegativeTTL = -time.Second }, []string{"NegativeTTL"}},
		{"UDP size below", func(c *dnsserver.Config) { c.MaxUDPSize = 511 }, []string{"MaxUDPSize"}},
		{"UDP size above", func(c *dnsserver.Config) { c.MaxUDPSize = 1401 }, []string{"MaxUDPSize"}},
		{"mailbox", func(c *dnsserver.Config) { c.Zones[0].Mailbox = "a@" }, []string{"Zones[0].Mailbox"}},
		{"name server", server("ns_1.svc.example", "192.0.2.1"), []string{"Zones[0].NameServers[0].Name"}},
		{"name server malformed", server("a..b", "192.0.2.1"), []string{"Zones[0].NameServers[0].Name"}},
		{"name server at the root", server(".", "192.0.2.1"), []string{"Zones[0].NameServers[0].Name"}},
		{"name server at the apex", server(zone, "192.0.2.1"), []string{"Zones[0].NameServers[0].Name"}},
		{"name server too deep", server("a.b.svc.example", "192.0.2.1"), []string{"Zones[0].NameServers[0].Name"}},
		{"name server without address", server("ns1.svc.example"), []string{"Zones[0].NameServers[0].Addresses"}},
		{"name server elsewhere with address", server("ns.other.test", "192.0.2.1"), []string{"Zones[0].NameServers[0].Addresses"}},
		{"name server with an address for all", server("ns1.svc.example", "0.0.0.0"), []string{"Zones[0].NameServers[0].Addresses"}},
		{"name server twice", func(c *dnsserver.Config) {
			c.Zones[0].NameServers = []dnsserver.NameServer{{Name: "ns.other.test"}, {Name: "NS.other.test."}}
		}, []string{"Zones[0].NameServers[1].Name"}},
		{"limits", func(c *dnsserver.Config) {
			c.UDPReaders, c.MaxTCPConns, c.MaxTCPConnsPerAddr = -1, -1, 7
			c.IdleTimeout, c.MessageTimeout, c.StopTimeout = -1, -1, -1
		}, []string{"UDPReaders", "MaxTCPConns", "MaxTCPConnsPerAddr", "IdleTimeout", "MessageTimeout", "StopTimeout"}},
		{"identity", func(c *dnsserver.Config) { c.NSID, c.Version = strings.Repeat("x", 129), "a\nb" }, []string{"NSID", "Version"}},
		{"longest identity", func(c *dnsserver.Config) { c.NSID, c.Version = strings.Repeat("x", 128), " ~" }, nil},
		{"secrets", func(c *dnsserver.Config) { c.CookieSecrets = make([]dnsserver.CookieSecret, 3) }, []string{"CookieSecrets"}},
		{"rate", func(c *dnsserver.Config) {
			c.RateLimit, c.RateSlip, c.RateExempt = 100_001, 1, []netip.Prefix{{}}
		}, []string{"RateLimit", "RateSlip", "RateExempt[0]"}},
		{"keys", func(c *dnsserver.Config) { c.Keys = []dnsserver.Key{{Name: "a"}} }, []string{"Keys"}},
		{"transfers", func(c *dnsserver.Config) { c.MaxTransfers, c.TransferTimeout = -1, -1 }, []string{"MaxTransfers", "TransferTimeout"}},
		{"journal", func(c *dnsserver.Config) { c.Zones[0].Transfer.JournalSize = 1<<30 + 1 }, []string{"Zones[0].Transfer.JournalSize"}},
		{"largest journal", func(c *dnsserver.Config) { c.Zones[0].Transfer.JournalSize = 1 << 30 }, nil},
		{"rules", func(c *dnsserver.Config) {
			c.Zones[0].Transfer.Allow = []dnsserver.TransferRule{{}, {Key: "nobody"}}
		}, []string{"Zones[0].Transfer.Allow[0]", "Zones[0].Transfer.Allow[1]"}},
		{"secondaries", func(c *dnsserver.Config) {
			c.Zones[0].Transfer.Notify = []dnsserver.NotifyTarget{{}, {Addr: netip.MustParseAddrPort("192.0.2.1:0")}, {Addr: netip.MustParseAddrPort("192.0.2.1:53"), Key: "nobody"}}
		}, []string{"Zones[0].Transfer.Notify[0]", "Zones[0].Transfer.Notify[1]", "Zones[0].Transfer.Notify[2]"}},
		{"most rules and secondaries", manyTransfers(256, 64), nil},
		{"more rules and secondaries", manyTransfers(257, 65), []string{"Zones[0].Transfer.Allow", "Zones[0].Transfer.Notify"}},
		{"slip", func(c *dnsserver.Config) { c.RateSlip = 101 }, []string{"RateSlip"}},
		{"no rate", func(c *dnsserver.Config) { c.RateLimit, c.RateSlip = -1, -1 }, nil},
		{"several at once", func(c *dnsserver.Config) {
			z := &c.Zones[0]
			z.Name, z.Source, c.TTL, z.Mailbox = "", nil, -1, "a..b"
			c.Zones[0].NameServers = []dnsserver.NameServer{{Name: "_"}}
		}, []string{"TTL", "Zones[0].Source", "Zones[0].Name", "Zones[0].Mailbox", "Zones[0].NameServers[0].Name"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := good()
			tt.change(&c)
			_, err := dnsserver.New(c)
			var got []string
			var invalid *store.InvalidError
			if errors.As(err, &invalid) {
				for _, f := range invalid.Fields {
					got = append(got, f.Field)
				}
			} else if err != nil {
				t.Errorf("error %v", err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// manyTransfers sets so many rules and secondaries.
func manyTransfers(rules, targets int) func(*dnsserver.Config) {
	return func(c *dnsserver.Config) {
		for range rules {
			c.Zones[0].Transfer.Allow = append(c.Zones[0].Transfer.Allow, dnsserver.TransferRule{Prefix: netip.MustParsePrefix("192.0.2.0/24")})
		}
		for range targets {
			c.Zones[0].Transfer.Notify = append(c.Zones[0].Transfer.Notify, dnsserver.NotifyTarget{Addr: netip.MustParseAddrPort("192.0.2.1:53")})
		}
	}
}

func TestDefaultNameServer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		listen []string
		a      []string
		aaaa   []string
	}{
		{"specific addresses", []string{"192.0.2.7:53", "[2001:db8::7]:53", "192.0.2.7:8053"}, []string{"192.0.2.7"}, []string{"2001:db8::7"}},
		{"every address", []string{":53"}, []string{"127.0.0.1"}, []string{}},
		{"every address of a family", []string{"0.0.0.0:53", "[::]:53"}, []string{"127.0.0.1"}, []string{}},
		{"some of each", []string{"0.0.0.0:53", "[2001:db8::7]:53"}, []string{}, []string{"2001:db8::7"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, newSource(), func(c *dnsserver.Config) { c.Listen = tt.listen })
			lookups(t, s, []lookup{
				{zone, dns.TypeNS, []string{"ns1." + zone}},
				{"ns1." + zone, dns.TypeA, tt.a},
				{"ns1." + zone, dns.TypeAAAA, tt.aaaa},
			})
		})
	}
}

func TestMailbox(t *testing.T) {
	for in, want := range map[string]string{
		"":                     "hostmaster.svc.example.",
		"admin@example.org":    "admin.example.org.",
		"first.last@x.example": `first\.last.x.example.`,
		"dns.svc.example":      "dns.svc.example.",
		"a@svc.example.":       "a.svc.example.",
		`x\.svc.example.`:      `x\.svc.example.`, // not in the zone, although its text ends like it
		"odd.svc@example":      `odd\.svc.example.`,
	} {
		s := newServer(t, newSource(), func(c *dnsserver.Config) { c.Zones[0].Mailbox = in })
		r := ask(t, s, zone, dns.TypeSOA)
		if got := r.Answer[0].(*dns.SOA).Mbox; got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func TestNewDoesNotKeepTheConfig(t *testing.T) {
	servers := []dnsserver.NameServer{{Name: "ns1.svc.example", Addresses: addrs("192.0.2.1")}}
	s := newServer(t, newSource(), func(c *dnsserver.Config) { c.Zones[0].NameServers = servers })
	servers[0].Addresses[0] = netip.MustParseAddr("192.0.2.99")
	if servers[0].Name != "ns1.svc.example" {
		t.Errorf("name changed to %s", servers[0].Name)
	}
	lookups(t, s, []lookup{{"ns1." + zone, dns.TypeA, []string{"192.0.2.1"}}})
}
