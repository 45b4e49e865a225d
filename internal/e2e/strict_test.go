package e2e_test

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// tap passes queries over UDP on to a server, and replies back, and keeps the questions.
type tap struct {
	t      testing.TB
	server string
	conn   *net.UDPConn
	mu     sync.Mutex // guards asked
	asked  []dns.Question
}

// listenIn returns a tap in front of a server, which ends with the test.
func listenIn(t testing.TB, server string) *tap {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{t: t, server: server, conn: conn}
	var wg sync.WaitGroup
	wg.Go(p.pass)
	t.Cleanup(func() {
		conn.Close()
		wg.Wait()
	})
	return p
}

// pass hands on one query after another until the socket is closed.
func (p *tap) pass() {
	buf := make([]byte, 65535)
	for {
		n, client, err := p.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		var m dns.Msg
		if err := m.Unpack(buf[:n]); err != nil || len(m.Question) != 1 {
			p.t.Errorf("query %x: %v", buf[:n], err)
			continue
		}
		p.mu.Lock()
		p.asked = append(p.asked, m.Question[0])
		p.mu.Unlock()
		reply, err := p.exchange(buf[:n])
		if err != nil {
			continue // the resolver asks again
		}
		if _, err := p.conn.WriteToUDPAddrPort(reply, client); err != nil {
			return
		}
	}
}

// exchange asks the server.
func (p *tap) exchange(query []byte) ([]byte, error) {
	conn, err := net.Dial("udp", p.server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	reply := make([]byte, 65535)
	n, err := conn.Read(reply)
	return reply[:n], err
}

// take returns the questions since the last call.
func (p *tap) take() []dns.Question {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := p.asked
	p.asked = nil
	return asked
}

// TestUnboundIsStrict holds that the unbound of TestThroughResolvers does what it is configured for, as seen from the
// server: a label more with each question, letters of random case, and the first NXDOMAIN on the way is the answer.
func TestUnboundIsStrict(t *testing.T) {
	t.Parallel()
	s := serve(t)
	register(t, s)
	between := listenIn(t, s.dns)
	r := unbound(t, &server{dns: between.conn.LocalAddr().String()})
	resolve := func(name string, qtype uint16, rcode int) []dns.Question {
		t.Helper()
		between.take()
		if reply := r.ask(t, name, qtype); reply.Rcode != rcode {
			t.Fatalf("%s: %v", name, reply)
		}
		return between.take()
	}
	name := "web-1._web._tcp." + zone
	asked := resolve(name, dns.TypeSRV, dns.RcodeSuccess)
	var names []string
	mixed := false
	for _, q := range asked {
		lower := strings.ToLower(q.Name)
		mixed = mixed || lower != q.Name
		if !slices.Contains(names, lower) {
			names = append(names, lower)
		}
	}
	if want := []string{"_tcp." + zone, "_web._tcp." + zone, name}; !slices.Equal(names, want) {
		t.Errorf("minimised to %q, want %q", names, want)
	}
	if !mixed {
		t.Errorf("no name in letters of both cases: %v", asked)
	}
	for _, q := range resolve("a.b._gone._tcp."+zone, dns.TypeSRV, dns.RcodeNameError) {
		if lower := strings.ToLower(q.Name); strings.HasSuffix(lower, "._gone._tcp."+zone) {
			t.Errorf("asked for %s, below a name that does not exist", lower)
		}
	}
}
