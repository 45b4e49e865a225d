package store_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// service returns a snapshot of n instances, each shaped by shape.
func service(n int, shape func(i int, in *store.Instance)) *store.Snapshot {
	s := &store.Snapshot{Service: "_web._tcp", Revision: 1}
	for i := range n {
		in := valid()
		in.ID = fmt.Sprintf("i%05d", i)
		in.Host = in.ID
		shape(i, &in)
		s.Instances = append(s.Instances, store.Live{Instance: in})
	}
	return s
}

// TestCheckSizeEdges finds the greatest count that CheckSize accepts for each kind of answer, packs that answer with an
// independent library and holds that it fits a message with room for an OPT record, and that the next would not have
// left that room.
func TestCheckSizeEdges(t *testing.T) {
	const zone = "svc.internal."
	none := func(int, *store.Instance) {}
	cases := []struct {
		name   string
		shape  func(int, *store.Instance)
		record func(*store.Live) []dns.RR
		qname  string
		what   string
	}{
		{"SRV", none, func(l *store.Live) []dns.RR {
			return []dns.RR{&dns.SRV{Target: dnssd.TargetName(zone, "_web._tcp", l.Host)}}
		}, "_web._tcp." + zone, "_web._tcp.svc.internal. SRV"},
		{"PTR", longIDs, func(l *store.Live) []dns.RR {
			return []dns.RR{&dns.PTR{Ptr: dnssd.InstanceName(zone, "_web._tcp", l.ID)}}
		}, "_web._tcp." + zone, "_web._tcp.svc.internal. PTR"},
		{"TXT", longTXT, func(l *store.Live) []dns.RR {
			return []dns.RR{&dns.TXT{Txt: l.TXT}}
		}, "_web._tcp." + zone, "_web._tcp.svc.internal. TXT"},
		{"A", distinctAddresses("10.0.0.0"), func(l *store.Live) []dns.RR {
			return forEach(l, func(a net.IP) dns.RR { return &dns.A{A: a} })
		}, "web." + zone, "web.svc.internal. A"},
		{"AAAA", distinctAddresses("2001:db8::"), func(l *store.Live) []dns.RR {
			return forEach(l, func(a net.IP) dns.RR { return &dns.AAAA{AAAA: a} })
		}, "web." + zone, "web.svc.internal. AAAA"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			accepted, refusal := greatest(zone, tc.shape)
			if !errors.Is(refusal, store.ErrFull) || !strings.Contains(refusal.Error(), tc.what) {
				t.Fatalf("refusal %v, want ErrFull for %s", refusal, tc.what)
			}
			size := packed(t, tc.qname, service(accepted, tc.shape), tc.record)
			if size > 65535-256 {
				t.Errorf("%d instances are accepted, and the answer takes %d octets", accepted, size)
			}
			over := packed(t, tc.qname, service(accepted+1, tc.shape), tc.record)
			if over < 65535-256-dnssd.MaxName {
				t.Errorf("%d instances are refused, and the answer would take %d octets", accepted+1, over)
			}
		})
	}
}

func longIDs(i int, in *store.Instance) {
	in.ID = fmt.Sprintf("%063d", i)
	in.Host = "db.example.org."
	in.Addresses = nil
}

func longTXT(i int, in *store.Instance) {
	in.TXT = []string{fmt.Sprintf("n=%d", 10000+i), "v=" + strings.Repeat("x", 250)}
}

// distinctAddresses gives each instance four addresses of its own, counted from the given one.
func distinctAddresses(from string) func(int, *store.Instance) {
	base := netip.MustParseAddr(from).AsSlice()
	return func(i int, in *store.Instance) {
		in.Addresses = nil
		for n := 4 * i; n < 4*i+4; n++ {
			b := slices.Clone(base)
			b[len(b)-2], b[len(b)-1] = byte(n>>8), byte(n)
			a, _ := netip.AddrFromSlice(b)
			in.Addresses = append(in.Addresses, a)
		}
		in.Host = "h" // one host, so that SRV with one port is one record
	}
}

func forEach(l *store.Live, record func(net.IP) dns.RR) []dns.RR {
	var rrs []dns.RR
	for _, a := range l.Addresses {
		rrs = append(rrs, record(a.AsSlice()))
	}
	return rrs
}

// greatest returns the greatest count of instances that fits, and the error for one more.
func greatest(zone string, shape func(int, *store.Instance)) (int, error) {
	low, high := 1, 8000
	var refusal error
	for low < high-1 {
		mid := (low + high) / 2
		if err := store.CheckSize(zone, service(mid, shape), nil); err != nil {
			high, refusal = mid, err
		} else {
			low = mid
		}
	}
	return low, refusal
}

// packed returns the size of the answer, compressed as far as DNS allows.
func packed(t testing.TB, qname string, s *store.Snapshot, record func(*store.Live) []dns.RR) int {
	t.Helper()
	buf := make([]byte, 1<<18)
	names := map[string]int{}
	off := 12
	off, err := dns.PackDomainName(qname, buf, off, names, true)
	if err != nil {
		t.Fatal(err)
	}
	off += 4
	for i := range s.Instances {
		for _, rr := range record(&s.Instances[i]) {
			h := rr.Header()
			h.Name, h.Class, h.Rrtype = qname, dns.ClassINET, rrtype(rr)
			if off, err = dns.PackRR(rr, buf, off, names, true); err != nil {
				t.Fatal(err)
			}
		}
	}
	return off
}

func rrtype(rr dns.RR) uint16 {
	switch rr.(type) {
	case *dns.SRV:
		return dns.TypeSRV
	case *dns.PTR:
		return dns.TypePTR
	case *dns.TXT:
		return dns.TypeTXT
	case *dns.A:
		return dns.TypeA
	default:
		return dns.TypeAAAA
	}
}

// TestCheckSizeCountsDuplicatesOnce holds that equal records take their room once, as they do in an answer.
func TestCheckSizeCountsDuplicatesOnce(t *testing.T) {
	same := func(_ int, in *store.Instance) { in.Host, in.TXT = "h", []string{"v=" + strings.Repeat("x", 250)} }
	if err := store.CheckSize("svc.internal.", service(2000, same), nil); err != nil {
		t.Errorf("2000 instances on one host and port: %v", err)
	}
}

// TestCheckSizeCountsTheSibling holds that the addresses of _web._udp count at the name that it shares with _web._tcp.
func TestCheckSizeCountsTheSibling(t *testing.T) {
	fill := distinctAddresses("10.0.0.0")
	half := service(600, fill)
	sibling := service(600, func(i int, in *store.Instance) { fill(i+600, in) })
	sibling.Service = "_web._udp"
	if err := store.CheckSize("svc.internal.", half, nil); err != nil {
		t.Errorf("2400 addresses: %v", err)
	}
	if err := store.CheckSize("svc.internal.", half, sibling); !errors.Is(err, store.ErrFull) {
		t.Errorf("4800 addresses over both protocols: %v, want ErrFull", err)
	}
}
