package redistest_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/internal/redistest"
)

// soon bounds what has to happen.
const soon = 10 * time.Second

// eventually polls until done holds, and ends the test if it does not soon.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(soon); !done(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", soon, what)
		}
	}
}

// echo serves connections that send back what they get, and returns its address.
func echo(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().String()
}

func connect(t testing.TB, p *redistest.Proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// roundTrip sends text and reads as much back, within a bound.
func roundTrip(conn net.Conn, text string, bound time.Duration) (string, error) {
	if _, err := conn.Write([]byte(text)); err != nil {
		return "", err
	}
	if err := conn.SetReadDeadline(time.Now().Add(bound)); err != nil {
		return "", err
	}
	buf := make([]byte, len(text))
	n, err := io.ReadFull(conn, buf)
	return string(buf[:n]), err
}

func isTimeout(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) && netErr.Timeout()
}

func TestProxyPasses(t *testing.T) {
	p := redistest.NewProxy(t, echo(t))
	conn := connect(t, p)
	big := string(bytes.Repeat([]byte("0123456789abcdef"), 16<<10))
	for _, text := range []string{"a", "hello", big} {
		if got, err := roundTrip(conn, text, soon); err != nil || got != text {
			t.Errorf("%d bytes: got %d, %v", len(text), len(got), err)
		}
	}
	if p.Conns() != 1 {
		t.Errorf("%d connections, want 1", p.Conns())
	}
}

func TestProxyDelays(t *testing.T) {
	const delay = 60 * time.Millisecond
	tests := []struct {
		name string
		way  redistest.Direction
		want time.Duration
	}{
		{"to the server", redistest.ToServer, delay},
		{"to the client", redistest.ToClient, delay},
		{"both", redistest.Both, 2 * delay},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := redistest.NewProxy(t, echo(t))
			conn := connect(t, p)
			p.Delay(tt.way, delay)
			begin := time.Now()
			if _, err := roundTrip(conn, "x", soon); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begin); took < tt.want {
				t.Errorf("took %v, want at least %v", took, tt.want)
			}
		})
	}
}

// A delay is latency: many bytes under way take no longer than few.
func TestProxyDelayIsNoLimit(t *testing.T) {
	const delay, tries = 100 * time.Millisecond, 10
	p := redistest.NewProxy(t, echo(t))
	p.Delay(redistest.ToServer, delay)
	conn, best := connect(t, p), soon
	for try := 0; try < tries && best > 8*delay; try++ { // one of them meets a machine that does not stall
		best = min(best, tenBytes(t, conn))
	}
	if best < delay || best > 8*delay {
		t.Errorf("ten bytes one by one took %v, want the delay once", best)
	}
}

// tenBytes sends ten bytes one by one, and returns how long they took to come back.
func tenBytes(t testing.TB, conn net.Conn) time.Duration {
	t.Helper()
	begin := time.Now()
	for range 10 {
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.ReadFull(conn, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	return time.Since(begin)
}

func TestProxyLimits(t *testing.T) {
	p := redistest.NewProxy(t, echo(t))
	p.Limit(redistest.ToClient, 100_000)
	begin := time.Now()
	if _, err := roundTrip(connect(t, p), string(make([]byte, 20_000)), soon); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < 190*time.Millisecond {
		t.Errorf("20 kB at 100 kB/s took %v, want 200 ms", took)
	}
}

func TestProxyHolds(t *testing.T) {
	p := redistest.NewProxy(t, echo(t))
	conn := connect(t, p)
	p.Hold(redistest.ToServer)
	if got, err := roundTrip(conn, "x", 50*time.Millisecond); !isTimeout(err) {
		t.Fatalf("held, but got %q, %v", got, err)
	}
	heal(t, p)
	if got, err := roundTrip(conn, "y", soon); err != nil || got != "x" {
		t.Errorf("healed: got %q, %v; want the held x", got, err)
	}
}

func heal(t testing.TB, p *redistest.Proxy) {
	t.Helper()
	if err := p.Heal(); err != nil {
		t.Fatal(err)
	}
}

func TestProxyDrops(t *testing.T) {
	for _, way := range []redistest.Direction{redistest.ToServer, redistest.ToClient} {
		p := redistest.NewProxy(t, echo(t))
		old := connect(t, p)
		if _, err := roundTrip(old, "a", soon); err != nil {
			t.Fatal(err)
		}
		p.Drop(way)
		for _, conn := range []net.Conn{old, connect(t, p)} {
			if got, err := roundTrip(conn, "x", 50*time.Millisecond); !isTimeout(err) {
				t.Errorf("dropping, but got %q, %v", got, err)
			}
		}
		eventually(t, "both have lost bytes", func() bool { return p.Lossy() == 2 })
		heal(t, p)
		if _, err := roundTrip(old, "y", soon); err == nil || isTimeout(err) {
			t.Errorf("a connection that lost bytes: %v, want it reset", err)
		}
		if got, err := roundTrip(connect(t, p), "z", soon); err != nil || got != "z" {
			t.Errorf("healed: %q, %v", got, err)
		}
	}
}

// A peer that goes away behind a partition is not heard to go.
func TestProxyDropHidesTheEnd(t *testing.T) {
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s.Addr())
	conn := connect(t, p)
	if got, err := roundTrip(conn, "PING\r\n\r\n"[:7], soon); err != nil { // as long as its reply
		t.Fatal(got, err)
	}
	p.Drop(redistest.Both)
	s.Kill()
	if got, err := roundTrip(conn, "x", 100*time.Millisecond); !isTimeout(err) {
		t.Errorf("got %q, %v; want silence", got, err)
	}
}

func TestProxyRefuses(t *testing.T) {
	p := redistest.NewProxy(t, echo(t))
	old := connect(t, p)
	if _, err := roundTrip(old, "x", soon); err != nil { // so that the proxy has accepted it
		t.Fatal(err)
	}
	p.Refuse()
	if conn, err := net.Dial("tcp", p.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: %v, %v; want it refused", conn, err)
	}
	if _, err := roundTrip(old, "x", soon); err != nil {
		t.Errorf("the old connection: %v", err)
	}
	heal(t, p)
	if _, err := roundTrip(connect(t, p), "x", soon); err != nil {
		t.Errorf("healed: %v", err)
	}
}

func TestProxyResets(t *testing.T) {
	p := redistest.NewProxy(t, echo(t))
	conn := connect(t, p)
	if _, err := roundTrip(conn, "x", soon); err != nil {
		t.Fatal(err)
	}
	p.Reset()
	if _, err := io.ReadFull(conn, make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: %v, want ECONNRESET", err)
	}
	if _, err := roundTrip(connect(t, p), "x", soon); err != nil {
		t.Errorf("the next connection: %v", err)
	}
}

func TestProxyCuts(t *testing.T) {
	for _, tt := range []struct {
		way  redistest.Direction
		want string
	}{{redistest.ToClient, "hel"}, {redistest.ToServer, ""}} {
		p := redistest.NewProxy(t, echo(t))
		p.Cut(tt.way, 3)
		got, err := roundTrip(connect(t, p), "hello", soon)
		if err == nil || isTimeout(err) || len(got) > 3 {
			t.Errorf("cut after 3 bytes: %q, %v", got, err)
		}
		if tt.way == redistest.ToClient && got != tt.want {
			t.Errorf("cut to the client: got %q, want %q first", got, tt.want)
		}
		if _, err := roundTrip(connect(t, p), "hello", soon); err != nil {
			t.Errorf("the cut is made once, but: %v", err)
		}
	}
}

func TestProxyBoundsConnections(t *testing.T) {
	p := redistest.NewProxy(t, echo(t))
	for range redistest.MaxConns {
		if _, err := roundTrip(connect(t, p), "x", soon); err != nil {
			t.Fatal(err)
		}
	}
	if err := exchange(p, "x"); err == nil || isTimeout(err) {
		t.Errorf("one connection too many: %v, want it reset", err)
	}
}

func TestProxyWithoutTarget(t *testing.T) {
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s.Addr())
	s.Kill()
	if err := exchange(p, "PING\r\n"); err == nil || isTimeout(err) {
		t.Errorf("the target is down, but the client sees %v", err)
	}
}

// exchange makes one round trip on a new connection, whose dialing may already meet a reset.
func exchange(p *redistest.Proxy, text string) error {
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = roundTrip(conn, text, soon)
	return err
}
