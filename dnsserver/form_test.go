package dnsserver_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/store"
)

// TestFastEqualsFresh asks a server that keeps what it packs, while its zone changes, questions of every form: each reply
// is, octet for octet, what the reference writes afresh.
func TestFastEqualsFresh(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		src := newSource(drawZone(t, rt)...)
		s := newServer(t, src, func(c *dnsserver.Config) { c.NSID = "ns-a" })
		for range 4 {
			m := newModel(t, src.View())
			for range 15 {
				checkFresh(t, rt, src, s, m)
			}
			change := drawZone(t, rt)
			if len(change) > 1 {
				change = change[:1]
			}
			change = append(change, &store.Snapshot{Service: rapid.SampledFrom(drawnServices).Draw(rt, "gone")})
			src.set(change...)
		}
	})
}

func checkFresh(tb testing.TB, rt *rapid.T, src *source, s *dnsserver.Server, m model) {
	q := drawQuestion(rt, m)
	q.Qtype = rapid.SampledFrom([]uint16{
		q.Qtype, q.Qtype, q.Qtype, dns.TypeSRV, dns.TypePTR, dns.TypeANY, dns.TypeSOA, dns.TypeHTTPS,
	}).Draw(rt, "type")
	query := question(q.Name, q.Qtype)
	query.Id = rapid.Uint16().Draw(rt, "id")
	query.RecursionDesired = rapid.Bool().Draw(rt, "rd")
	from := dnsserver.Client{Addr: netip.MustParseAddr(client4), Idle: time.Second}
	from.Transport = rapid.SampledFrom([]dnsserver.Transport{dnsserver.UDP, dnsserver.TCP}).Draw(rt, "transport")
	size := rapid.SampledFrom([]int{0, 100, 512, 600, 700, 850, 1000, 1232, 4096}).Draw(rt, "size")
	if size > 0 {
		drawOptions(rt, edns(query, uint16(size)))
	}
	src.freshness.Store(int32(rapid.SampledFrom([]store.Freshness{store.Synced, store.Synced, store.Stale}).Draw(rt, "freshness")))
	wire := pack(tb, query)
	drawCase(rt, wire)

	got := s.AnswerTo(from, wire, nil)
	opt, reserved := optOf(rt, got)
	w := reference{
		tb: tb, view: src.View(), id: int(query.Id), name: dns.CanonicalName(q.Name),
		limit: limit(size, from.Transport) - reserved,
	}
	if want := w.reply(wire, q.Qtype, opt); !bytes.Equal(want, got) {
		rt.Fatalf("%v over %v with %d octets:\nwant %x\ngot  %x", q, from.Transport, size, want, got)
	}
}

// drawOptions adds what a query may have in its OPT record.
func drawOptions(rt *rapid.T, query *dns.Msg) {
	opt := query.IsEdns0()
	chosen := rapid.Byte().Draw(rt, "options")
	for i, option := range []dns.EDNS0{
		&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"},
		&dns.EDNS0_NSID{Code: dns.EDNS0NSID},
		&dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE},
		&dns.EDNS0_PADDING{Padding: make([]byte, 5)},
	} {
		if chosen>>i&1 == 1 {
			opt.Option = append(opt.Option, option)
		}
	}
	opt.SetDo(chosen&0x80 != 0)
}

// drawCase turns some letters of the question's name into capitals.
func drawCase(rt *rapid.T, query []byte) {
	capitals := rapid.Uint64().Draw(rt, "capitals")
	for label := 12; query[label] != 0; label += 1 + int(query[label]) {
		for i := label + 1; i <= label+int(query[label]); i++ {
			if c := query[i]; c >= 'a' && c <= 'z' && capitals>>(i%64)&1 == 1 {
				query[i] -= 'a' - 'A'
			}
		}
	}
}

// optOf returns the OPT record of a reply, and how much of it was set aside before the answer: all but an extended error.
func optOf(rt *rapid.T, reply []byte) (opt []byte, reserved int) {
	m := new(dns.Msg)
	if err := m.Unpack(reply); err != nil {
		rt.Fatalf("%x: %v", reply, err)
	}
	record := m.IsEdns0()
	if record == nil {
		return nil, 0
	}
	n := dns.Len(record)
	for _, option := range record.Option {
		if e, ok := option.(*dns.EDNS0_EDE); ok {
			n -= 4 + 2 + len(e.ExtraText)
		}
	}
	return reply[len(reply)-dns.Len(record):], n
}

// TestLargeFormsEqualFresh is the same for services that fill messages, whose additional sections end where pointers do.
func TestLargeFormsEqualFresh(t *testing.T) {
	src := newSource(many(t, "_big._tcp", 1190), many(t, "_mid._udp", 60))
	s := newServer(t, src)
	for _, name := range []string{"_big._tcp.", "_mid._udp.", "big.", "mid.", "instance-0007._big._tcp."} {
		for _, qtype := range []uint16{dns.TypeSRV, dns.TypePTR, dns.TypeTXT, dns.TypeA, dns.TypeANY} {
			query := pack(t, question(name+zone, qtype))
			for id := 0; id < 65536; id += 20011 {
				binary.BigEndian.PutUint16(query, uint16(id))
				w := reference{tb: t, view: src.View(), id: id, name: name + zone, limit: 65535}
				if got, want := s.Answer(query, nil, dnsserver.TCP), w.reply(query, qtype, nil); !bytes.Equal(want, got) {
					t.Fatalf("%s %s, id %d:\nwant %x\ngot  %x", name, dns.TypeToString[qtype], id, want, got)
				}
			}
		}
	}
}
