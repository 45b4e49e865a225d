package dnsserver_test

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/store"
)

// TestT5ShorterUnderLoad fills a server: the wait for the next message is cut to a quarter.
func TestT5ShorterUnderLoad(t *testing.T) {
	const idle = 8 * time.Second
	s := start(t, newServer(t, newSource(), func(c *dnsserver.Config) { c.MaxTCPConns, c.IdleTimeout = 1, idle }))
	conn := dial(t, s.addr)
	from := time.Now()
	conn.works()
	conn.ended()
	if waited := time.Since(from); waited < idle/4 || waited >= idle {
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

// TestLargeMessagesAllocateLittle gives the largest messages to Answer, and sends them over TCP and UDP, where the figure
// has the test's own client in it.
func TestLargeMessagesAllocateLittle(t *testing.T) {
	s := start(t, largeAnswers(t))
	for name, msg := range largeMessages(t) {
		for over, f := range map[string]func(){
			"Answer, UDP": func() { s.Answer(msg, nil, dnsserver.UDP) },
			"Answer, TCP": func() { s.Answer(msg, nil, dnsserver.TCP) },
			"TCP":         func() { sendTCP(t, s.addr, msg) },
			"UDP":         func() { sendUDP(t, s.addr, msg[:min(len(msg), 65507)]) },
		} {
			if n := allocated(f); n > maxAllocated {
				t.Errorf("%s over %s: %d octets", name, over, n)
			}
		}
	}
}

// TestFirstAnswersAllocateLittle is the first to ask for the answers of a service that is as large as one may be. To pack
// them costs no more where each instance has a kilobyte of attributes, since not many of these can differ.
func TestFirstAnswersAllocateLittle(t *testing.T) {
	const n, most = 1190, 1536 // octets for each
	var txts [2][]string
	for i := range 5 {
		for j := range txts {
			txts[j] = append(txts[j], fmt.Sprintf("%d%d=%s", j, i, strings.Repeat("x", 240)))
		}
	}
	plain, rich := many(t, "_big._tcp", n), many(t, "_big._tcp", n)
	for i := range rich.Instances {
		rich.Instances[i].TXT, rich.Instances[i].TTL = txts[i%len(txts)], time.Duration(1+i%3)*time.Second
	}
	for what, snapshot := range map[string]*store.Snapshot{"plain": plain, "rich": rich} {
		for name, qtype := range map[string]uint16{
			"_big._tcp.": dns.TypeSRV, "_BIG._tcp.": dns.TypePTR, "_big._TCP.": dns.TypeTXT, "big.": dns.TypeA, "instance-0007._big._tcp.": dns.TypeSRV,
		} {
			s, q, buf := newServer(t, newSource(snapshot)), pack(t, question(name+zone, qtype)), make([]byte, 0, 65535)
			if got := allocated(func() { buf = s.Answer(q, buf, dnsserver.TCP) }); got > n*most || buf[7] == 0 {
				t.Errorf("%s, %s: %d octets, %d answers", what, name, got, buf[7])
			}
		}
	}
}

// sendTCP sends a message over TCP and reads the reply.
func sendTCP(t *testing.T, addr string, msg []byte) {
	t.Helper()
	conn := dial(t, addr)
	conn.send(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
	reply := make([]byte, 2+65535)
	if _, err := io.ReadFull(conn, reply[:2]); err != nil {
		t.Error(err)
		return
	}
	if _, err := io.ReadFull(conn, reply[2:2+binary.BigEndian.Uint16(reply)]); err != nil {
		t.Error(err)
	}
}

// sendUDP sends a message as large as UDP can carry, and then a question, until that is answered.
func sendUDP(t *testing.T, addr string, msg []byte) {
	t.Helper()
	conn, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{msg, message([]byte{0xab, 0xcd}, header(flagsQuery, 1)[2:], wireQuestion(t, zone, dns.TypeSOA))} {
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	reply := make([]byte, 4096)
	for n := 0; n < 2 || reply[0] != 0xab || reply[1] != 0xcd; {
		if n, err = conn.Read(reply); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkLargeMessages prints what the largest messages cost, time and octets allocated without a buffer to reuse, in the
// order of the latter: the worst is the last.
func BenchmarkLargeMessages(b *testing.B) {
	s := largeAnswers(b)
	messages := largeMessages(b)
	cost := func(name string) uint64 { return allocated(func() { s.Answer(messages[name], nil, dnsserver.TCP) }) }
	order := slices.SortedFunc(maps.Keys(messages), func(a, b string) int { return cmp.Compare(cost(a), cost(b)) })
	for _, name := range order {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Answer(messages[name], nil, dnsserver.TCP)
			}
		})
	}
}
