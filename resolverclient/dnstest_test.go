package resolverclient_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// exchange is one query to a scripted server, and the way back.
type exchange struct {
	network string // udp or tcp
	query   *dns.Msg
	send    func(wire []byte)
}

// reply packs and sends a message.
func (x exchange) reply(m *dns.Msg) {
	wire, err := m.Pack()
	if err != nil {
		panic(err) // a mistake in the test itself
	}
	x.send(wire)
}

// handler is the script of a server: it answers one query as often as it likes.
type handler func(exchange)

// rcode answers everything with one code.
func rcode(code int) handler {
	return func(x exchange) {
		m := new(dns.Msg).SetRcode(x.query, code)
		x.reply(m)
	}
}

// silent answers nothing.
func silent(exchange) {}

// zone answers from records as an authoritative server does.
type zone struct {
	records      map[string][]dns.RR // by name in small letters
	noAdditional bool
	limit        int // octets over UDP; 0 means what EDNS says
}

// newZone parses records in presentation form.
func newZone(tb testing.TB, records ...string) *zone {
	tb.Helper()
	z := new(zone)
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			tb.Fatal(err)
		}
		z.add(asReceived(tb, rr))
	}
	return z
}

func (z *zone) add(rr dns.RR) {
	if z.records == nil {
		z.records = make(map[string][]dns.RR)
	}
	name := strings.ToLower(rr.Header().Name)
	z.records[name] = append(z.records[name], rr)
}

// asReceived returns a record with its names in the escapes that package dns writes.
func asReceived(tb testing.TB, rr dns.RR) dns.RR {
	tb.Helper()
	wire := make([]byte, 1024)
	end, err := dns.PackRR(rr, wire, 0, nil, false)
	if err != nil {
		tb.Fatal(err)
	}
	rr, _, err = dns.UnpackRR(wire[:end], 0)
	if err != nil {
		tb.Fatal(err)
	}
	return rr
}

func (z *zone) serve(x exchange) {
	m := z.answer(x.query)
	size := dns.MinMsgSize
	if opt := x.query.IsEdns0(); opt != nil {
		m.SetEdns0(1232, false)
		size = int(opt.UDPSize())
	}
	if z.limit > 0 {
		size = z.limit
	}
	if x.network == "udp" && m.Len() > size {
		m.Answer, m.Extra, m.Truncated = nil, nil, true
	}
	x.reply(m)
}

func (z *zone) answer(query *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(query)
	m.Authoritative, m.Compress = true, true
	q := query.Question[0]
	named := z.records[strings.ToLower(q.Name)]
	for _, rr := range named {
		if kind := rr.Header().Rrtype; kind == q.Qtype || kind == dns.TypeCNAME {
			m.Answer = append(m.Answer, dns.Copy(rr))
		}
	}
	if len(m.Answer) == 0 {
		soa, _ := dns.NewRR("svc.internal. 300 SOA ns1.svc.internal. hostmaster.svc.internal. 1 3600 600 86400 5")
		m.Ns = append(m.Ns, soa)
		if named == nil {
			m.Rcode = dns.RcodeNameError
		}
	}
	if !z.noAdditional {
		m.Extra = z.additional(m.Answer)
	}
	return m
}

// additional returns what SRV and PTR records point to (RFC 2782, RFC 6763 section 12).
func (z *zone) additional(answer []dns.RR) (extra []dns.RR) {
	for _, rr := range answer {
		switch rr := rr.(type) {
		case *dns.SRV:
			extra = append(extra, z.of(rr.Target, dns.TypeA, dns.TypeAAAA)...)
		case *dns.PTR:
			more := z.of(rr.Ptr, dns.TypeSRV, dns.TypeTXT)
			extra = append(append(extra, more...), z.additional(more)...)
		}
	}
	return extra
}

// of returns copies of the records of a name that have one of the types.
func (z *zone) of(name string, kinds ...uint16) (out []dns.RR) {
	for _, rr := range z.records[strings.ToLower(name)] {
		if slices.Contains(kinds, rr.Header().Rrtype) {
			out = append(out, dns.Copy(rr))
		}
	}
	return out
}

// counted counts the queries of each type that pass through a handler.
type counted struct {
	next   handler
	counts [256]atomic.Int64
}

func (c *counted) serve(x exchange) {
	c.counts[x.query.Question[0].Qtype].Add(1)
	c.next(x)
}

func (c *counted) of(kind uint16) int64 { return c.counts[kind].Load() }

// swap is a handler that a test exchanges as it goes.
type swap struct{ now atomic.Pointer[handler] }

func newSwap(h handler) *swap {
	s := new(swap)
	s.set(h)
	return s
}

func (s *swap) set(h handler)    { s.now.Store(&h) }
func (s *swap) serve(x exchange) { (*s.now.Load())(x) }

// listen runs a handler on a free port of 127.0.0.1, UDP and TCP, until the test ends, and returns its address.
func listen(tb testing.TB, h handler) string {
	tb.Helper()
	for range 20 {
		stream, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		packets, err := net.ListenPacket("udp", stream.Addr().String())
		if err != nil { // the port is taken for UDP
			stream.Close()
			continue
		}
		var running sync.WaitGroup
		running.Go(func() { servePackets(packets, h) })
		running.Go(func() { serveStreams(stream, h) })
		tb.Cleanup(func() {
			stream.Close()
			packets.Close()
			running.Wait()
		})
		return stream.Addr().String()
	}
	tb.Fatal("no port free for both UDP and TCP")
	return ""
}

func servePackets(conn net.PacketConn, h handler) {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		buf := make([]byte, 4096)
		n, peer, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		running.Go(func() {
			handle("udp", buf[:n], h, func(wire []byte) { _, _ = conn.WriteTo(wire, peer) })
		})
	}
}

func serveStreams(l net.Listener, h handler) {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		running.Go(func() {
			defer conn.Close()
			serveStream(conn, h)
		})
	}
}

func serveStream(conn net.Conn, h handler) {
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return
	}
	buf := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, buf); err != nil {
		return
	}
	handle("tcp", buf, h, func(wire []byte) {
		framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(wire))), wire...)
		_, _ = conn.Write(framed[:1]) // streams come in pieces, which need not be whole messages
		_, _ = conn.Write(framed[1:])
	})
}

func handle(network string, wire []byte, h handler, send func([]byte)) {
	query := new(dns.Msg)
	if query.Unpack(wire) == nil {
		h(exchange{network, query, send})
	}
}

// piped returns a Dial function whose connections end in a handler, without sockets, for tests in a bubble of
// testing/synctest.
func piped(h handler) func(context.Context, string, string) (net.Conn, error) {
	return func(_ context.Context, network, _ string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			if network == "tcp" {
				serveStream(far, h)
				return
			}
			buf := make([]byte, 4096)
			n, err := far.Read(buf)
			if err != nil {
				return
			}
			handle(network, buf[:n], h, func(wire []byte) { _, _ = far.Write(wire) })
			_, _ = far.Read(buf) // until the client is done
		}()
		return near, nil
	}
}
