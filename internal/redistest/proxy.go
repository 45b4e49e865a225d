package redistest

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Direction is one way through a [Proxy], or both.
type Direction uint8

const (
	// ToServer is what clients send.
	ToServer Direction = 1 << iota
	// ToClient is what the server sends.
	ToClient
	// Both is ToServer and ToClient.
	Both = ToServer | ToClient
)

// maxConns bounds the connections of one proxy; the next is closed as soon as it is accepted.
const maxConns = 1024

// Proxy passes TCP connections on to a target, through faults. Its methods may be called from any goroutine; a fault
// applies to the connections that exist as to those that come. A proxy that is new or healed passes everything on.
type Proxy struct {
	addr, target string
	wait         sync.WaitGroup // for every goroutine of the proxy

	mu       sync.Mutex // guards all below
	listener net.Listener
	conns    map[*conn]struct{}
	lanes    map[Direction]*lane
	changed  chan struct{} // closed by the next change of a fault
	closed   bool
}

// lane is the faults of one direction.
type lane struct {
	delay     time.Duration
	bandwidth int  // bytes a second of each connection; 0: no limit
	hold      bool // bytes wait
	drop      bool // bytes are swallowed
	cut       int  // bytes until the next cut; -1: none
}

// NewProxy starts a proxy in front of target, a host:port, on a loopback port of its own. It ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	p := &Proxy{target: target, conns: make(map[*conn]struct{}), changed: make(chan struct{})}
	p.lanes = map[Direction]*lane{ToServer: {cut: -1}, ToClient: {cut: -1}}
	for range portTries {
		p.addr = loopback(freePort(t))
		if p.listen() == nil {
			break
		}
	}
	if p.listener == nil {
		t.Fatalf("listen tcp %s: lost to another process", p.addr)
	}
	t.Cleanup(p.close)
	return p
}

// Addr returns the host:port that clients dial instead of the target's.
func (p *Proxy) Addr() string { return p.addr }

// URL returns the address as redis://host:port/0.
func (p *Proxy) URL() string { return "redis://" + p.addr + "/0" }

// Delay has every byte arrive later by d, without limiting how many there are.
func (p *Proxy) Delay(way Direction, d time.Duration) { p.set(way, func(l *lane) { l.delay = d }) }

// Limit passes at most so many bytes a second on, by each connection.
func (p *Proxy) Limit(way Direction, bytes int) { p.set(way, func(l *lane) { l.bandwidth = bytes }) }

// Hold keeps what is sent until the proxy is healed, as TCP does across a short partition. Connections are accepted.
func (p *Proxy) Hold(way Direction) { p.set(way, func(l *lane) { l.hold = true }) }

// Drop swallows what is sent, without an error to anyone. Connections are accepted. A connection that lost bytes is reset
// when the proxy is healed, since its peers are out of step.
func (p *Proxy) Drop(way Direction) { p.set(way, func(l *lane) { l.drop = true }) }

// Cut resets the connection that carries the nth byte from now, counted over all connections, after passing that byte on;
// with n of 0 the first to carry any.
func (p *Proxy) Cut(way Direction, n int) { p.set(way, func(l *lane) { l.cut = n }) }

// set changes the lanes of a direction and tells every connection.
func (p *Proxy) set(way Direction, change func(*lane)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for direction, lane := range p.lanes {
		if way&direction != 0 {
			change(lane)
		}
	}
	p.announce()
}

func (p *Proxy) announce() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// Reset ends the connections that exist by RST.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.reset()
	}
}

// Refuse has connections refused; those that exist stay.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
}

// Heal ends every fault. It fails where the port was lost to another process after Refuse.
func (p *Proxy) Heal() error {
	p.mu.Lock()
	for _, l := range p.lanes {
		*l = lane{cut: -1}
	}
	for c := range p.conns {
		if c.lossy {
			c.reset()
		}
	}
	p.announce()
	listens := p.listener != nil || p.closed
	p.mu.Unlock()
	if listens {
		return nil
	}
	return p.listen()
}

// Conns returns how many connections there are.
func (p *Proxy) Conns() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

func (p *Proxy) listen() error {
	listener, err := net.Listen("tcp", p.addr)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.listener = listener
	p.mu.Unlock()
	p.wait.Go(func() { p.accept(listener) })
	return nil
}

// accept ends when the listener is closed.
func (p *Proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		p.wait.Go(func() { p.serve(client) })
	}
}

// close ends the proxy, and returns when all its goroutines have.
func (p *Proxy) close() {
	p.Refuse()
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		c.reset()
	}
	p.mu.Unlock()
	p.wait.Wait()
}
