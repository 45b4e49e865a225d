package dnsserver_test

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/store"
)

func TestMain(m *testing.M) {
	if what := os.Getenv(stallEnv); what != "" {
		if err := stall(what); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

const zone = "svc.example."

// source is a Source whose view and freshness a test sets.
type source struct {
	view      atomic.Pointer[store.View]
	freshness atomic.Int32
}

func (s *source) View() *store.View          { return s.view.Load() }
func (s *source) Freshness() store.Freshness { return store.Freshness(s.freshness.Load()) }

// set publishes snapshots as the next view, and returns its revision.
func (s *source) set(snapshots ...*store.Snapshot) store.Revision {
	revision := s.View().Revision() + 1
	s.view.Store(s.View().With(revision, snapshots...))
	return revision
}

func newSource(snapshots ...*store.Snapshot) *source {
	s := &source{}
	s.view.Store(&store.View{})
	s.set(snapshots...)
	return s
}

// instance returns an instance as a store would hold it. Each change is made before it is normalized.
func instance(tb testing.TB, service store.Service, id string, change ...func(*store.Instance)) store.Live {
	tb.Helper()
	in := store.Instance{ID: id, Port: 8080, Weight: 1, Addresses: addrs("10.0.0.1")}
	for _, f := range change {
		f(&in)
	}
	normal, _, err := store.Rules{Zone: zone}.Normalize(service, in)
	if err != nil {
		tb.Fatalf("instance %q: %v", id, err)
	}
	return store.Live{Instance: normal}
}

func with(addresses ...string) func(*store.Instance) {
	return func(in *store.Instance) { in.Addresses = addrs(addresses...) }
}

func port(n uint16) func(*store.Instance) { return func(in *store.Instance) { in.Port = n } }

func ttl(d time.Duration) func(*store.Instance) { return func(in *store.Instance) { in.TTL = d } }

func txt(s ...string) func(*store.Instance) { return func(in *store.Instance) { in.TXT = s } }

func subtypes(s ...string) func(*store.Instance) { return func(in *store.Instance) { in.Subtypes = s } }

// external makes an instance's host one outside the zone.
func external(host string) func(*store.Instance) {
	return func(in *store.Instance) { in.Host, in.Addresses = host, nil }
}

func host(label string) func(*store.Instance) { return func(in *store.Instance) { in.Host = label } }

func draining(l store.Live) store.Live {
	state := store.Draining
	l.Overlay.State = &state
	return l
}

func addrs(s ...string) []netip.Addr {
	var out []netip.Addr
	for _, a := range s {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

func snapshot(service store.Service, instances ...store.Live) *store.Snapshot {
	slices.SortFunc(instances, func(a, b store.Live) int { return cmp.Compare(a.Key(), b.Key()) })
	return &store.Snapshot{Service: service, Instances: instances}
}

// web is the service of the conformance checks: h1 has both families, h2 has IPv4 only.
func web(tb testing.TB) *store.Snapshot {
	return snapshot("_http._tcp",
		instance(tb, "_http._tcp", "h1", with("10.0.0.1", "2001:db8::1"), subtypes("admin")),
		instance(tb, "_http._tcp", "h2", with("10.0.0.2"), txt("txtvers=1", "flag", "k=", `a\b"c=d`)),
	)
}

// many is a service of n instances with long enough names to need a large answer.
func many(tb testing.TB, service store.Service, n int) *store.Snapshot {
	var list []store.Live
	for i := range n {
		id := fmt.Sprintf("instance-%04d", i)
		list = append(list, instance(tb, service, id, with(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}).String())))
	}
	return snapshot(service, list...)
}

func newServer(tb testing.TB, src dnsserver.Source, change ...func(*dnsserver.Config)) *dnsserver.Server {
	tb.Helper()
	config := dnsserver.Config{Zones: []dnsserver.Zone{{Name: zone, Source: src}}, Listen: []string{"127.0.0.1:0"}}
	for _, f := range change {
		f(&config)
	}
	s, err := dnsserver.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// question returns a query as a client without EDNS sends it.
func question(name string, qtype uint16) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	m.RecursionDesired = false
	return m
}

// edns adds an OPT record to a query.
func edns(m *dns.Msg, size uint16) *dns.Msg {
	m.SetEdns0(size, false)
	return m
}

func pack(tb testing.TB, m *dns.Msg) []byte {
	tb.Helper()
	b, err := m.Pack()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// exchange hands a query to Answer and reads the reply, which has to be one.
func exchange(tb testing.TB, s *dnsserver.Server, m *dns.Msg, transport dnsserver.Transport) *dns.Msg {
	tb.Helper()
	return exchangeRaw(tb, s, pack(tb, m), transport)
}

func exchangeRaw(tb testing.TB, s *dnsserver.Server, query []byte, transport dnsserver.Transport) *dns.Msg {
	tb.Helper()
	wire := s.Answer(query, nil, transport)
	if wire == nil {
		tb.Fatalf("no reply to %x", query)
	}
	reply := new(dns.Msg)
	if err := reply.Unpack(wire); err != nil {
		tb.Fatalf("reply %x: %v", wire, err)
	}
	return reply
}

// ask puts a question over UDP with room for 1232 octets.
func ask(tb testing.TB, s *dnsserver.Server, name string, qtype uint16) *dns.Msg {
	tb.Helper()
	return exchange(tb, s, edns(question(name, qtype), 1232), dnsserver.UDP)
}

// records returns the data of records in order, in the form of "0 1 8080 h1.http.svc.example.".
func records(rrs []dns.RR) []string {
	out := []string{}
	for _, rr := range rrs {
		if rr.Header().Rrtype != dns.TypeOPT {
			out = append(out, strings.TrimPrefix(rr.String(), rr.Header().String()))
		}
	}
	slices.Sort(out)
	return out
}

// owners returns the owner names and types of records in order, without the OPT record.
func owners(rrs []dns.RR) []string {
	out := []string{}
	for _, rr := range rrs {
		if h := rr.Header(); h.Rrtype != dns.TypeOPT {
			out = append(out, h.Name+" "+dns.TypeToString[h.Rrtype])
		}
	}
	slices.Sort(out)
	return out
}

// ede returns the info code of a reply's extended error, or -1.
func ede(m *dns.Msg) int {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				return int(e.InfoCode)
			}
		}
	}
	return -1
}

func rcode(m *dns.Msg) string { return dns.RcodeToString[m.Rcode] }
