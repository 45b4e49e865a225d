package peer

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dnsreg/dnsreg/bench/internal/zone"
	"github.com/dnsreg/dnsreg/heartbeat"
)

// Serve starts `dnsreg serve` from the given binary, with its defaults but for ports, and registers every instance of
// the zone over HTTP.
func Serve(ctx context.Context, place Place, z zone.Zone, binary string) (*Server, error) {
	addr, err := freePort()
	if err != nil {
		return nil, err
	}
	control, err := freePort()
	if err != nil {
		return nil, err
	}
	s, err := start(place, addr, binary, "serve", "--log-level=warn",
		"--dns-listen="+addr.String(), "--http-listen="+control.String())
	if err != nil {
		return nil, err
	}
	s.Control = "http://" + control.String()
	text, _ := exec.Command(binary, "version").CombinedOutput()
	s.Version = versionOf(string(text))
	if err := s.ready(ctx, s.apex); err != nil {
		return nil, err
	}
	if err := fill(ctx, s.Control, z); err != nil {
		s.Stop()
		return nil, fmt.Errorf("%w: %s", err, s.log.String())
	}
	return s, nil
}

// callers is how many registrations are under way at a time.
const callers = 8

// fill registers every instance.
func fill(ctx context.Context, server string, z zone.Zone) error {
	client, err := heartbeat.NewClient(heartbeat.Config{
		Server:     server,
		HTTPClient: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}},
	})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for caller := range callers {
		group.Go(func() error {
			for i := caller; i < z.Services; i += callers {
				if err := register(ctx, client, z, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// register registers the instances of one service.
func register(ctx context.Context, client *heartbeat.Client, z zone.Zone, i int) error {
	for j := range z.Instances {
		if _, err := client.Register(ctx, z.Service(i), z.Instance(i, j)); err != nil {
			return fmt.Errorf("register %s %d: %w", z.Service(i), j, err)
		}
	}
	return nil
}

// Echo starts this program as a server that sends every datagram back; in batches, with the length of a DNS reply, if told
// so.
func Echo(ctx context.Context, place Place, batches bool) (*Server, error) {
	verb := "echo"
	if batches {
		verb = "echo-batches"
	}
	s, err := self(place, verb)
	if err != nil {
		return nil, err
	}
	return s, s.ready(ctx, func(context.Context) error { return echoed(s.Addr) })
}

// Embed starts this program as a server with a store of its own in the process that is filled with the zone and changed
// so many times a second.
func Embed(ctx context.Context, place Place, z zone.Zone, changes int) (*Server, error) {
	control, err := freePort()
	if err != nil {
		return nil, err
	}
	s, err := self(place, "embed", control.String(),
		strconv.Itoa(z.Services), strconv.Itoa(z.Instances), strconv.Itoa(changes))
	if err != nil {
		return nil, err
	}
	s.Control = "http://" + control.String()
	return s, s.ready(ctx, s.apex)
}

// self starts this program again, as the child that listens on a free port.
func self(place Place, verb string, args ...string) (*Server, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	addr, err := freePort()
	if err != nil {
		return nil, err
	}
	return start(place, addr, program, append([]string{"child", verb, addr.String()}, args...)...)
}

// echoed sends one datagram and reads one.
func echoed(addr netip.AddrPort) error {
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline()); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("twelve bytes")); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 64))
	return err
}

// deadline is by when a server on loopback has answered, if it does at all.
func deadline() time.Time { return time.Now().Add(time.Second) }

// versionOf returns the second word of what `dnsreg version` says.
func versionOf(text string) string {
	fields := strings.Fields(text)
	if len(fields) < 2 {
		return "unknown"
	}
	return fields[1]
}
