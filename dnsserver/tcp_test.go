package dnsserver_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
)

// stream is a raw TCP connection to a server.
type stream struct {
	testing.TB
	*net.TCPConn
}

func dial(tb testing.TB, addr string) stream {
	tb.Helper()
	return dialFrom(tb, nil, addr)
}

// dialFrom connects from an address of the caller's choice, any for nil.
func dialFrom(tb testing.TB, from net.IP, addr string) stream {
	tb.Helper()
	dialer := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: from}}
	conn, err := dialer.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		tb.Fatal(err)
	}
	return stream{tb, conn.(*net.TCPConn)}
}

// framed puts the length in front of a message.
func framed(tb testing.TB, m *dns.Msg) []byte {
	b := pack(tb, m)
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

func (s stream) send(b []byte) {
	s.Helper()
	if _, err := s.Write(b); err != nil {
		s.Fatal(err)
	}
}

func (s stream) receive() *dns.Msg {
	s.Helper()
	var length [2]byte
	if _, err := io.ReadFull(s, length[:]); err != nil {
		s.Fatal(err)
	}
	b := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(s, b); err != nil {
		s.Fatal(err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		s.Fatal(err)
	}
	return m
}

// ended waits until the server has closed the connection.
func (s stream) ended() {
	s.Helper()
	n, err := s.Read(make([]byte, 1))
	if n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		s.Fatalf("%d octets, error %v; want the end", n, err)
	}
}

// works asks one question.
func (s stream) works() {
	s.Helper()
	s.send(framed(s, question(zone, dns.TypeSOA)))
	if r := s.receive(); len(r.Answer) != 1 {
		s.Fatalf("%v", r)
	}
}

func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if ok() {
			return
		}
	}
	tb.Fatal(what)
}

func TestT2PipelinedQueries(t *testing.T) {
	s := start(t, newServer(t, newSource(web(t), many(t, "_big._tcp", 50))))
	const n = 300
	var all []byte
	for id := range n {
		m := question("_http._tcp."+zone, dns.TypeSRV)
		if id%10 == 0 {
			m = question("_big._tcp."+zone, dns.TypeSRV)
		}
		m.Id = uint16(id)
		all = append(all, framed(t, m)...)
	}
	conn := dial(t, s.addr)
	go func() { _, _ = conn.Write(all) }()
	seen := map[uint16]bool{}
	for range n {
		r := conn.receive()
		if seen[r.Id] || len(r.Answer) == 0 {
			t.Fatalf("reply %d: %v", r.Id, r.MsgHdr)
		}
		seen[r.Id] = true
	}
	conn.works()
}

func TestT3ConnectionsDoNotWaitForEachOther(t *testing.T) {
	s := start(t, newServer(t, newSource(web(t))))
	slow := dial(t, s.addr)
	q := framed(t, question(zone, dns.TypeSOA))
	slow.send(q[:7])
	dial(t, s.addr).works()
	over(t, "udp", s.addr, question(zone, dns.TypeSOA))
	slow.send(q[7:])
	if r := slow.receive(); len(r.Answer) != 1 {
		t.Errorf("%v", r)
	}
}

func TestT4SplitMessages(t *testing.T) {
	s := start(t, newServer(t, newSource(web(t))))
	conn := dial(t, s.addr)
	if err := conn.SetNoDelay(true); err != nil {
		t.Fatal(err)
	}
	q := framed(t, question("_http._tcp."+zone, dns.TypeSRV))
	conn.works()
	eventually(t, "the connection is not idle", func() bool { return s.IdleConns() == 1 })
	conn.send(q[:7])
	eventually(t, "the beginning was not read", func() bool { return s.IdleConns() == 0 })
	for _, c := range q[7:] {
		conn.send([]byte{c})
	}
	// Length and body were one write, so that one read gets them.
	b := make([]byte, 65537)
	n, err := conn.Read(b)
	if err != nil || n != 2+int(binary.BigEndian.Uint16(b)) {
		t.Errorf("%d octets, error %v", n, err)
	}
}

func TestT4LargeQueries(t *testing.T) {
	s := start(t, newServer(t, newSource(web(t))))
	conn := dial(t, s.addr)
	for _, size := range []int{5000, 65000} {
		m := edns(question(zone, dns.TypeSOA), 1232)
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_PADDING{Padding: make([]byte, size)})
		conn.send(framed(t, m))
		if r := conn.receive(); len(r.Answer) != 1 {
			t.Errorf("query of %d octets: %v", size, r)
		}
		conn.works()
	}
}

func TestT5Timeouts(t *testing.T) {
	const short, long = 150 * time.Millisecond, time.Hour
	const enough = 2 * time.Second // for a query to come, on a machine that stumbles
	partial := func(c stream) { c.send([]byte{0, 40}) }
	for _, tt := range []struct {
		name          string
		idle, message time.Duration
		act           func(stream)
	}{
		{"idle from the start", short, long, func(stream) {}},
		{"idle after a query", enough, long, stream.works},
		{"part of a message", long, short, partial},
		{"part of a message after a query", long, short, func(c stream) { c.works(); partial(c) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, newServer(t, newSource(), func(c *dnsserver.Config) { c.IdleTimeout, c.MessageTimeout = tt.idle, tt.message }))
			from := time.Now()
			conn := dial(t, s.addr)
			tt.act(conn)
			conn.ended()
			if waited := time.Since(from); waited < min(tt.idle, tt.message) {
				t.Errorf("closed after %v", waited)
			}
			eventually(t, "connection still counted", func() bool { return s.Stats().TCPOpen == 0 })
		})
	}
}

func TestT5EachMessageStartsTheIdleTimeAnew(t *testing.T) {
	const idle = 2 * time.Second
	s := start(t, newServer(t, newSource(), func(c *dnsserver.Config) { c.IdleTimeout = idle }))
	conn := dial(t, s.addr)
	tick := time.NewTicker(idle / 8)
	defer tick.Stop()
	for from := time.Now(); time.Since(from) < 2*idle; <-tick.C {
		conn.works()
	}
}

func TestT6ManyConnections(t *testing.T) {
	s := start(t, newServer(t, newSource()))
	var open []stream
	for range 200 {
		c := dial(t, s.addr)
		c.works()
		open = append(open, c)
	}
	for _, c := range open {
		c.works()
	}
	if got := s.Stats(); got.TCPOpen != 200 || got.TCPAccepted != 200 || got.TCPEvicted+got.TCPRefused != 0 {
		t.Errorf("%+v", got)
	}
}

func TestT6OldestIdleMakesRoom(t *testing.T) {
	for _, tc := range []struct {
		name    string
		clients []net.IP
		limit   func(*dnsserver.Config)
	}{
		{"of all", []net.IP{{127, 0, 0, 1}, {127, 0, 0, 2}, {127, 0, 0, 3}, {127, 0, 0, 4}}, func(c *dnsserver.Config) { c.MaxTCPConns = 3 }},
		{"of one address", slices.Repeat([]net.IP{{127, 0, 0, 1}}, 4), func(c *dnsserver.Config) { c.MaxTCPConnsPerAddr = 3 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := start(t, newServer(t, newSource(), tc.limit))
			a, b, c := dialFrom(t, tc.clients[0], s.addr), dialFrom(t, tc.clients[1], s.addr), dialFrom(t, tc.clients[2], s.addr)
			for _, conn := range []stream{a, b, c, a} { // b is the one that waits longest
				conn.works()
				eventually(t, "connections not idle", func() bool { return s.IdleConns() == 3 })
			}
			d := dialFrom(t, tc.clients[3], s.addr)
			d.works()
			b.ended()
			for _, conn := range []stream{a, c, d} {
				conn.works()
			}
			if got := s.Stats(); got.TCPOpen != 3 || got.TCPEvicted != 1 || got.TCPAccepted != 4 {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestT6BusyConnectionsAreKept(t *testing.T) {
	s := start(t, newServer(t, newSource(), func(c *dnsserver.Config) { c.MaxTCPConns, c.MessageTimeout = 2, time.Minute }))
	q := framed(t, question(zone, dns.TypeSOA))
	busy := []stream{dial(t, s.addr), dial(t, s.addr)}
	for _, c := range busy {
		c.send(append(q[:len(q):len(q)], q[:5]...)) // a message has begun
		c.receive()
	}
	dial(t, s.addr).ended()
	for _, c := range busy {
		c.send(q[5:])
		c.receive()
	}
	if got := s.Stats(); got.TCPRefused != 1 || got.TCPEvicted != 0 {
		t.Errorf("%+v", got)
	}
}

func TestT7HalfClosedConnections(t *testing.T) {
	s := start(t, newServer(t, newSource(web(t))))
	conn := dial(t, s.addr)
	q := framed(t, question(zone, dns.TypeSOA))
	conn.send(append(q[:len(q):len(q)], q...))
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	conn.receive()
	conn.receive()
	conn.ended()
}

func TestT7ClientsThatLeave(t *testing.T) {
	s := start(t, newServer(t, newSource(many(t, "_big._tcp", 500))))
	q := framed(t, question("_big._tcp."+zone, dns.TypeSRV))
	parts := [][]byte{nil, q[:1], q[:9], q, append(q[:len(q):len(q)], q...)}
	for _, part := range parts {
		conn := dial(t, s.addr)
		conn.send(part)
		if err := conn.SetLinger(0); err != nil { // closing resets the connection
			t.Fatal(err)
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "connections still open", func() bool {
		got := s.Stats()
		return got.TCPAccepted == uint64(len(parts)) && got.TCPOpen == 0
	})
	dial(t, s.addr).works()
}

func TestTCPGarbageEndsTheConnection(t *testing.T) {
	s := start(t, newServer(t, newSource()))
	q := framed(t, question(zone, dns.TypeSOA))
	for name, garbage := range map[string][]byte{
		"an empty message":    {0, 0},
		"less than a header":  {0, 3, 1, 2, 3},
		"a response":          append([]byte{0, 12}, header(0x8000)...),
		"a length and no end": {0xff, 0xff},
	} {
		conn := dial(t, s.addr)
		conn.send(append(q[:len(q):len(q)], garbage...))
		if r := conn.receive(); len(r.Answer) != 1 {
			t.Errorf("%s: the query before it: %v", name, r)
		}
		if name == "a length and no end" {
			if err := conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
		}
		conn.ended()
	}
}

// TestStopDoesNotWaitForSlowReaders has a client that takes no replies, so that the server's writes block.
func TestStopDoesNotWaitForSlowReaders(t *testing.T) {
	s := start(t, newServer(t, newSource(many(t, "_big._tcp", 800)), func(c *dnsserver.Config) {
		c.MessageTimeout, c.StopTimeout = time.Hour, 100*time.Millisecond
	}))
	conn := dial(t, s.addr)
	q := framed(t, question("_big._tcp."+zone, dns.TypeSRV))
	if err := conn.SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetWriteDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for err := error(nil); err == nil; { // until it does not read any more
		_, err = conn.Write(q)
	}
	idle := dial(t, s.addr)
	idle.works()
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	idle.ended()
}
