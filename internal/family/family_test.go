package family_test

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/dnsreg/dnsreg/internal/family"
)

func TestNetwork(t *testing.T) {
	for _, tt := range []struct {
		name, in, want string
	}{
		{"none", "", "tcp"},
		{"any IPv4", "0.0.0.0", "tcp4"},
		{"IPv4", "127.0.0.1", "tcp4"},
		{"IPv4 in IPv6", "::ffff:127.0.0.1", "tcp4"},
		{"any IPv6", "::", "tcp6"},
		{"IPv6", "::1", "tcp6"},
		{"IPv6 with a zone", "fe80::1%lo", "tcp6"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			addr, _ := netip.ParseAddr(tt.in) // none is the zero address
			if got := family.Network("tcp", addr); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestPlain(t *testing.T) {
	first, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = first.Close() })
	address := first.Addr().String()
	_, taken := net.Listen("tcp4", address)
	err = family.Plain(taken, "tcp")
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.HasPrefix(err.Error(), "listen tcp "+address+": ") {
		t.Errorf("error %q", err)
	}
	if other := errors.New("x"); family.Plain(other, "tcp") != other || family.Plain(nil, "tcp") != nil {
		t.Error("another error was changed")
	}
}
