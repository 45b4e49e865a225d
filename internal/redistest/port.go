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

// freePort returns a loopback port that nothing listens on, nor on its bus port. Another process may take it before
// redis-server does: whoever starts one tries again.
func freePort(t testing.TB) int {
	t.Helper()
	for range drawLimit {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if isFree(port) && isFree(port+busOffset) {
			return port
		}
	}
	t.Fatalf("no free port among %d drawn", drawLimit)
	return 0
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
