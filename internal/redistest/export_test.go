package redistest

import (
	"os"
	"testing"
)

// MaxConns is how many connections a proxy has at most.
const MaxConns = maxConns

// Lossy returns how many connections have lost bytes.
func (p *Proxy) Lossy() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if c.lossy {
			n++
		}
	}
	return n
}

// CanDraw reports whether a test may get the port of a server.
func CanDraw(t testing.TB, s *Server) bool { return reserve(t, s.port, s.port+busOffset) }

// Ended reports whether the server's process has ended.
func (s *Server) Ended() bool { return s.process.ended() }

// LostPort reports whether a process with this log has lost its port to another.
func LostPort(t testing.TB, log string) bool {
	p := newProcess(t, nil)
	if err := os.WriteFile(p.logFile(), []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	return p.lostPort()
}

// LogOnPort starts a redis-server on a port that is taken, and returns its log.
func LogOnPort(t testing.TB, taken *Server) string {
	s := prepare(t, newSettings(nil))
	s.port = taken.port
	s.writeConfig()
	s.process.start()
	<-s.process.done
	return s.process.logTail()
}
