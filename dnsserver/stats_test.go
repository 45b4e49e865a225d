package dnsserver_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/store"
)

func TestStats(t *testing.T) {
	src := newSource(web(t), many(t, "_big._tcp", 100))
	s := newServer(t, src)
	times := func(n int, m *dns.Msg, transport dnsserver.Transport) {
		for range n {
			exchange(t, s, m, transport)
		}
	}
	times(3, question("_http._tcp."+zone, dns.TypeSRV), dnsserver.UDP)
	times(2, question("_http._tcp."+zone, dns.TypeSRV), dnsserver.TCP)
	times(1, question("_big._tcp."+zone, dns.TypeSRV), dnsserver.UDP)
	times(2, question("nope."+zone, dns.TypeA), dnsserver.UDP)
	times(1, question("other.test.", 65400), dnsserver.UDP)
	times(1, question(zone, dns.TypeAXFR), dnsserver.TCP)
	exchangeRaw(t, s, header(flagsQuery), dnsserver.UDP)
	exchangeRaw(t, s, header(opcode(6)), dnsserver.UDP)
	exchangeRaw(t, s, message(header(flagsQuery, 1, 0, 0, 1), wireQuestion(t, zone, dns.TypeSOA), wireOPT(512, 1, 0, nil)), dnsserver.UDP)
	src.freshness.Store(int32(store.Lost))
	times(1, question(zone, dns.TypeSOA), dnsserver.UDP)
	s.Answer([]byte("short"), nil, dnsserver.UDP)
	s.Answer(header(0x8000), nil, dnsserver.TCP)

	want := dnsserver.Stats{
		Requests: []dnsserver.RequestCount{
			{Transport: dnsserver.UDP, Type: "other", Rcode: "FORMERR", Count: 1},
			{Transport: dnsserver.UDP, Type: "other", Rcode: "NOTIMP", Count: 1},
			{Transport: dnsserver.UDP, Type: "other", Rcode: "REFUSED", Count: 1},
			{Transport: dnsserver.UDP, Type: "A", Rcode: "NXDOMAIN", Count: 2},
			{Transport: dnsserver.UDP, Type: "SRV", Rcode: "NOERROR", Count: 4},
			{Transport: dnsserver.UDP, Type: "SOA", Rcode: "SERVFAIL", Count: 1},
			{Transport: dnsserver.UDP, Type: "SOA", Rcode: "BADVERS", Count: 1},
			{Transport: dnsserver.TCP, Type: "SRV", Rcode: "NOERROR", Count: 2},
			{Transport: dnsserver.TCP, Type: "AXFR", Rcode: "REFUSED", Count: 1},
		},
		Dropped:   2,
		Truncated: 1,
		Transfers: dnsserver.TransferStats{Refused: 1},
	}
	if diff := cmp.Diff(want, s.Stats()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if dnsserver.UDP.String() != "udp" || dnsserver.TCP.String() != "tcp" {
		t.Errorf("transports %v and %v", dnsserver.UDP, dnsserver.TCP)
	}
}
