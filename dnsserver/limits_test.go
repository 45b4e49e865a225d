package dnsserver_test

import (
	"encoding/binary"
	"flag"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
)

// stalled is how many connections the test of stalled ones opens. 10,000 need 20,100 file descriptors.
var stalled = flag.Int("stalled", 500, "TCP connections to stall, 10000 for the long form")

// TestT6StalledConnections has clients that send half a message on as many connections as there may be: UDP goes on being
// answered, each costs little memory, and a new client is served.
func TestT6StalledConnections(t *testing.T) {
	message := max(5*time.Second, time.Duration(*stalled)*4*time.Millisecond) // to open all before the first times out
	s := start(t, newServer(t, newSource(web(t)), func(c *dnsserver.Config) {
		c.MaxTCPConns, c.MaxTCPConnsPerAddr, c.IdleTimeout, c.MessageTimeout = *stalled, *stalled, time.Hour, message
		c.StopTimeout = time.Millisecond
	}))
	before := memory()
	half := framed(t, question(zone, dns.TypeSOA))[:9]
	open := stall(t, s, half, *stalled)
	perConn := (memory() - before) / uint64(len(open))

	m := question("_http._tcp."+zone, dns.TypeSRV)
	var waited []time.Duration
	for range 200 {
		from := time.Now()
		over(t, "udp", s.addr, m)
		waited = append(waited, time.Since(from))
	}
	slices.Sort(waited)
	from := time.Now()
	eventually(t, "no new client is served", func() bool { return served(s.addr, framed(t, m)) })
	t.Logf("%d stalled connections: %d octets each, UDP p50 %v p99 %v, a new client after %v",
		len(open), perConn, waited[100], waited[198], time.Since(from))
	if perConn > 64<<10 {
		t.Errorf("%d octets for each connection", perConn)
	}
	if got := s.Stats(); got.TCPOpen > *stalled || got.TCPEvicted == 0 {
		t.Errorf("%d connections open, %d evicted", got.TCPOpen, got.TCPEvicted)
	}
}

// stall opens n connections that send part of a message and no more.
func stall(tb testing.TB, s running, part []byte, n int) []net.Conn {
	tb.Helper()
	open := make([]net.Conn, n)
	for i := range open {
		conn, err := net.DialTimeout("tcp", s.addr, patience)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = conn.Close() })
		if _, err := conn.Write(part); err != nil {
			tb.Fatal(err)
		}
		open[i] = conn
	}
	return open
}

// served reports whether a new connection gets a reply.
func served(addr string, query []byte) bool {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	if conn.SetDeadline(time.Now().Add(patience)) != nil {
		return false
	}
	if _, err := conn.Write(query); err != nil {
		return false
	}
	_, err = io.ReadFull(conn, make([]byte, 12))
	return err == nil
}

// memory is what heap and stacks take, without what nobody uses any more.
func memory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// TestT5ShorterUnderLoad fills a server: the wait for the next message is cut to a quarter.
func TestT5ShorterUnderLoad(t *testing.T) {
	const idle = 4 * time.Second
	s := start(t, newServer(t, newSource(), func(c *dnsserver.Config) { c.MaxTCPConns, c.IdleTimeout = 1, idle }))
	conn := dial(t, s.addr)
	conn.works()
	from := time.Now()
	conn.ended()
	if waited := time.Since(from); waited < idle/8 || waited >= idle {
		t.Errorf("closed after %v", waited)
	}
}

// largeMessages are messages of 65,535 octets, each with something that claims much work or memory.
func largeMessages(tb testing.TB) map[string][]byte {
	const size = 65535
	q := wireQuestion(tb, "_big._tcp."+zone, dns.TypeSRV)
	full := func(flags uint16, counts [4]uint16, parts ...[]byte) []byte {
		msg := message(append([][]byte{header(flags, counts[:]...)}, parts...)...)
		for i := 0; len(msg) < size; i++ {
			msg = append(msg, parts[len(parts)-1]...)
		}
		return msg[:size]
	}
	pointer := message([]byte{0xc0, 12}, []byte{0, 1, 0, 1, 0, 0, 0, 0, 0, 0})
	noise := make([]byte, size)
	for i, r := 0, rand.New(rand.NewPCG(1, 2)); i < size; i++ {
		noise[i] = byte(r.Uint32())
	}
	many := uint16(0xffff)
	nested := wireOPT(1232, 0, 0, message(wireOption(dns.EDNS0PADDING, make([]byte, size-12-len(q)-15))))
	options := slices.Repeat(wireOption(65001, nil), (size-12-len(q)-11)/4)
	return map[string][]byte{
		"records of pointers":        full(flagsQuery, [4]uint16{1, many, many, many}, q, pointer),
		"questions":                  full(flagsQuery, [4]uint16{many, many, many, many}, q),
		"an update of records":       full(opcode(dns.OpcodeUpdate), [4]uint16{1, many, many, many}, q, pointer),
		"OPT records":                full(flagsQuery, [4]uint16{1, 0, 0, many}, q, wireOPT(1232, 0, 0, nil)),
		"one option":                 message(header(flagsQuery, 1, 0, 0, 1), q, nested),
		"options":                    message(header(flagsQuery, 1, 0, 0, 1), q, wireOPT(65535, 0, 0, options)),
		"labels":                     full(flagsQuery, [4]uint16{1, 0, 0, 1}, []byte{1, 'a'}),
		"zeros":                      full(flagsQuery, [4]uint16{0, 0, 0, many}, []byte{0}),
		"noise":                      message(header(flagsQuery, 1, 1, 1, 1), noise)[:size],
		"noise of an unknown opcode": message(header(opcode(9), many, many, many, many), noise)[:size],
		"pipelined questions":        message(header(flagsQuery, 1), q),
	}
}

// allocated is how many octets f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// maxAllocated is what one message may make the server allocate.
const maxAllocated = 1 << 20

// largeAnswers is a server whose largest answer nearly fills a message, asked for once.
func largeAnswers(tb testing.TB) *dnsserver.Server {
	s := newServer(tb, newSource(many(tb, "_big._tcp", 1190)))
	if out := s.Answer(pack(tb, question("_big._tcp."+zone, dns.TypeSRV)), nil, dnsserver.TCP); len(out) < 60_000 {
		tb.Fatalf("%d octets", len(out))
	}
	return s
}

// TestLargeMessagesAllocateLittle gives the largest messages to Answer, and sends them over TCP, where the figure has the
// test's own client in it.
func TestLargeMessagesAllocateLittle(t *testing.T) {
	s := start(t, largeAnswers(t))
	for name, msg := range largeMessages(t) {
		for _, transport := range []dnsserver.Transport{dnsserver.UDP, dnsserver.TCP} {
			if n := allocated(func() { s.Answer(msg, nil, transport) }); n > maxAllocated {
				t.Errorf("%s over %v: %d octets", name, transport, n)
			}
		}
		conn := dial(t, s.addr)
		framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
		reply := make([]byte, 2+65535)
		n := allocated(func() {
			conn.send(framed)
			if _, err := io.ReadFull(conn, reply[:2]); err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			if _, err := io.ReadFull(conn, reply[2:2+binary.BigEndian.Uint16(reply)]); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
		if n > maxAllocated {
			t.Errorf("%s over a connection: %d octets", name, n)
		}
	}
}

// BenchmarkLargeMessages prints what the largest messages cost: time and octets allocated without a buffer to reuse.
func BenchmarkLargeMessages(b *testing.B) {
	s := largeAnswers(b)
	for name, msg := range largeMessages(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Answer(msg, nil, dnsserver.TCP)
			}
		})
	}
}
