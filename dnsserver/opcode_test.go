package dnsserver_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
)

func TestT10AnyIsMinimal(t *testing.T) {
	s := newServer(t, newSource(web(t), many(t, "_big._tcp", 100)))
	for _, tt := range []struct {
		qname, rcode string
		want         int // answers
		qtype        uint16
	}{
		{zone, "NOERROR", 1, dns.TypeNS},
		{"_http._tcp." + zone, "NOERROR", 2, dns.TypePTR},
		{"_big._tcp." + zone, "NOERROR", 1, dns.TypeTXT},
		{"h1._http._tcp." + zone, "NOERROR", 1, dns.TypeTXT},
		{"h1.http." + zone, "NOERROR", 1, dns.TypeA},
		{"_tcp." + zone, "NOERROR", 0, 0},
		{"nope." + zone, "NXDOMAIN", 0, 0},
	} {
		for _, transport := range []dnsserver.Transport{dnsserver.UDP, dnsserver.TCP} {
			r := exchange(t, s, edns(question(tt.qname, dns.TypeANY), 1232), transport)
			if rcode(r) != tt.rcode || len(r.Answer) != tt.want || r.Truncated {
				t.Errorf("%s over %v: %v", tt.qname, transport, r)
			}
			for _, rr := range r.Answer {
				if rr.Header().Rrtype != tt.qtype {
					t.Errorf("%s: %v, want type %d", tt.qname, rr, tt.qtype)
				}
			}
		}
	}
}

func TestT11MetaTypes(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	for _, qtype := range []uint16{dns.TypeOPT, dns.TypeTKEY, dns.TypeTSIG, dns.TypeMAILA, dns.TypeMAILB} {
		if r := ask(t, s, zone, qtype); r.Rcode != dns.RcodeSuccess || len(r.Answer) > 0 || len(r.Ns) != 1 {
			t.Errorf("type %d: %v", qtype, r)
		}
	}
}

func TestX1TransfersAreRefused(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	ixfr := new(dns.Msg)
	ixfr.SetIxfr(zone, 1, "ns1."+zone, "hostmaster."+zone)
	for name, m := range map[string]*dns.Msg{"AXFR": question(zone, dns.TypeAXFR), "IXFR": ixfr, "AXFR below": question("nope."+zone, dns.TypeAXFR)} {
		for _, transport := range []dnsserver.Transport{dnsserver.UDP, dnsserver.TCP} {
			if r := exchange(t, s, m, transport); rcode(r) != "REFUSED" || len(r.Answer)+len(r.Ns) > 0 || r.Authoritative {
				t.Errorf("%s over %v: %v", name, transport, r)
			}
		}
	}
}

func TestX4X6NotifyAndUpdate(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	update := new(dns.Msg)
	update.SetUpdate(zone)
	rr, err := dns.NewRR("x." + zone + " 5 IN A 192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	update.Insert([]dns.RR{rr})
	update.RemoveName([]dns.RR{rr})
	update.RecursionDesired = true
	notify := new(dns.Msg)
	notify.SetNotify(zone)
	for name, m := range map[string]*dns.Msg{"update": update, "notify": notify} {
		r := exchange(t, s, m, dnsserver.UDP)
		if rcode(r) != "NOTIMP" || r.Opcode != m.Opcode || r.Authoritative || r.RecursionDesired || len(r.Answer)+len(r.Ns)+len(r.Extra) > 0 {
			t.Errorf("%s: %v", name, r)
		}
		if diff := cmp.Diff(m.Question, r.Question); diff != "" {
			t.Errorf("%s: zone (-asked +echoed):\n%s", name, diff)
		}
	}
	// A body that cannot be read changes nothing.
	for _, op := range []int{dns.OpcodeUpdate, dns.OpcodeNotify} {
		r := exchangeRaw(t, s, message(header(opcode(op), 1, 2, 3, 4), []byte{0xff}), dnsserver.UDP)
		if rcode(r) != "NOTIMP" || r.Opcode != op {
			t.Errorf("opcode %d with a broken body: %v", op, r)
		}
	}
}
