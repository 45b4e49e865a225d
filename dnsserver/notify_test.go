package dnsserver_test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/store"
)

// receiver is a secondary that a server tells of changes. It acknowledges as answer says.
type receiver struct {
	net.PacketConn
	mu      sync.Mutex
	heard   []*dns.Msg
	wires   [][]byte
	answers func(n int, wire []byte, m *dns.Msg) []byte
}

// listenNotify starts a receiver whose n-th message, counted from 1, gets the answer that answers returns, nil for none.
func listenNotify(tb testing.TB, answers func(n int, wire []byte, m *dns.Msg) []byte) *receiver {
	tb.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	r := &receiver{PacketConn: conn, answers: answers}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.serve()
	}()
	tb.Cleanup(func() {
		if err := conn.Close(); err != nil {
			tb.Error(err)
		}
		<-ended
	})
	return r
}

func (r *receiver) serve() {
	buf := make([]byte, 65535)
	for {
		n, addr, err := r.ReadFrom(buf)
		if err != nil {
			return
		}
		wire := slices.Clone(buf[:n])
		m := new(dns.Msg)
		if m.Unpack(wire) != nil {
			continue
		}
		r.mu.Lock()
		r.heard, r.wires = append(r.heard, m), append(r.wires, wire)
		count := len(r.heard)
		r.mu.Unlock()
		if reply := r.answers(count, wire, m); reply != nil {
			_, _ = r.WriteTo(reply, addr) // what is not heard is asked for again
		}
	}
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.heard)
}

// last returns the last message and its serial.
func (r *receiver) last(tb testing.TB) (*dns.Msg, uint32) {
	tb.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.heard) == 0 {
		tb.Fatal("nothing was heard")
	}
	m := r.heard[len(r.heard)-1]
	if len(m.Answer) != 1 {
		tb.Fatalf("%v", m)
	}
	return m, serialOf(tb, m.Answer[0])
}

func acknowledge(rcode int) func(int, []byte, *dns.Msg) []byte {
	return func(_ int, _ []byte, m *dns.Msg) []byte {
		out, err := new(dns.Msg).SetRcode(m, rcode).Pack()
		if err != nil {
			return nil
		}
		return out
	}
}

func notifying(r *receiver, key string) func(*dnsserver.Config) {
	return func(c *dnsserver.Config) {
		addr := r.LocalAddr().(*net.UDPAddr).AddrPort()
		c.Zones[0].Transfer.Notify = append(c.Zones[0].Transfer.Notify, dnsserver.NotifyTarget{Addr: addr, Key: key})
	}
}

func TestX4NotifyTellsOfChanges(t *testing.T) {
	r := listenNotify(t, acknowledge(dns.RcodeSuccess))
	src := newSource(web(t))
	s := start(t, newServer(t, src, notifying(r, "")))
	eventually(t, "told at the start", func() bool { return s.Stats().Notifies.Acknowledged == 1 })
	m, serial := r.last(t)
	if m.Opcode != dns.OpcodeNotify || !m.Authoritative || m.Response || serial != 1 || m.Question[0] != (dns.Question{Name: zone, Qtype: dns.TypeSOA, Qclass: dns.ClassINET}) {
		t.Errorf("%v", m)
	}
	for range 500 {
		src.set(snapshot("_db._tcp", instance(t, "_db._tcp", "db-1")))
	}
	eventually(t, "told of the last change", func() bool { _, serial = r.last(t); return serial == 501 })
	if n := r.count(); n > 4 {
		t.Errorf("%d messages for changes at once", n)
	}
	eventually(t, "the change is acknowledged", func() bool { return s.Stats().Notifies.Acknowledged > 1 })
	if got := s.Stats().Notifies; got.Refused+got.Failed > 0 {
		t.Errorf("counted %+v", got)
	}
}

// following is a source that can be waited for.
type following struct {
	*source
	changes chan store.Revision
}

func (f following) Changes(ctx context.Context, after store.Revision) (store.Delta, error) {
	select {
	case <-ctx.Done():
		return store.Delta{}, ctx.Err()
	case to := <-f.changes:
		return store.Delta{From: after, To: to}, nil
	}
}

// TestX4WaitsForChanges holds that a source that can be waited for is waited for.
func TestX4WaitsForChanges(t *testing.T) {
	r := listenNotify(t, acknowledge(dns.RcodeSuccess))
	src := following{newSource(web(t)), make(chan store.Revision)}
	s := start(t, newServer(t, src, notifying(r, "")))
	eventually(t, "told at the start", func() bool { return s.Stats().Notifies.Acknowledged == 1 })
	revision := src.set(snapshot("_db._tcp", instance(t, "_db._tcp", "db-1")))
	select {
	case src.changes <- revision:
	case <-time.After(patience):
		t.Fatal("nobody waits for changes")
	}
	eventually(t, "told of the change", func() bool { _, serial := r.last(t); return serial == 2 })
}

// TestX4RepeatedUntilAcknowledged holds that what is not acknowledged is sent again, and that the acknowledgement of any
// of the messages counts.
func TestX4RepeatedUntilAcknowledged(t *testing.T) {
	var first []byte
	r := listenNotify(t, func(n int, wire []byte, m *dns.Msg) []byte {
		ack := acknowledge(dns.RcodeSuccess)(n, wire, m)
		if n == 1 {
			first = ack
			return []byte("garbage")
		}
		return first
	})
	s := start(t, newServer(t, newSource(web(t)), notifying(r, "")))
	eventually(t, "acknowledged", func() bool { return s.Stats().Notifies.Acknowledged == 1 })
	if n := r.count(); n != 2 {
		t.Errorf("%d messages, want 2", n)
	}
}

func TestX4Refusal(t *testing.T) {
	r := listenNotify(t, acknowledge(dns.RcodeNotAuth))
	src := newSource(web(t))
	s := start(t, newServer(t, src, notifying(r, "")))
	eventually(t, "refused", func() bool { return s.Stats().Notifies.Refused == 1 })
	src.set(snapshot("_db._tcp"))
	eventually(t, "the next change is told all the same", func() bool { return s.Stats().Notifies.Refused == 2 })
}

// TestX4OneDoesNotHoldUpAnother holds that a secondary that is gone costs the others nothing, nor the stop.
func TestX4OneDoesNotHoldUpAnother(t *testing.T) {
	gone, there := listenNotify(t, func(int, []byte, *dns.Msg) []byte { return nil }), listenNotify(t, acknowledge(dns.RcodeSuccess))
	closed := dnsserver.NotifyTarget{Addr: netip.MustParseAddrPort("127.0.0.1:1")}
	src := newSource(web(t))
	s := start(t, newServer(t, src, notifying(gone, ""), notifying(there, ""), func(c *dnsserver.Config) {
		c.Zones[0].Transfer.Notify = append(c.Zones[0].Transfer.Notify, closed)
	}))
	for n := range 2 {
		src.set(snapshot("_db._tcp"))
		eventually(t, "told", func() bool { return s.Stats().Notifies.Acknowledged == uint64(n+1) })
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if stats := s.Stats().Notifies; stats.Failed > 0 || stats.Sent < 4 || stats.Acknowledged != 2 {
		t.Errorf("counted %+v", stats)
	}
}

// TestX4SignedNotify holds that a message to a secondary with a key is signed, and that only a signed acknowledgement
// counts.
func TestX4SignedNotify(t *testing.T) {
	key := testKey("hmac-sha256")
	r := listenNotify(t, func(n int, wire []byte, m *dns.Msg) []byte {
		tsig := m.IsTsig()
		if tsig == nil || dns.TsigVerify(wire, base64Of(key.Secret), "", false) != nil {
			return nil
		}
		unsigned := m.Copy()
		unsigned.Extra = nil
		reply := new(dns.Msg).SetReply(unsigned)
		if n == 1 {
			return acknowledge(dns.RcodeSuccess)(n, wire, unsigned)
		}
		reply.SetTsig("secondary.key.", dns.HmacSHA256, 300, time.Now().Unix())
		out, _, err := dns.TsigGenerate(reply, base64Of(key.Secret), tsig.MAC, false)
		if err != nil {
			return nil
		}
		return out
	})
	s := start(t, newServer(t, newSource(web(t)), withKey("hmac-sha256"), notifying(r, "secondary.key")))
	eventually(t, "acknowledged", func() bool { return s.Stats().Notifies.Acknowledged == 1 })
	if n := r.count(); n != 2 {
		t.Errorf("%d messages, want 2", n)
	}
}
