package dnsserver_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/store"
)

// FuzzAnswer gives any octets to Answer: there is no reply, or one that can be read, belongs to the query, and keeps to
// its size.
func FuzzAnswer(f *testing.F) {
	for _, name := range goldenNames {
		query, _ := golden(f, name)
		f.Add(query, false, byte(0))
		f.Add(query, true, byte(1))
	}
	q := wireQuestion(f, "_web._tcp."+zone, dns.TypePTR)
	opt := wireOPT(4096, 0, 0x8000, []byte{0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8})
	for _, seed := range [][]byte{
		{},
		header(flagsQuery), header(0x8000), header(opcode(15)), header(flagsQuery, 1), message(header(flagsQuery, 1), q[:5]),
		message(header(flagsQuery, 1, 0, 0, 1), q, opt),
		message(header(flagsQuery, 1, 0, 0, 2), q, opt, opt),
		message(header(flagsQuery, 0, 0, 0, 1), opt),
		message(header(flagsQuery, 1, 0, 0, 1), []byte{0xff}, opt),
		message(header(opcode(15), 9, 9, 9, 9), []byte{0xff}, opt),
		message(header(flagsQuery, 1, 0, 0, 1), q, wireOPT(512, 0, 0, message(wireOption(dns.EDNS0NSID, nil), wireOption(dns.EDNS0TCPKEEPALIVE, nil)))),
		message(header(flagsQuery, 1), wireName(f, "id.server."), []byte{0, 16, 0, 3}),
		message(header(flagsQuery, 2, 0, 0, 1), q, q, opt),
		message(header(flagsQuery, 1, 1, 1, 1), q, []byte{0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0}),
		message(header(flagsQuery, 1, 65535, 65535, 65535), q),
		message(header(opcode(dns.OpcodeUpdate), 1, 0, 1), q, []byte{0, 0, 6, 0, 1, 0, 0, 0, 0, 0, 0}),
		message(header(flagsQuery, 1), wireQuestion(f, `B\032TWO._web._tcp.`+zone, dns.TypeANY)),
		message(header(flagsQuery, 1), wireQuestion(f, "_services._dns-sd._udp."+zone, dns.TypePTR)),
	} {
		f.Add(seed, false, byte(0))
	}
	src := goldenSource(f)
	s := newServer(f, src, func(c *dnsserver.Config) { c.NSID, c.Chaos, c.Version = "ns-a", true, "1" })
	f.Fuzz(func(t *testing.T, query []byte, tcp bool, freshness byte) {
		src.freshness.Store(int32(store.Freshness(freshness % 3)))
		from := dnsserver.Client{Addr: netip.MustParseAddr(client4), Transport: dnsserver.UDP}
		if tcp {
			from = dnsserver.Client{Addr: netip.MustParseAddr(client6), Transport: dnsserver.TCP, Idle: time.Second}
		}
		before := bytes.Clone(query)
		out := s.AnswerTo(from, query, []byte("prefix"))
		if !bytes.Equal(before, query) {
			t.Fatal("the query was changed")
		}
		reply, ok := bytes.CutPrefix(out, []byte("prefix"))
		if !ok {
			t.Fatalf("what was in the buffer has changed: %x", out)
		}
		if len(reply) == 0 {
			if len(query) >= 12 && query[2]&0x80 == 0 {
				t.Fatal("no reply")
			}
			return
		}
		checkFuzzed(t, query, reply, tcp)
	})
}

func checkFuzzed(t *testing.T, query, reply []byte, tcp bool) {
	var m dns.Msg
	if err := m.Unpack(reply); err != nil {
		t.Fatalf("%x: %v", reply, err)
	}
	if !bytes.Equal(reply[:2], query[:2]) || reply[2]&0x80 == 0 || (reply[2]^query[2])&0x78 != 0 {
		t.Fatalf("header %x for %x", reply[:12], query[:12])
	}
	if reply[3]&0xf0 != 0 {
		t.Fatalf("flags %x", reply[2:4])
	}
	limit := 65535
	if !tcp {
		limit = 512
		if opt := m.IsEdns0(); opt != nil {
			limit = 1232
		}
	}
	if len(reply) > limit {
		t.Fatalf("%d octets, limit %d", len(reply), limit)
	}
	if binary.BigEndian.Uint16(reply[4:]) == 1 {
		end := 12
		for reply[end] != 0 {
			end += 1 + int(reply[end])
		}
		if end += 5; !bytes.Equal(reply[12:end], query[12:end]) {
			t.Fatalf("question %x for %x", reply[12:end], query[12:end])
		}
	}
}
