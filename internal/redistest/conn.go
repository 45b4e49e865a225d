package redistest

import (
	"net"
	"sync"
	"time"
)

const (
	dialLimit  = time.Second
	chunkSize  = 16 << 10
	queueLimit = 256 // chunks under way in one direction; then the sender waits, as with a full TCP window
)

// conn is one connection through a proxy.
type conn struct {
	proxy          *Proxy
	client, server *net.TCPConn
	ended          chan struct{} // closed by reset
	once           sync.Once
	lossy          bool // bytes were swallowed; guarded by proxy.mu
}

// chunk is what was read at once.
type chunk struct {
	data []byte
	at   time.Time
}

// serve passes one connection on until either side ends it.
func (p *Proxy) serve(client net.Conn) {
	server, err := net.DialTimeout("tcp", p.target, dialLimit)
	if err != nil {
		resetConn(client.(*net.TCPConn))
		return
	}
	c := &conn{proxy: p, client: client.(*net.TCPConn), server: server.(*net.TCPConn), ended: make(chan struct{})}
	if !p.admit(c) {
		c.reset()
		return
	}
	var lanes sync.WaitGroup
	lanes.Go(func() { c.pass(ToServer, c.client, c.server) })
	lanes.Go(func() { c.pass(ToClient, c.server, c.client) })
	lanes.Wait()
	c.reset()
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

// admit counts a connection in, unless there are too many or the proxy is closed.
func (p *Proxy) admit(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.conns) >= maxConns {
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

// reset ends both halves by RST.
func (c *conn) reset() {
	c.once.Do(func() {
		close(c.ended)
		resetConn(c.client)
		resetConn(c.server)
	})
}

func resetConn(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}

// pass carries one direction: a reader notes when each chunk came, a writer sends it when it is due.
func (c *conn) pass(way Direction, from, to *net.TCPConn) {
	queue := make(chan chunk, queueLimit)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(queue)
		c.read(from, queue)
	})
	for chunk := range queue {
		if !c.deliver(way, to, chunk) {
			c.reset()
			break
		}
	}
	reader.Wait()
	c.hush(way)
	_ = to.CloseWrite()
}

// read ends with the connection or at the peer's end of file.
func (c *conn) read(from *net.TCPConn, queue chan<- chunk) {
	for {
		buf := make([]byte, chunkSize)
		n, err := from.Read(buf)
		if n > 0 {
			select {
			case queue <- chunk{buf[:n], time.Now()}:
			case <-c.ended:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// deliver sends a chunk when its lane lets it, and reports whether the connection goes on.
func (c *conn) deliver(way Direction, to *net.TCPConn, chunk chunk) bool {
	begin := time.Now()
	for {
		l, changed := c.look(way)
		wait := time.Until(l.due(chunk, begin))
		if l.drop || !l.hold && wait <= 0 {
			break
		}
		if !c.pause(wait, l.hold, changed) {
			return false
		}
	}
	data, swallow, cut := c.take(way, chunk.data)
	if !swallow {
		if _, err := to.Write(data); err != nil {
			return false
		}
	}
	return !cut
}

// due returns when a chunk, whose turn came at begin, is sent.
func (l *lane) due(chunk chunk, begin time.Time) time.Time {
	due := chunk.at.Add(l.delay)
	if l.bandwidth == 0 {
		return due
	}
	through := begin.Add(time.Second * time.Duration(len(chunk.data)) / time.Duration(l.bandwidth))
	if through.After(due) {
		return through
	}
	return due
}

// hush returns when the end of a direction may be told: not while its bytes are held or swallowed.
func (c *conn) hush(way Direction) {
	for {
		l, changed := c.look(way)
		if !l.hold && !l.drop || !c.pause(0, true, changed) {
			return
		}
	}
}

// look returns a copy of the lane's faults and what is closed when they change.
func (c *conn) look(way Direction) (lane, <-chan struct{}) {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	return *c.proxy.lanes[way], c.proxy.changed
}

// pause waits for d, or while held without end, at most until the faults change; it reports whether the connection lives.
func (c *conn) pause(d time.Duration, held bool, changed <-chan struct{}) bool {
	var due <-chan time.Time
	if !held {
		timer := time.NewTimer(d)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-c.ended:
		return false
	case <-changed:
	case <-due:
	}
	return true
}

// take decides what of data is sent: all, none of it where it is swallowed, or what comes before a cut.
func (c *conn) take(way Direction, data []byte) (sent []byte, swallow, cut bool) {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	l := c.proxy.lanes[way]
	if l.drop {
		c.lossy = true
		return nil, true, false
	}
	if l.cut < 0 {
		return data, false, false
	}
	if len(data) < l.cut {
		l.cut -= len(data)
		return data, false, false
	}
	data = data[:l.cut]
	l.cut = -1
	return data, false, true
}
