package dnsserver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/store"
)

// patience bounds every wait for something that is expected to happen.
const patience = 10 * time.Second

// running is a server that serves on loopback until the test ends.
type running struct {
	*dnsserver.Server
	addr string
	stop func() error // ends Run and returns its error
}

func start(tb testing.TB, s *dnsserver.Server) running {
	tb.Helper()
	if err := s.Listen(); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stopped := false
	stop := func() error {
		cancel()
		if stopped {
			return nil
		}
		stopped = true
		select {
		case err := <-ended:
			return err
		case <-time.After(patience):
			return errors.New("run does not return")
		}
	}
	tb.Cleanup(func() {
		if err := stop(); err != nil {
			tb.Error(err)
		}
	})
	return running{Server: s, addr: s.Addrs()[0].String(), stop: stop}
}

// over asks through a socket.
func over(tb testing.TB, network, addr string, m *dns.Msg) *dns.Msg {
	tb.Helper()
	client := dns.Client{Net: network, Timeout: patience, UDPSize: 4096}
	r, _, err := client.Exchange(m, addr)
	if err != nil {
		tb.Fatalf("%s %s: %v", network, addr, err)
	}
	return r
}

func TestT1UDPAndTCP(t *testing.T) {
	s := start(t, newServer(t, newSource(web(t))))
	for _, network := range []string{"tcp", "udp"} {
		if r := over(t, network, s.addr, question("_http._tcp."+zone, dns.TypeSRV)); len(r.Answer) != 2 {
			t.Errorf("%s: %v", network, r)
		}
	}
}

func TestT8TruncatedThenTCP(t *testing.T) {
	s := start(t, newServer(t, newSource(many(t, "_big._tcp", 150))))
	m := edns(question("_big._tcp."+zone, dns.TypeSRV), 4096)
	if r := over(t, "udp", s.addr, m); !r.Truncated || len(r.Answer) != 0 {
		t.Errorf("over UDP: %v", r.MsgHdr)
	}
	if r := over(t, "tcp", s.addr, m); r.Truncated || len(r.Answer) != 150 {
		t.Errorf("over TCP: %v, %d answers", r.MsgHdr, len(r.Answer))
	}
}

// TestB21 relies on connected sockets, which take replies from the address they are connected to and no other.
func TestB21RepliesLeaveFromTheAddressAsked(t *testing.T) {
	eachLoop(t, func(t *testing.T, build maker) {
		for _, listen := range []string{":0", "0.0.0.0:0"} {
			s := start(t, build(t, newSource(web(t)), func(c *dnsserver.Config) { c.Listen = []string{listen} }))
			port := s.Addrs()[0].Port()
			hosts := []string{"127.0.0.1", "127.0.0.2", "127.1.2.3", "127.0.0.1"}
			if s.Addrs()[0].Addr().Is6() {
				hosts = append(hosts, "::1")
			}
			for _, host := range hosts {
				addr := netip.AddrPortFrom(netip.MustParseAddr(host), port).String()
				for range 2 { // the second time from what is remembered
					if r := over(t, "udp", addr, question(zone, dns.TypeSOA)); len(r.Answer) != 1 {
						t.Errorf("%s: %v", addr, r)
					}
				}
				over(t, "tcp", addr, question(zone, dns.TypeSOA))
			}
		}
	})
}

func TestListenSeveralAddresses(t *testing.T) {
	s := start(t, newServer(t, newSource(web(t)), func(c *dnsserver.Config) { c.Listen = []string{"127.0.0.1:0", "127.0.0.2:0"} }))
	if n := len(s.Addrs()); n != 2 {
		t.Fatalf("%d addresses", n)
	}
	if err := s.Listen(); err != nil || len(s.Addrs()) != 2 {
		t.Errorf("listening again: %v, %v", err, s.Addrs())
	}
	for i, want := range []string{"127.0.0.1", "127.0.0.2"} {
		addr := s.Addrs()[i]
		if addr.Addr().String() != want || addr.Port() == 0 {
			t.Errorf("address %d: %v", i, addr)
		}
		over(t, "udp", addr.String(), question(zone, dns.TypeSOA))
		over(t, "tcp", addr.String(), question(zone, dns.TypeSOA))
		r := over(t, "udp", addr.String(), question("ns1."+zone, dns.TypeA))
		if len(r.Answer) != 2 {
			t.Errorf("addresses of ns1: %v", r.Answer)
		}
	}
}

func TestListenOnATakenPort(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		addr, release := take(t, network)
		s := newServer(t, newSource(), func(c *dnsserver.Config) { c.Listen = []string{"127.0.0.1:0", addr} })
		err := s.Listen()
		if !errors.Is(err, syscall.EADDRINUSE) || !strings.HasPrefix(err.Error(), "listen "+network+" "+addr+": ") {
			t.Errorf("error %v", err)
		}
		if len(s.Addrs()) != 0 {
			t.Errorf("bound all the same: %v", s.Addrs())
		}
		if err := s.Run(context.Background()); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("run: %v", err)
		}
		release()
		if err := s.Listen(); err != nil {
			t.Errorf("after the port is free: %v", err)
		}
		start(t, s)
	}
}

// take occupies a port for one transport that is free for the other, at an address at which nobody else looks for any.
func take(tb testing.TB, network string) (addr string, release func()) {
	tb.Helper()
	for range 100 {
		c, err := net.ListenPacket("udp", "127.0.53.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		addr := c.LocalAddr().String()
		l, err := net.Listen("tcp", addr)
		if err != nil { // some connection still has it
			_ = c.Close()
			continue
		}
		if network == "tcp" {
			_ = c.Close()
			return addr, func() { _ = l.Close() }
		}
		_ = l.Close()
		return addr, func() { _ = c.Close() }
	}
	tb.Fatal("no port is free for UDP and TCP")
	return "", nil
}

func TestRunClosesItsSockets(t *testing.T) {
	first := start(t, newServer(t, newSource()))
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	start(t, newServer(t, newSource(), func(c *dnsserver.Config) { c.Listen = []string{first.addr} }))
}

// gate is a source that holds every query until it is opened.
type gate struct {
	*source
	entered chan struct{}
	open    chan struct{}
}

func (g gate) View() *store.View {
	g.entered <- struct{}{}
	<-g.open
	return g.source.View()
}

func TestRunFinishesWhatIsInHand(t *testing.T) {
	eachLoop(t, func(t *testing.T, build maker) {
		for _, network := range []string{"udp", "tcp"} {
			finishesWhatIsInHand(t, build, network)
		}
	})
}

// finishesWhatIsInHand stops a server while it is answering.
func finishesWhatIsInHand(t *testing.T, newServer maker, network string) {
	g := gate{newSource(web(t)), make(chan struct{}), make(chan struct{})}
	s := start(t, newServer(t, g))
	conn, err := dns.DialTimeout(network, s.addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.WriteMsg(question(zone, dns.TypeSOA)); err != nil {
		t.Fatal(err)
	}
	<-g.entered
	ended := make(chan error, 1)
	go func() { ended <- s.stop() }()
	close(g.open)
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if r, err := conn.ReadMsg(); err != nil || len(r.Answer) != 1 {
		t.Errorf("%s: reply %v, %v", network, r, err)
	}
	if err := <-ended; err != nil {
		t.Errorf("%s: %v", network, err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := time.Now()
		wait := 300 * time.Millisecond
		for range 3 {
			wait = dnsserver.Pause(t.Context(), wait)
		}
		if waited := time.Since(from); wait != time.Second || waited != 1900*time.Millisecond {
			t.Errorf("waited %v, the next wait is %v", waited, wait)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if dnsserver.Pause(ended, time.Hour); time.Since(from) > time.Hour {
			t.Error("waited although the context had ended")
		}
	})
}

// TestUDPManyClients has clients ask at the same time, with datagrams between the queries that are none.
func TestUDPManyClients(t *testing.T) {
	eachLoop(t, func(t *testing.T, build maker) {
		const clients, queries = 8, 50
		s := start(t, build(t, newSource(web(t))))
		var wg sync.WaitGroup
		for range clients {
			wg.Go(func() {
				conn, err := dns.DialTimeout("udp", s.addr, patience)
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = conn.Close() }()
				_ = conn.SetDeadline(time.Now().Add(patience))
				for range queries {
					m := question("_http._tcp."+zone, dns.TypeSRV)
					_, garbage := conn.Conn.Write([]byte("no query"))
					if err := errors.Join(garbage, conn.WriteMsg(m)); err != nil {
						t.Error(err)
						return
					}
					if r, err := conn.ReadMsg(); err != nil || r.Id != m.Id || len(r.Answer) != 2 {
						t.Errorf("%v, %v", r, err)
						return
					}
				}
			})
		}
		wg.Wait()
		eventually(t, "datagrams missing", func() bool { return s.Stats().Dropped == clients*queries })
		got := s.Stats()
		if got.SendErrors != 0 || len(got.Requests) != 1 || got.Requests[0].Count != clients*queries {
			t.Errorf("%+v", got)
		}
	})
}

// TestSockets serves on sockets that the test has bound, by one worker and by several, and closes them at the end.
func TestSockets(t *testing.T) {
	for _, readers := range []int{1, 2} {
		t.Run(fmt.Sprint(readers), func(t *testing.T) { testSockets(t, readers) })
	}
}

func testSockets(t *testing.T, readers int) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	for range 16 {
		if err == nil {
			break
		}
		_ = tcp.Close() // taken for UDP
		if tcp, err = net.Listen("tcp", "127.0.0.1:0"); err == nil {
			udp, err = net.ListenPacket("udp", tcp.Addr().String())
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, newSource(web(t)), func(c *dnsserver.Config) {
		c.UDPReaders = readers
		c.Listen, c.Sockets = nil, []dnsserver.Sockets{{UDP: udp.(*net.UDPConn), TCP: tcp.(*net.TCPListener)}}
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for _, network := range []string{"udp", "tcp"} {
		client := dns.Client{Net: network, Timeout: patience}
		r, _, err := client.Exchange(question("_http._tcp."+zone, dns.TypeSRV), tcp.Addr().String())
		if err != nil || len(r.Answer) != 2 {
			t.Errorf("%s: %v, %v", network, r, err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	again, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		t.Errorf("the UDP socket is left open: %v", err)
	} else if err := again.Close(); err != nil {
		t.Error(err)
	}
	lookups(t, s, []lookup{{"ns1." + zone, dns.TypeA, []string{"127.0.0.1"}}})
}

// TestSocketsMustBePairs refuses sockets of different addresses, half pairs, and addresses beside sockets.
func TestSocketsMustBePairs(t *testing.T) {
	listen := func() *net.TCPListener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l.(*net.TCPListener)
	}
	udp, err := net.ListenPacket("udp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	_, err = dnsserver.New(dnsserver.Config{
		Zones: []dnsserver.Zone{{Name: zone, Source: newSource()}}, Listen: []string{"127.0.0.1:0"},
		Sockets: []dnsserver.Sockets{{TCP: listen()}, {UDP: udp.(*net.UDPConn), TCP: listen()}},
	})
	for _, want := range []string{"Listen ", "Sockets[0] ", "Sockets[1] "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}
