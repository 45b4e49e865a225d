package dnsserver_test

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// model is a zone as a plain table of records, made from the documentation rather than from the server's code: by
// canonical name and type, each record's data with the set's TTL.
type model map[string]map[uint16]*modelSet

type modelSet struct {
	data map[string]bool
	ttl  uint32
}

const modelTTL = 5 * time.Second

// newModel returns the records of a zone with the default configuration on 127.0.0.1.
func newModel(tb testing.TB, view *store.View) model {
	m := model{}
	m.add(tb, zone, &dns.NS{Hdr: dns.RR_Header{Rrtype: dns.TypeNS}, Ns: "ns1." + zone}, 300*time.Second)
	m.add(tb, "ns1."+zone, &dns.A{Hdr: dns.RR_Header{Rrtype: dns.TypeA}, A: addrs("127.0.0.1")[0].AsSlice()}, 300*time.Second)
	for _, label := range []string{"b", "db", "lb"} {
		m.add(tb, label+"._dns-sd._udp."+zone, ptr(zone), 300*time.Second)
	}
	for snapshot := range view.All() {
		for live := range snapshot.Up() {
			m.addInstance(tb, string(snapshot.Service), live)
		}
	}
	return m
}

func ptr(name string) dns.RR { return &dns.PTR{Hdr: dns.RR_Header{Rrtype: dns.TypePTR}, Ptr: name} }

func (m model) addInstance(tb testing.TB, service string, live *store.Live) {
	name := dnssd.ServiceName(zone, service)
	own := dnssd.InstanceName(zone, service, live.ID)
	srv := &dns.SRV{
		Hdr: dns.RR_Header{Rrtype: dns.TypeSRV}, Priority: live.Priority, Weight: live.EffectiveWeight(), Port: live.Port,
		Target: dnssd.TargetName(zone, service, live.Host),
	}
	txt := &dns.TXT{Hdr: dns.RR_Header{Rrtype: dns.TypeTXT}, Txt: []string{""}}
	if len(live.TXT) > 0 {
		txt.Txt = nil
		for _, s := range live.TXT {
			txt.Txt = append(txt.Txt, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s))
		}
	}
	for _, owner := range []string{name, own} {
		m.add(tb, owner, srv, live.TTL)
		m.add(tb, owner, txt, live.TTL)
	}
	m.add(tb, name, ptr(own), live.TTL)
	m.add(tb, "_services._dns-sd._udp."+zone, ptr(name), live.TTL)
	for _, sub := range live.Subtypes {
		m.add(tb, dnssd.SubtypeName(zone, service, sub), ptr(own), live.TTL)
	}
	for _, a := range live.Addresses {
		var rr dns.RR = &dns.AAAA{Hdr: dns.RR_Header{Rrtype: dns.TypeAAAA}, AAAA: a.AsSlice()}
		if a.Is4() {
			rr = &dns.A{Hdr: dns.RR_Header{Rrtype: dns.TypeA}, A: a.AsSlice()}
		}
		m.add(tb, dnssd.AddressName(zone, service), rr, live.TTL)
		m.add(tb, srv.Target, rr, live.TTL)
	}
}

// add packs and unpacks the record, so that names and strings have one form.
func (m model) add(tb testing.TB, owner string, rr dns.RR, ttl time.Duration) {
	rr = dns.Copy(rr)
	rr.Header().Name, rr.Header().Class = owner, dns.ClassINET
	buf := make([]byte, 4096)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		tb.Fatal(err)
	}
	if rr, _, err = dns.UnpackRR(buf[:n], 0); err != nil {
		tb.Fatal(err)
	}
	name, typ := dns.CanonicalName(rr.Header().Name), rr.Header().Rrtype
	if m[name] == nil {
		m[name] = map[uint16]*modelSet{}
	}
	if ttl < 300*time.Second {
		ttl = min(ttl, modelTTL)
	}
	seconds := uint32(ttl / time.Second)
	set := m[name][typ]
	if set == nil {
		set = &modelSet{data: map[string]bool{}, ttl: seconds}
		m[name][typ] = set
	}
	set.data[data(rr)] = true
	set.ttl = min(set.ttl, seconds)
}

// data returns a record's data, names in it in canonical form where the question's case may show.
func data(rr dns.RR) string {
	switch rr := rr.(type) {
	case *dns.PTR:
		return dns.CanonicalName(rr.Ptr)
	case *dns.NS:
		return dns.CanonicalName(rr.Ns)
	default:
		return strings.TrimPrefix(rr.String(), rr.Header().String())
	}
}

// exists reports whether a name has a record or is above one that has (RFC 4592 section 2.2.2).
func (m model) exists(name string) bool {
	for owner := range m {
		if dns.IsSubDomain(name, owner) {
			return true
		}
	}
	return false
}
