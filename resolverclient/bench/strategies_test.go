package bench_test

import (
	"fmt"
	"net"
	"strconv"
	"testing"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// strategies are the balancers of resolverclient.
func strategies() (out []subject) {
	for s := resolverclient.WeightedRandom; s <= resolverclient.ConsistentHash; s++ {
		out = append(out, subject{"resolverclient/" + s.String(), func(tb testing.TB, n int) chooser {
			return balancerOf(tb, s, n)
		}})
	}
	return out
}

func balancerOf(tb testing.TB, s resolverclient.Strategy, n int) chooser {
	tb.Helper()
	c, err := resolverclient.New(resolverclient.Config{Servers: []string{serve(tb, n)}, Zone: "svc.internal"})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	b, err := c.Balancer("web", s)
	if err != nil {
		tb.Fatal(err)
	}
	ctx := tb.Context()
	var picked [batch]resolverclient.Picked
	return chooser{
		choose: func(place int) (err error) {
			picked[place], err = b.Pick(ctx)
			return err
		},
		end:   func(place int) { picked[place].Done(nil) },
		which: func(place int) string { return strconv.Itoa(int(picked[place].Endpoint.Port)) },
	}
}

// serve runs a DNS server, over TCP where the answer is long, that names n instances for a day.
func serve(tb testing.TB, n int) string {
	tb.Helper()
	l, packets := listen(tb)
	records := instances(tb, n)
	answer := dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		m := new(dns.Msg).SetReply(query)
		m.Answer, m.Extra = records[:n], records[n:]
		if w.LocalAddr().Network() == "udp" {
			m.Answer, m.Extra, m.Truncated = nil, nil, true
		}
		_ = w.WriteMsg(m) // the client asks again
	})
	for _, s := range []*dns.Server{{Listener: l, Handler: answer}, {PacketConn: packets, Handler: answer}} {
		ended := make(chan error)
		go func() { ended <- s.ActivateAndServe() }()
		tb.Cleanup(func() {
			_ = s.Shutdown()
			if err := <-ended; err != nil {
				tb.Error(err)
			}
		})
	}
	return l.Addr().String()
}

// listen listens over TCP and UDP on one free port.
func listen(tb testing.TB) (net.Listener, net.PacketConn) {
	tb.Helper()
	for range 16 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		packets, err := net.ListenPacket("udp", l.Addr().String())
		if err == nil {
			return l, packets
		}
		l.Close() // the port is taken over UDP
	}
	tb.Fatal("no port is free for UDP and TCP")
	return nil, nil
}

// instances returns n SRV records, of which only the ports differ, and the address.
func instances(tb testing.TB, n int) []dns.RR {
	tb.Helper()
	var out []dns.RR
	add := func(format string, args ...any) {
		rr, err := dns.NewRR(fmt.Sprintf(format, args...))
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, rr)
	}
	for i := range n {
		add("_web._tcp.svc.internal. 86400 SRV 0 %d %d lo.svc.internal.", 1+i%10, i+1)
	}
	add("lo.svc.internal. 86400 A 127.0.0.1")
	return out
}
