package dnsserver_test

import (
	"bytes"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
)

// TestT5EarlierDeadlinesPass has the times for a message's rest and for its reply pass while a connection is idle: they
// mean nothing for the queries that follow.
func TestT5EarlierDeadlinesPass(t *testing.T) {
	const message, rounds = 2 * time.Second, 2
	s := start(t, newServer(t, newSource(), func(c *dnsserver.Config) { c.IdleTimeout, c.MessageTimeout = time.Minute, message }))
	conn := dial(t, s.addr)
	q := framed(t, question(zone, dns.TypeSOA))
	for range rounds {
		eventually(t, "the connection is not idle", func() bool { return s.IdleConns() == 1 })
		conn.send(q[:5])
		eventually(t, "the beginning was not read", func() bool { return s.IdleConns() == 0 })
		conn.send(q[5:])
		conn.receive()
		<-time.After(message + message/4)
		conn.works()
	}
	eventually(t, "times missing", func() bool { return total(s.Stats().Times[dnsserver.TCP]) == 2*rounds })
}

// TestT5RepliesNotTaken has a client ask and read nothing more after a first reply: its connection ends.
func TestT5RepliesNotTaken(t *testing.T) {
	const message = 300 * time.Millisecond
	s := start(t, newServer(t, newSource(many(t, "_big._tcp", 800)), func(c *dnsserver.Config) {
		c.IdleTimeout, c.MessageTimeout = time.Minute, message
	}))
	conn := dial(t, s.addr)
	if err := conn.SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	conn.works()
	from := time.Now()
	q := bytes.Repeat(framed(t, question("_big._tcp."+zone, dns.TypeSRV)), 100)
	for err := error(nil); err == nil; { // until the server has closed the connection
		_, err = conn.Write(q)
	}
	if waited := time.Since(from); waited < message/2 || waited > patience-time.Second {
		t.Errorf("ended after %v", waited)
	}
	eventually(t, "connection still counted", func() bool { return s.Stats().TCPOpen == 0 })
	if n := s.Stats().SendErrors; n != 1 {
		t.Errorf("%d errors", n)
	}
}

// TestTCPAllocatesNothing, for a query, counts what everything in this process allocates while pipelined queries are answered.
func TestTCPAllocatesNothing(t *testing.T) {
	const batches, batch = 100, 200
	s := start(t, newServer(t, newSource(web(t))))
	conn := dial(t, s.addr)
	one := framed(t, question("_http._tcp."+zone, dns.TypeSRV))
	all := bytes.Repeat(one, batch)
	replies := make([]byte, (2+len(s.Answer(one[2:], nil, dnsserver.TCP)))*batch)
	ask := func() {
		conn.send(all)
		if _, err := io.ReadFull(conn, replies); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range batches {
		ask()
	}
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; n > batches*batch/5 { // the race detector has pools lose a quarter of what they get
		t.Errorf("%d allocations for %d queries", n, batches*batch)
	}
}
