package load_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/dnsreg/dnsreg/bench/internal/load"
	"github.com/dnsreg/dnsreg/bench/internal/zone"
)

// accept lets serve have every connection to a listener of its own. A connection ends with serve, or with the test.
func accept(t *testing.T, serve func(net.Conn)) netip.AddrPort {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
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
				serve(conn)
			}()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().(*net.TCPAddr).AddrPort()
}

// answerTCP reads queries and writes a reply to each in pieces of so many octets.
func answerTCP(conn net.Conn, piece int, reply func(*dns.Msg) *dns.Msg) {
	var length [2]byte
	for {
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		packed := make([]byte, binary.BigEndian.Uint16(length[:]))
		query := new(dns.Msg)
		if _, err := io.ReadFull(conn, packed); err != nil || query.Unpack(packed) != nil {
			return
		}
		packed, err := reply(query).Pack()
		if err != nil {
			return
		}
		for rest := append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...); len(rest) > 0; {
			n := min(piece, len(rest))
			if _, err := conn.Write(rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
	}
}

func TestTCPCountsEveryReply(t *testing.T) {
	for _, test := range []struct {
		name    string
		piece   int
		answers int
	}{
		{"whole", 1 << 16, 2},
		{"in pieces", 7, 2},
		{"long", 1 << 16, 1200},
	} {
		t.Run(test.name, func(t *testing.T) {
			addr := accept(t, func(conn net.Conn) { answerTCP(conn, test.piece, answers(test.answers, dns.RcodeSuccess)) })
			m := mix(t, zone.SRV)
			m.Answers = test.answers
			r := run(t, load.Spec{Server: addr, Mix: m, Duration: 50 * time.Millisecond, Window: 64, Sockets: 3, TCP: true})
			if r.Answered != r.Sent || r.Bad+r.Lost+r.Late+r.Truncated > 0 || r.Octets%r.Answered != 0 {
				t.Errorf("result %+v", r)
			}
		})
	}
}

// TestPartialWriteGoesOn: what the kernel had no room for in the midst of a batch goes out before anything else. A pipe
// stands for the connection, since its room is known.
func TestPartialWriteGoesOn(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	query := bytes.Repeat([]byte("q"), 4000)
	flow := load.NewFlow(int(w.Fd()), zone.Mix{Queries: [][]byte{query}})
	if err := unix.SetNonblock(int(w.Fd()), true); err != nil {
		t.Fatal(err)
	}
	const batch = 32
	var got []byte
	buf := make([]byte, 5000)
	for round := range 2 {
		for len(got) < (round+1)*batch*(2+len(query)) {
			if sent, err := flow.Send(batch); err != nil || sent != 0 && sent != batch {
				t.Fatalf("sent %d, %v", sent, err)
			}
			n, err := r.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, buf[:n]...)
		}
	}
	for i, m := range messages(got[:2*batch*(2+len(query))]) {
		if id := int(binary.BigEndian.Uint16([]byte(m))); id != i+1 || m[2:] != string(query[2:]) {
			t.Fatalf("message %d has id %d and %d octets", i, id, len(m))
		}
	}
}

func TestClosedConnectionIsAnError(t *testing.T) {
	addr := accept(t, func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1<<16)) })
	if r, err := load.Run(t.Context(), load.Spec{Server: addr, Mix: mix(t, zone.SRV), Duration: time.Hour, Window: 64, TCP: true}); err == nil {
		t.Errorf("no error, %+v", r)
	}
}

func FuzzStream(f *testing.F) {
	f.Add([]byte("\x00\x03one\x00\x00\x00\x05two"), uint8(1))
	f.Add(append([]byte{255, 255}, bytes.Repeat([]byte("x"), 70_000)...), uint8(200))
	f.Fuzz(func(t *testing.T, data []byte, piece uint8) {
		if diff := cmp.Diff(messages(data), load.Stream(data, int(piece)+1)); diff != "" {
			t.Errorf("in pieces of %d (-want +got):\n%s", int(piece)+1, diff)
		}
	})
}

// messages returns the whole messages at the beginning of data.
func messages(data []byte) []string {
	var all []string
	for len(data) >= 2 {
		n := 2 + int(binary.BigEndian.Uint16(data))
		if n > len(data) {
			break
		}
		all = append(all, string(data[2:n]))
		data = data[n:]
	}
	return all
}
