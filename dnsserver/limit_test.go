package dnsserver_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
)

// fate is what came of queries.
type fate struct{ Answered, Slipped, Dropped int }

// burst sends n queries from an address, all at one time.
func burst(tb testing.TB, s *dnsserver.Server, client string, n int, in []byte) fate {
	tb.Helper()
	var f fate
	for range n {
		switch out := s.Accept(netip.MustParseAddr(client), in); {
		case len(out) == 0:
			f.Dropped++
		case out[2]&0x02 != 0:
			f.Slipped++
		default:
			f.Answered++
		}
	}
	return f
}

func rate(limit, slip int, exempt ...netip.Prefix) func(*dnsserver.Config) {
	return func(c *dnsserver.Config) { c.RateLimit, c.RateSlip, c.RateExempt = limit, slip, exempt }
}

func TestT9Rate(t *testing.T) {
	in := message(header(flagsQuery, 1), wireQuestion(t, zone, dns.TypeSOA))
	for _, tt := range []struct {
		name   string
		change func(*dnsserver.Config)
		want   []fate // of 1000 queries at the start, 1000 after 100 ms, and 1000 after an hour
	}{
		{"by default", func(*dnsserver.Config) {}, []fate{{200, 400, 400}, {20, 490, 490}, {200, 400, 400}}},
		{"another rate", rate(10, 0), []fate{{10, 495, 495}, {1, 499, 500}, {10, 495, 495}}},
		{"a rate that is no part of a second", rate(300, 0), []fate{{300, 350, 350}, {30, 485, 485}, {300, 350, 350}}},
		{"another slip", rate(500, 10), []fate{{500, 50, 450}, {50, 95, 855}, {500, 50, 450}}},
		{"no slip", rate(500, -1), []fate{{500, 0, 500}, {50, 0, 950}, {500, 0, 500}}},
		{"no limit", rate(-1, 0), []fate{{1000, 0, 0}, {1000, 0, 0}, {1000, 0, 0}}},
		{"exempt", rate(0, 0, netip.MustParsePrefix("198.51.0.0/16")), []fate{{1000, 0, 0}, {1000, 0, 0}, {1000, 0, 0}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, newSource(), tt.change)
				var got []fate
				for _, wait := range []time.Duration{0, 100 * time.Millisecond, time.Hour} {
					time.Sleep(wait)
					got = append(got, burst(t, s, client4, 1000, in))
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestT9Prefixes(t *testing.T) {
	in := message(header(flagsQuery, 1), wireQuestion(t, zone, dns.TypeSOA))
	local := []string{"127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.0.1", "::1", "fd00::1", "fe80::1"}
	for _, tt := range []struct {
		name, first, second string
		shared              bool
	}{
		{"an IPv4 /24", "198.51.100.1", "198.51.100.254", true},
		{"two", "198.51.100.255", "198.51.101.0", false},
		{"an IPv6 /56", "2001:db8:0:1::1", "2001:db8:0:ff::2", true},
		{"two of IPv6", "2001:db8:0:ff::", "2001:db8:0:100::", false},
		{"both families", "0.0.1.1", "::1:0:0:0:0", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, newSource())
				burst(t, s, tt.first, 200, in)
				if got := burst(t, s, tt.second, 1, in); (got.Answered == 0) != tt.shared {
					t.Errorf("%+v", got)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		for _, client := range local {
			if got := burst(t, newServer(t, newSource()), client, 300, in); got.Answered != 300 {
				t.Errorf("%s by default: %+v", client, got)
			}
			none := newServer(t, newSource(), func(c *dnsserver.Config) { c.RateExempt = []netip.Prefix{} })
			if got := burst(t, none, client, 300, in); got.Answered != 200 {
				t.Errorf("%s without exemption: %+v", client, got)
			}
		}
	})
}

// TestT9CookiesAreExempt brings a good cookie, a bad one and half a one beyond the rate.
func TestT9CookiesAreExempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newSource())
		half := withOptions(t, zone, dns.TypeSOA, wireOption(dns.EDNS0COOKIE, make([]byte, 8)))
		bad := withOptions(t, zone, dns.TypeSOA, wireOption(dns.EDNS0COOKIE, make([]byte, 24)))
		if got := burst(t, s, client4, 200, half); got.Answered != 200 {
			t.Errorf("within the rate: %+v", got)
		}
		if got := burst(t, s, client4, 100, bad); got != (fate{0, 50, 50}) {
			t.Errorf("a bad cookie: %+v", got)
		}
		var slipped []byte
		for len(slipped) == 0 {
			slipped = s.Accept(netip.MustParseAddr(client4), half)
		}
		cookie := option(t, slipped, dns.EDNS0COOKIE)
		good := withOptions(t, zone, dns.TypeSOA, wireOption(dns.EDNS0COOKIE, cookie))
		if got := burst(t, s, client4, 1000, good); got.Answered != 1000 {
			t.Errorf("the cookie of a truncated reply: %+v", got)
		}
		if got := burst(t, s, "198.51.100.101", 1000, good); got.Answered != 0 {
			t.Errorf("somebody else's cookie: %+v", got)
		}
	})
}

// TestT9WhatSlips is a question in good form only, and the reply to it has nothing that was not asked or is large.
func TestT9WhatSlips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newSource(), func(c *dnsserver.Config) { c.NSID = "a-name-of-a-server" })
		soa := wireQuestion(t, zone, dns.TypeSOA)
		good := message(header(0x0100, 1), soa)
		burst(t, s, client4, 200, good)
		for _, tt := range []struct {
			name string
			in   []byte
			want int // slipped of 10
		}{
			{"a question", good, 5},
			{"with an error", message(header(flagsQuery, 2), soa, soa), 0},
			{"another version", message(header(flagsQuery, 1, 0, 0, 1), soa, wireOPT(512, 1, 0, nil)), 0},
			{"no question", message(header(flagsQuery, 0, 0, 0, 1), wireOPT(512, 0, 0, wireOption(dns.EDNS0COOKIE, []byte("12345678")))), 0},
			{"another opcode", message(header(opcode(dns.OpcodeNotify), 1), soa), 0},
			{"EDNS", withOptions(t, zone, dns.TypeSOA, wireOption(dns.EDNS0NSID, nil)), 5},
			{"outside the zone", message(header(flagsQuery, 1, 0, 0, 1), wireQuestion(t, "other.test.", dns.TypeA), wireOPT(512, 0, 0, nil)), 5},
		} {
			if got := burst(t, s, client4, 10, tt.in); got != (fate{0, tt.want, 10 - tt.want}) {
				t.Errorf("%s: %+v", tt.name, got)
			}
			for range 2 {
				if out := s.Accept(netip.MustParseAddr(client4), tt.in); len(out) > len(tt.in) {
					t.Errorf("%s: %d octets for %d", tt.name, len(out), len(tt.in))
				}
			}
		}
		var out []byte
		for len(out) == 0 {
			out = s.Accept(netip.MustParseAddr(client4), good)
		}
		if diff := cmp.Diff(message(header(0x8300, 1), soa), out); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestT9AllocatesNothing(t *testing.T) {
	s := newServer(t, newSource())
	in := message(header(flagsQuery, 1), wireQuestion(t, zone, dns.TypeSOA))
	burst(t, s, client6, 1000, in)
	client := netip.MustParseAddr(client6)
	// The reader and its buffer are what Accept itself makes; a dropped query needs no buffer.
	base := testing.AllocsPerRun(1000, func() { s.Accept(client, nil) })
	dropping := newServer(t, newSource(), rate(1, -1))
	dropping.Accept(client, in)
	if n := testing.AllocsPerRun(1000, func() { dropping.Accept(client, in) }); n != base {
		t.Errorf("%v allocations, %v for what is no query", n, base)
	}
}

// TestT9ManyReaders has queries of one prefix judged on many goroutines: none gets through twice.
func TestT9ManyReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newSource())
		in := message(header(flagsQuery, 1), wireQuestion(t, zone, dns.TypeSOA))
		var mu sync.Mutex
		var all fate
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				f := burst(t, s, client4, 1000, in)
				mu.Lock()
				defer mu.Unlock()
				all.Answered += f.Answered
				all.Slipped += f.Slipped
				all.Dropped += f.Dropped
			})
		}
		wg.Wait()
		if want := (fate{200, 3900, 3900}); all != want {
			t.Errorf("%+v, want %+v", all, want)
		}
	})
}

func TestT9TCPIsExempt(t *testing.T) {
	s := start(t, newServer(t, newSource(), func(c *dnsserver.Config) { c.RateLimit, c.RateExempt = 1, []netip.Prefix{} }))
	over(t, "udp", s.addr, question(zone, dns.TypeSOA)) // which is all that this second has
	conn := dial(t, s.addr)
	for range 100 {
		conn.works()
	}
}

// TestT9Flood sends 100,000 queries from one prefix through sockets, with the exemption of loopback off: what comes back
// beyond the rate is at most as much as was sent beyond it.
func TestT9Flood(t *testing.T) {
	const queries, batch, limit = 100_000, 200, 200
	s := start(t, newServer(t, newSource(many(t, "_big._tcp", 20)), func(c *dnsserver.Config) {
		c.RateLimit, c.RateExempt = limit, []netip.Prefix{}
	}))
	conn, err := net.Dial("udp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	back := make(chan received, 1)
	go func() { back <- receiveAll(conn) }()

	in := withOptions(t, "_big._tcp."+zone, dns.TypeSRV, wireOption(dns.EDNS0COOKIE, make([]byte, 8)))
	tick := time.NewTicker(100 * time.Microsecond)
	defer tick.Stop()
	from := time.Now()
	for sent := 0; sent < queries; {
		for range batch {
			if _, err := conn.Write(in); err != nil {
				t.Fatal(err)
			}
			sent++
		}
		for ; judged(s.Stats()) < sent; <-tick.C { // so that the kernel drops nothing, whose fate nobody would know
			if time.Since(from) > 10*patience {
				t.Fatalf("%d of %d queries judged", judged(s.Stats()), sent)
			}
		}
	}
	took := time.Since(from)
	if err := conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	got := <-back
	// As the server counts them, whether or not they arrived here.
	answers, slipped := answered(s.Stats()), int(s.Stats().Slipped)
	t.Logf("%d queries of %d octets in %v: %d answers, %d truncated replies of %d octets, %d and %d of which arrived",
		queries, len(in), took, answers, slipped, got.largest, got.answers, got.truncated)
	if allowed := int(limit*(took.Seconds()+1)) + 1; answers > allowed || answers < limit || got.answers > answers {
		t.Errorf("%d answers, want %d to %d; %d arrived", answers, limit, allowed, got.answers)
	}
	if sent := (queries - answers) * len(in); slipped*got.largest > sent || got.truncated == 0 {
		t.Errorf("%d truncated replies of %d octets for %d octets sent", slipped, got.largest, sent)
	}
}

// judged is how many queries have met their fate.
func judged(s dnsserver.Stats) int { return answered(s) + int(s.Limited+s.Slipped) }

// answered is how many queries got their reply.
func answered(s dnsserver.Stats) (n int) {
	for _, r := range s.Requests {
		n += int(r.Count)
	}
	return n
}

// received is what came back: answers, and truncated replies with the octets of the largest.
type received struct{ answers, truncated, largest int }

// receiveAll reads replies until the connection's deadline.
func receiveAll(conn net.Conn) received {
	var r received
	buf := make([]byte, 2048)
	for {
		n, err := conn.Read(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return r
		case err != nil:
			continue
		case buf[2]&0x02 == 0:
			r.answers++
		default:
			r.truncated++
			r.largest = max(r.largest, n)
		}
	}
}
