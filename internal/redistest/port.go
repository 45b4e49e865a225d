package redistest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Ports are drawn from here: above those that services have, below those of outgoing connections (32768 and up on
// Linux), and such that the bus port of a cluster node, 10000 higher, is one too.
const (
	firstPort = 10_000
	lastPort  = 22_000
)

const drawLimit = 100

// freePort returns a loopback port that nothing listens on, nor on its bus port, and that no other test of any process
// draws before this one has ended: not while its server is down either. Another program may take it before redis-server
// does: whoever starts one tries again.
func freePort(t testing.TB) int {
	t.Helper()
	for range drawLimit {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if reserve(t, port, port+busOffset) {
			return port
		}
	}
	t.Fatalf("no free port among %d drawn", drawLimit)
	return 0
}

// reserve reports whether ports are free, and then holds the UDP ports of the same numbers until the test ends: nothing
// here uses those, and the kernel lets one process have them.
func reserve(t testing.TB, ports ...int) bool {
	var held []net.PacketConn
	release := func() {
		for _, conn := range held {
			_ = conn.Close()
		}
	}
	for _, port := range ports {
		conn, err := net.ListenPacket("udp", loopback(port))
		if err == nil {
			held = append(held, conn)
		}
		if err != nil || !isFree(port) {
			release()
			return false
		}
	}
	t.Cleanup(release)
	return true
}

// busOffset is what Redis adds to a node's port for the cluster bus.
const busOffset = 10_000

func isFree(port int) bool {
	listener, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return false
	}
	return listener.Close() == nil
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
