//go:build linux && (amd64 || arm64)

package dnsserver_test

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/dnsreg/dnsreg/dnsserver"
)

// TestRepliesThatCannotBeSent has some of a batch go to where the kernel refuses to send: the others are sent.
func TestRepliesThatCannotBeSent(t *testing.T) {
	good := func(conn *net.UDPConn) netip.AddrPort { return conn.LocalAddr().(*net.UDPAddr).AddrPort() }
	portless := netip.MustParseAddrPort("127.0.0.1:0")
	first, second := packets(t), packets(t)
	for name, to := range map[string][]netip.AddrPort{
		"in front":   {portless, good(first), good(second)},
		"between":    {good(first), portless, portless, good(second)},
		"at the end": {good(first), good(second), portless},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, newSource())
			openBatch(t, s, packets(t)).Send([]byte("reply"), to...)
			for _, conn := range []*net.UDPConn{first, second} {
				buf := make([]byte, 16)
				if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "reply" {
					t.Errorf("%q, %v", buf[:n], err)
				}
			}
			if got, want := s.Stats().SendErrors, uint64(len(to)-2); got != want {
				t.Errorf("%d errors, want %d", got, want)
			}
		})
	}
}

// packets is an unconnected UDP socket.
func packets(tb testing.TB) *net.UDPConn {
	tb.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		tb.Fatal(err)
	}
	return conn
}

// socketPair is two connected sockets whose queues are full after some hundred datagrams, which those of UDP over
// loopback never are.
func socketPair(tb testing.TB) (server, client *net.UnixConn) {
	tb.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		tb.Fatal(err)
	}
	var conns [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "socketpair")
		c, err := net.FileConn(f)
		if err := errors.Join(err, f.Close()); err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = c.Close() })
		conns[i] = c.(*net.UnixConn)
	}
	return conns[0], conns[1]
}

// openBatch hands a socket to a loop of the server.
func openBatch(tb testing.TB, s *dnsserver.Server, conn dnsserver.SocketConn) dnsserver.Batch {
	tb.Helper()
	batch, err := s.OpenBatch(conn)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = batch.Close() })
	return batch
}

// TestSendBufferFull has a client that asks and reads nothing until replies were dropped: the server counts them, and
// goes on.
func TestSendBufferFull(t *testing.T) {
	query := message(header(flagsQuery, 1), wireQuestion(t, zone, dns.TypeSOA))
	s := newServer(t, newSource(), rate(-1, 0))
	server, client := socketPair(t)
	if err := client.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	batch := openBatch(t, s, server)
	done := closed(batch.Serve)
	sent := 0
	for ; s.Stats().SendErrors == 0; sent++ {
		if _, err := client.Write(query); err != nil {
			t.Fatalf("after %d queries: %v", sent, err)
		}
	}
	var read atomic.Int64
	reader := closed(func() {
		for buf := [512]byte{}; ; read.Add(1) {
			if _, err := client.Read(buf[:]); err != nil {
				return
			}
		}
	})
	eventually(t, "queries missing", func() bool {
		got := s.Stats()
		return total(got.Times[dnsserver.UDP]) == uint64(sent) && int(read.Load())+int(got.SendErrors) == sent
	})
	before := read.Load()
	if _, err := client.Write(query); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no more answers", func() bool { return read.Load() > before })
	if err := batch.Stop(); err != nil {
		t.Fatal(err)
	}
	<-done
	_ = client.Close()
	<-reader
}

// TestNothingWaitsAtLowRates has queries come one by one, after which the loop does not look for more, and then more than a
// batch of them at once: none may be left, since the poller tells only of what comes later.
func TestNothingWaitsAtLowRates(t *testing.T) {
	query := message(header(flagsQuery, 1), wireQuestion(t, zone, dns.TypeSOA))
	server, client := socketPair(t)
	batch := openBatch(t, newServer(t, newSource(), rate(-1, 0)), server)
	buf := make([]byte, 512)
	for _, n := range []int{1, 1, 1, dnsserver.BatchSize + 1, 1, 2, 1} {
		for range n {
			if _, err := client.Write(query); err != nil {
				t.Fatal(err)
			}
		}
		if more, err := batch.AnswerSome(); err != nil || more {
			t.Fatalf("%d queries: more %t, %v", n, more, err)
		}
		if err := client.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if _, err := client.Read(buf); err != nil {
				t.Fatalf("reply %d of %d: %v", i+1, n, err)
			}
		}
	}
}

// TestPollerUnderLoad has queries come faster than they are answered: the poller is not told of them, until they end, and
// then of what comes next.
func TestPollerUnderLoad(t *testing.T) {
	query := message(header(flagsQuery, 1), wireQuestion(t, zone, dns.TypeSOA))
	server := packets(t)
	if err := dnsserver.SetBuffers(server); err != nil {
		t.Fatal(err)
	}
	client, err := net.DialUDP("udp4", nil, server.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	batch := openBatch(t, newServer(t, newSource(), rate(-1, 0)), server)
	stop := make(chan struct{})
	flood := closed(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = client.Write(query)
			}
		}
	})
	turn := func() bool {
		watched, err := batch.Turn()
		if err != nil {
			t.Fatal(err)
		}
		return watched
	}
	eventually(t, "a turn without an end of queries", func() bool { return !turn() })
	close(stop)
	<-flood
	eventually(t, "an end of queries", turn)
	err = batch.Await(time.Now().Add(patience), func() error {
		_, err := client.Write(query)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestPollerTellsOfWhatIsThere has a query come before the poller is told of any.
func TestPollerTellsOfWhatIsThere(t *testing.T) {
	server, client := socketPair(t)
	batch := openBatch(t, newServer(t, newSource()), server)
	err := batch.Await(time.Now().Add(patience), func() error {
		_, err := client.Write([]byte("query"))
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestReplyControl(t *testing.T) {
	const (
		v4     = "1c00000000000000" + "00000000" + "08000000" + "02000000" + "7f000002" + "7f000002" + "00000000"
		v4Sent = "1c00000000000000" + "00000000" + "08000000" + "00000000" + "7f000002" + "7f000002" + "00000000"
		v6     = "2400000000000000" + "29000000" + "32000000"
		global = "20010db8000000000000000000000001"
		local  = "fe800000000000000000000000000001"
	)
	for _, tt := range []struct{ name, in, want string }{
		{"none", "", ""},
		{"IPv4", v4, v4Sent},
		{"IPv6", v6 + global + "03000000", v6 + global + "00000000"},
		{"IPv6 with what fills it up", v6 + global + "03000000" + "00000000", v6 + global + "00000000" + "00000000"},
		{"link-local", v6 + local + "03000000", v6 + local + "03000000"},
		{"both", v4 + v6 + global + "03000000", v4Sent + v6 + global + "00000000"},
		{"of another kind", "1400000000000000" + "01000000" + "1d000000" + "ffffffff", "1400000000000000" + "01000000" + "1d000000" + "ffffffff"},
		{"cut", v4[:40], v4[:40]},
		{"of no length", "0000000000000000" + "00000000" + "08000000", "0000000000000000" + "00000000" + "08000000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			control, err := hex.DecodeString(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if dnsserver.ReplyControl(control); hex.EncodeToString(control) != tt.want {
				t.Errorf("got  %x\nwant %s", control, tt.want)
			}
		})
	}
}

func TestAddrOf(t *testing.T) {
	family := func(f uint16) []byte { return binary.NativeEndian.AppendUint16(nil, f) }
	v6 := func(addr string) []byte {
		a := netip.MustParseAddr(addr).As16()
		return message(family(unix.AF_INET6), make([]byte, 6), a[:], make([]byte, 4))
	}
	for _, tt := range []struct {
		name string
		in   []byte
		want string
	}{
		{"IPv4", message(family(unix.AF_INET), []byte{0, 53, 192, 0, 2, 1}, make([]byte, 8)), "192.0.2.1"},
		{"IPv6", v6("2001:db8::1"), "2001:db8::1"},
		{"IPv4 in IPv6", v6("::ffff:192.0.2.1"), "192.0.2.1"},
		{"nothing", nil, "invalid IP"},
		{"half an IPv6", v6("2001:db8::1")[:12], "invalid IP"},
		{"another family", message(family(unix.AF_UNIX), make([]byte, 26)), "invalid IP"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := dnsserver.AddrOf(tt.in).String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestLinkLocal asks every link-local address of this machine over a socket for all addresses.
func TestLinkLocal(t *testing.T) {
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	eachLoop(t, func(t *testing.T, build maker) {
		s := start(t, build(t, newSource(), func(c *dnsserver.Config) { c.Listen = []string{":0"} }))
		for _, i := range interfaces {
			for _, addr := range linkLocal(t, i) {
				at := netip.AddrPortFrom(addr.WithZone(i.Name), s.Addrs()[0].Port())
				over(t, "udp", at.String(), question(zone, dns.TypeSOA))
			}
		}
	})
}

// linkLocal returns the link-local IPv6 addresses of an interface that is up.
func linkLocal(tb testing.TB, i net.Interface) []netip.Addr {
	tb.Helper()
	if i.Flags&net.FlagUp == 0 {
		return nil
	}
	all, err := i.Addrs()
	if err != nil {
		tb.Fatal(err)
	}
	var found []netip.Addr
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Is6() && prefix.Addr().IsLinkLocalUnicast() {
			found = append(found, prefix.Addr())
		}
	}
	return found
}
