package load

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/dnsreg/dnsreg/bench/internal/zone"
)

// ParseDnsperf reads dnsperf's statistics.
var ParseDnsperf = parseDnsperf

// Stream returns the messages that a connection's inbox finds in data which comes in pieces of so many octets.
func Stream(data []byte, piece int) []string {
	s := &stream{buf: make([]byte, 4<<16)}
	var all []string
	for len(data) > 0 {
		n := copy(s.room()[:piece], data)
		data = data[n:]
		s.add(n)
		for i := range s.replies {
			message, _ := s.reply(i)
			all = append(all, string(message))
		}
	}
	return all
}

// Flow is a flow over TCP.
type Flow struct{ *flow }

// NewFlow returns one that writes to a descriptor and never gets a reply.
func NewFlow(fd int, m zone.Mix) Flow {
	return Flow{newFlow(&generator{Spec: Spec{Mix: m}}, fd, prefixLen, silent{})}
}

// Send does what the generator does at each turn.
func (f Flow) Send(n int) (int, error) {
	if _, err := f.receive(); err != nil {
		return 0, err
	}
	return f.send(n, func(int) time.Duration { return 0 })
}

// silent is an inbox that nothing comes to.
type silent struct{}

func (silent) receive(int) (int, error) { return 0, unix.EAGAIN }

func (silent) reply(int) ([]byte, int) { return nil, 0 }
