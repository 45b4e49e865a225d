package mmsg_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dnsreg/dnsreg/bench/internal/mmsg"
)

// pair returns a bound socket and a client connected to it.
func pair(t *testing.T) (fd int, client *net.UDPConn) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	client, err = net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*unix.SockaddrInet4).Port})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if err := client.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return fd, client
}

// arrived waits until so many datagrams are at a socket, and leaves them there: on a busy machine they may be on their way
// yet when they have been sent.
func arrived(t *testing.T, fd, n int) {
	t.Helper()
	peek := func(offset int) {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF, offset); err != nil {
			t.Fatal(err)
		}
	}
	peek(0) // at one datagram after another
	defer peek(-1)
	buf := make([]byte, 1500)
	for end := time.Now().Add(10 * time.Second); n > 0; {
		switch _, _, err := unix.Recvfrom(fd, buf, unix.MSG_PEEK|unix.MSG_DONTWAIT); {
		case err == nil:
			n--
		case !errors.Is(err, unix.EAGAIN) || time.Now().After(end):
			t.Fatalf("%d datagrams do not come: %v", n, err)
		}
	}
}

func TestBatchGoesBackToItsSenders(t *testing.T) {
	fd, client := pair(t)
	for i := range mmsg.Size + 3 {
		if _, err := fmt.Fprintf(client, "datagram %d", i); err != nil {
			t.Fatal(err)
		}
	}
	arrived(t, fd, mmsg.Size+3)
	batch := mmsg.New(64, true)
	for _, want := range []int{mmsg.Size, 3} {
		n, err := batch.Receive(fd)
		if err != nil || n != want {
			t.Fatalf("received %d, %v, want %d", n, err, want)
		}
		for i := range n {
			copy(batch.Data(i), "reply")
			batch.SetLen(i, batch.Len(i))
		}
		if sent, err := batch.Send(fd, n); err != nil || sent != n {
			t.Fatalf("sent %d, %v, want %d", sent, err, n)
		}
	}
	buf := make([]byte, 64)
	for i := range mmsg.Size + 3 {
		n, err := client.Read(buf)
		if want := fmt.Sprintf("replyram %d", i); err != nil || string(buf[:n]) != want {
			t.Fatalf("reply %q, %v, want %q", buf[:n], err, want)
		}
	}
	if _, err := batch.Receive(fd); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("with nothing there, error %v", err)
	}
}

// TestLongDatagramIsCut: its length is told all the same.
func TestLongDatagramIsCut(t *testing.T) {
	fd, client := pair(t)
	if _, err := client.Write(bytes.Repeat([]byte("x"), 100)); err != nil {
		t.Fatal(err)
	}
	arrived(t, fd, 1)
	batch := mmsg.New(12, false)
	n, err := batch.Receive(fd)
	if err != nil || n != 1 || batch.Len(0) != 100 || string(batch.Data(0)) != "xxxxxxxxxxxx" {
		t.Errorf("received %d, %v: %d octets, %q", n, err, batch.Len(0), batch.Data(0))
	}
}
