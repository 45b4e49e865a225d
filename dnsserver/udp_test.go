package dnsserver_test

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
)

// eachLoop runs a test for the loop of this system and for that of every system. The test makes its servers with build.
func eachLoop(t *testing.T, test func(t *testing.T, build maker)) {
	t.Run("batched", func(t *testing.T) { test(t, newServer) })
	t.Run("single", func(t *testing.T) {
		test(t, func(tb testing.TB, src dnsserver.Source, change ...func(*dnsserver.Config)) *dnsserver.Server {
			s := newServer(tb, src, change...)
			s.Single()
			return s
		})
	})
}

// maker is newServer.
type maker = func(testing.TB, dnsserver.Source, ...func(*dnsserver.Config)) *dnsserver.Server

// udpConn is a connected UDP socket with room for many replies.
func udpConn(tb testing.TB, addr string) *net.UDPConn {
	tb.Helper()
	conn, err := net.DialTimeout("udp", addr, patience)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	if err := errors.Join(conn.SetDeadline(time.Now().Add(patience)), conn.(*net.UDPConn).SetReadBuffer(1<<20)); err != nil {
		tb.Fatal(err)
	}
	return conn.(*net.UDPConn)
}

// padded is a query of a given size.
func padded(tb testing.TB, size int) []byte {
	tb.Helper()
	bare := len(withOptions(tb, zone, dns.TypeSOA, wireOption(dns.EDNS0PADDING, nil)))
	return withOptions(tb, zone, dns.TypeSOA, wireOption(dns.EDNS0PADDING, make([]byte, size-bare)))
}

// TestUDPMixedDatagrams sends datagrams of every kind at once, many times over: each meets its own fate.
func TestUDPMixedDatagrams(t *testing.T) {
	good := message(header(flagsQuery, 1), wireQuestion(t, zone, dns.TypeSOA))
	longest := padded(t, dnsserver.MaxQuery)
	kinds := []struct {
		msg  []byte
		want string // "" for no reply
	}{
		{good, "NOERROR"},
		{[]byte("short"), ""},
		{nil, ""},
		{message(header(flagsQuery, 1), wireQuestion(t, "none."+zone, dns.TypeA)), "NXDOMAIN"},
		{header(0x8000, 1), ""},
		{longest, "NOERROR"},
		{padded(t, dnsserver.MaxQuery+1), "FORMERR"},
		{append(longest[:len(longest):len(longest)], 0), "FORMERR"},
		{append(header(opcode(9)), make([]byte, 60_000)...), "NOTIMP"},
		{message(header(flagsQuery, 2), wireQuestion(t, zone, dns.TypeSOA)), "FORMERR"},
	}
	eachLoop(t, func(t *testing.T, build maker) {
		const rounds = 20
		s := start(t, build(t, newSource(web(t))))
		conn := udpConn(t, s.addr)
		want, got := map[uint16]string{}, map[uint16]string{}
		for round := range rounds {
			for i, kind := range kinds {
				if id := uint16(round*len(kinds) + i); len(kind.msg) >= 2 {
					binary.BigEndian.PutUint16(kind.msg, id)
					if kind.want != "" {
						want[id] = kind.want
					}
				}
				if _, err := conn.Write(kind.msg); err != nil {
					t.Fatal(err)
				}
			}
			for len(got) < len(want) {
				r := readReply(t, conn)
				got[r.Id] = rcode(r)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		eventually(t, "datagrams missing", func() bool { return s.Stats().Dropped == 3*rounds })
		// Which are noted when the replies are out.
		eventually(t, "times missing", func() bool { return total(s.Stats().Times[dnsserver.UDP]) == uint64(rounds*len(kinds)) })
	})
}

// total is how many queries have a time.
func total(times dnsserver.Times) uint64 {
	n := uint64(0)
	for _, count := range times.Buckets {
		n += count
	}
	return n
}

func readReply(tb testing.TB, conn net.Conn) *dns.Msg {
	tb.Helper()
	b := make([]byte, 2048)
	n, err := conn.Read(b)
	if err != nil {
		tb.Fatal(err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(b[:n]); err != nil {
		tb.Fatal(err)
	}
	return m
}

// TestCutQueryHasItsQuestionBack holds that the error reply to a query that is too long is as complete as can be.
func TestCutQueryHasItsQuestionBack(t *testing.T) {
	eachLoop(t, func(t *testing.T, build maker) {
		conn := udpConn(t, start(t, build(t, newSource())).addr)
		if _, err := conn.Write(padded(t, 5000)); err != nil {
			t.Fatal(err)
		}
		r := readReply(t, conn)
		if rcode(r) != "FORMERR" || len(r.Question) != 1 || r.IsEdns0() == nil {
			t.Errorf("%v", r)
		}
	})
}

// TestUDPWindowOf1000 sends 1,000 queries before it reads a reply, from ten sockets whose buffers hold all of theirs:
// none is lost. No more than a hundred wait for the server, since its own buffer may be small.
func TestUDPWindowOf1000(t *testing.T) {
	const clients, each, rounds = 10, 100, 5
	query := message(header(flagsQuery, 1), wireQuestion(t, "_http._tcp."+zone, dns.TypeSRV))
	eachLoop(t, func(t *testing.T, build maker) {
		s := start(t, build(t, newSource(web(t))))
		var conns []*net.UDPConn
		for range clients {
			conns = append(conns, udpConn(t, s.addr))
		}
		for round := range rounds {
			for i := range each {
				eventually(t, "queries missing", func() bool { return judged(s.Stats()) > clients*(round*each+i-clients) })
				for _, conn := range conns {
					binary.BigEndian.PutUint16(query, uint16(i))
					if _, err := conn.Write(query); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, conn := range conns {
				seen := map[uint16]bool{}
				for range each {
					seen[readReply(t, conn).Id] = true
				}
				if len(seen) != each {
					t.Fatalf("replies to %d queries of %d", len(seen), each)
				}
			}
		}
	})
}

// TestUDPAllocatesNothing counts what everything in this process allocates while queries are answered, one at a time and in batches.
func TestUDPAllocatesNothing(t *testing.T) {
	const batches, batch = 100, 50
	eachLoop(t, func(t *testing.T, build maker) {
		s := start(t, build(t, newSource(web(t)), func(c *dnsserver.Config) { c.Listen = []string{":0"} }))
		conn := udpConn(t, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), s.Addrs()[0].Port()).String())
		query := message(header(flagsQuery, 1), wireQuestion(t, "_http._tcp."+zone, dns.TypeSRV))
		buf := [2048]byte{}
		ask := func() {
			for range batch {
				if _, err := conn.Write(query); err != nil {
					t.Fatal(err)
				}
			}
			for range batch {
				if _, err := conn.Read(buf[:]); err != nil {
					t.Fatal(err)
				}
			}
		}
		ask()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range batches {
			ask()
		}
		runtime.ReadMemStats(&after)
		if n := after.Mallocs - before.Mallocs; n > batches*batch/20 {
			t.Errorf("%d allocations for %d queries", n, batches*batch)
		}
	})
}

// TestStopUnderLoad stops a server that is asked all the time.
func TestStopUnderLoad(t *testing.T) {
	query := message(header(flagsQuery, 1), wireQuestion(t, zone, dns.TypeSOA))
	eachLoop(t, func(t *testing.T, build maker) {
		s := start(t, build(t, newSource()))
		conn := udpConn(t, s.addr)
		done := closed(func() {
			for {
				if _, err := conn.Write(query); errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
					return
				}
			}
		})
		eventually(t, "no answers", func() bool { return judged(s.Stats()) > 1000 })
		if err := s.stop(); err != nil {
			t.Error(err)
		}
		_ = conn.Close()
		<-done
	})
}

// closed runs f in a goroutine and returns a channel that is closed at its end.
func closed(f func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return done
}

// TestListenTwice starts servers on a port that another one has, whose sockets share it among themselves.
func TestListenTwice(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "0.0.0.0:0", ":0"} {
		s := start(t, newServer(t, newSource(), func(c *dnsserver.Config) { c.Listen, c.UDPReaders = []string{listen}, 3 }))
		if n := s.UDPSockets(); dnsserver.Batched && n != 3 {
			t.Errorf("%s: %d sockets", listen, n)
		}
		eachLoop(t, func(t *testing.T, build maker) {
			again := build(t, newSource(), func(c *dnsserver.Config) { c.Listen = []string{s.addr} })
			if err := again.Listen(); !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("%s: error %v", s.addr, err)
			}
		})
	}
}

// TestSocketsShareClients has every socket of several serve some of many clients.
func TestSocketsShareClients(t *testing.T) {
	s := start(t, newServer(t, newSource(), func(c *dnsserver.Config) { c.UDPReaders = 4 }))
	for range 64 {
		over(t, "udp", s.addr, question(zone, dns.TypeSOA))
	}
	if busy := s.BusyWorkers(); dnsserver.Batched && busy != 4 {
		t.Errorf("%d workers had something to do", busy)
	}
}

// TestTimeBounds puts times beside the bounds of buckets.
func TestTimeBounds(t *testing.T) {
	for _, tt := range []struct {
		in   time.Duration
		want int
	}{
		{0, 0},
		{1, 0},
		{dnsserver.TimeBound(0) - 1, 0},
		{dnsserver.TimeBound(0), 1},
		{2*dnsserver.TimeBound(0) - 1, 1},
		{time.Millisecond, 9},
		{dnsserver.TimeBound(dnsserver.TimeBuckets-2) - 1, dnsserver.TimeBuckets - 2},
		{dnsserver.TimeBound(dnsserver.TimeBuckets - 2), dnsserver.TimeBuckets - 1},
		{time.Hour, dnsserver.TimeBuckets - 1},
	} {
		want := dnsserver.Times{Sum: 3 * tt.in}
		want.Buckets[tt.want] = 3
		if got := dnsserver.TimesOf(3, tt.in); got != want {
			t.Errorf("%v: %+v", tt.in, got)
		}
	}
}
