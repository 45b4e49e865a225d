package dnsserver_test

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
)

// stallEnv is set for a process that has the clients' ends of stalled connections: there are not files enough for both
// ends in one. It names the server, the number of connections and what to send on each, in hex.
const stallEnv = "DNSSERVER_TEST_STALL"

// stall does what stallEnv says, writes a line when all connections are open, and keeps them until its input ends.
func stall(what string) error {
	var addr, text string
	var n int
	if _, err := fmt.Sscan(what, &addr, &n, &text); err != nil {
		return err
	}
	part, err := hex.DecodeString(text)
	if err != nil {
		return err
	}
	open := make([]net.Conn, n)
	for i := range open {
		if open[i], err = net.DialTimeout("tcp", addr, patience); err != nil {
			return err
		}
		if _, err := open[i].Write(part); err != nil {
			return err
		}
	}
	fmt.Println("open")
	_, err = io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(open)
	return err
}

// stalled has another process open n connections that send part of a message and no more, until the test ends.
func stalled(tb testing.TB, addr string, n int, part []byte) {
	tb.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), stallEnv+"="+addr+" "+strconv.Itoa(n)+" "+hex.EncodeToString(part))
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		tb.Fatalf("%d connections are not open: %q, %v", n, line, err)
	}
}

// stallable is how many connections there are to be: 10,000, or what this process may open.
func stallable(tb testing.TB) int {
	tb.Helper()
	const most, others = 10_000, 100
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		tb.Fatal(err)
	}
	return min(most, int(min(limit.Cur, most+others))-others)
}

// TestT6StalledConnections has clients that send half a message on as many connections as there may be: UDP goes on being
// answered, each costs little memory, and a new client is served.
func TestT6StalledConnections(t *testing.T) {
	n := stallable(t)
	s := start(t, newServer(t, newSource(web(t)), func(c *dnsserver.Config) {
		c.MaxTCPConns, c.MaxTCPConnsPerAddr, c.IdleTimeout, c.StopTimeout = n, n, time.Hour, time.Millisecond
		c.MessageTimeout = 30 * time.Second // to open all before the first times out
	}))
	before := memory()
	stalled(t, s.addr, n, framed(t, question(zone, dns.TypeSOA))[:9])
	eventually(t, "not all connections are open", func() bool { return s.Stats().TCPOpen == n })
	perConn := (memory() - before) / int64(n)

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
	t.Logf("%d stalled connections: %d octets each, UDP p50 %v p99 %v, a new client after %v", n, perConn, waited[100], waited[198], time.Since(from))
	if perConn > 64<<10 {
		t.Errorf("%d octets for each connection", perConn)
	}
	if got := s.Stats(); got.TCPOpen > n || got.TCPEvicted == 0 {
		t.Errorf("%d connections open, %d evicted", got.TCPOpen, got.TCPEvicted)
	}
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
func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
