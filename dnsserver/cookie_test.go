package dnsserver_test

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
)

// Secrets and clients of RFC 9018 appendix A.
const (
	secretA = "e5e973e5a6b2a43f48e7dc849e37bfcf"
	secretB = "dd3bdf9344b678b185a6f5cb60fca715"
	secretC = "445536bcd2513298075a5d379663c962"

	client4 = "198.51.100.100"
	client6 = "2001:db8:220:1:59de:d0f4:8769:82b8"
)

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func secrets(tb testing.TB, list ...string) func(*dnsserver.Config) {
	return func(c *dnsserver.Config) {
		for _, s := range list {
			c.CookieSecrets = append(c.CookieSecrets, dnsserver.CookieSecret(unhex(tb, s)))
		}
	}
}

// cookieOf asks with a cookie in hex and returns the one in the reply.
func cookieOf(tb testing.TB, s *dnsserver.Server, client, cookie string) string {
	tb.Helper()
	in := withOptions(tb, zone, dns.TypeSOA, wireOption(dns.EDNS0COOKIE, unhex(tb, cookie)))
	out := s.AnswerTo(dnsserver.Client{Addr: netip.MustParseAddr(client)}, in, nil)
	if len(out) < 12 || out[3]&0xf != 0 || out[7] != 1 {
		tb.Fatalf("reply %x", out)
	}
	return hex.EncodeToString(option(tb, out, dns.EDNS0COOKIE))
}

// confirm asks with a cookie and no question, and returns the response code and the cookie in the reply.
func confirm(tb testing.TB, s *dnsserver.Server, client string, cookie []byte) (rcode, renewed string) {
	tb.Helper()
	in := message(header(flagsQuery, 0, 0, 0, 1), wireOPT(1232, 0, 0, wireOption(dns.EDNS0COOKIE, cookie)))
	out := s.AnswerTo(dnsserver.Client{Addr: netip.MustParseAddr(client)}, in, nil)
	var m dns.Msg
	if err := m.Unpack(out); err != nil {
		tb.Fatalf("reply %x: %v", out, err)
	}
	if len(m.Question)+len(m.Answer)+len(m.Ns) > 0 {
		tb.Errorf("more than an OPT record: %v", &m)
	}
	return dns.RcodeToString[m.Rcode], hex.EncodeToString(option(tb, out, dns.EDNS0COOKIE))
}

// until lets the clock of a bubble go on to a second of Unix time.
func until(unix int64) { time.Sleep(time.Until(time.Unix(unix, 0))) }

// TestE16Vectors are those of RFC 9018 appendix A. The cookie of A.3 is too old by the time of its reply, so the hash over
// its reserved octets is checked when it was young.
func TestE16Vectors(t *testing.T) {
	for _, tt := range []struct {
		name, client, in, want string
		secrets                []string
		at                     int64
	}{
		{"A.1", client4, "2464c4abcf10c957", "2464c4abcf10c957010000005cf79f111f8130c3eee29480", []string{secretA}, 1559731985},
		{"A.2", client4, "2464c4abcf10c957010000005cf79f111f8130c3eee29480", "2464c4abcf10c957010000005cf7a871d4a564a1442aca77", []string{secretA}, 1559734385},
		{"A.3", "203.0.113.203", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e", []string{secretA}, 1559734700},
		{"A.3, young", "203.0.113.203", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", []string{secretA}, 1559727985},
		{"A.4", client6, "22681ab97d52c298010000005cf7c57926556bd0934c72f8", "22681ab97d52c298010000005cf7c609a6bb79d16625507a", []string{secretC, secretB}, 1559741961},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				until(tt.at)
				s := newServer(t, newSource(), secrets(t, tt.secrets...))
				if got := cookieOf(t, s, tt.client, tt.in); got != tt.want {
					t.Errorf("cookie %s, want %s", got, tt.want)
				}
			})
		})
	}
}

// TestE16AgesOfCookies makes a cookie and brings it back at other times.
func TestE16AgesOfCookies(t *testing.T) {
	const made = 1_900_000_000
	for _, tt := range []struct {
		age   int64
		rcode string
		kept  bool
	}{
		{-301, "BADCOOKIE", false},
		{-300, "NOERROR", true},
		{0, "NOERROR", true},
		{1800, "NOERROR", true},
		{1801, "NOERROR", false},
		{3600, "NOERROR", false},
		{3601, "BADCOOKIE", false},
		{1 << 31, "BADCOOKIE", false},
	} {
		t.Run(fmt.Sprint(tt.age), func(t *testing.T) {
			var cookie string
			synctest.Test(t, func(t *testing.T) {
				until(made)
				cookie = cookieOf(t, newServer(t, newSource(), secrets(t, secretA)), client4, "0102030405060708")
			})
			synctest.Test(t, func(t *testing.T) {
				until(made + tt.age)
				s := newServer(t, newSource(), secrets(t, secretA))
				rcode, renewed := confirm(t, s, client4, unhex(t, cookie))
				if rcode != tt.rcode || (renewed == cookie) != tt.kept {
					t.Errorf("%s, %s for %s", rcode, renewed, cookie)
				}
				if again, _ := confirm(t, s, client4, unhex(t, renewed)); again != "NOERROR" {
					t.Errorf("%s for the new cookie", again)
				}
			})
		})
	}
}

// TestE16Rollover has servers change from one secret to the next, one after another: no cookie is refused on the way.
func TestE16Rollover(t *testing.T) {
	steps := []*dnsserver.Server{
		newServer(t, newSource(), secrets(t, secretA)),
		newServer(t, newSource(), secrets(t, secretA, secretB)),
		newServer(t, newSource(), secrets(t, secretB, secretA)),
		newServer(t, newSource(), secrets(t, secretB)),
	}
	for i := range len(steps) - 1 {
		for _, pair := range [][2]*dnsserver.Server{{steps[i], steps[i+1]}, {steps[i+1], steps[i]}} {
			cookie := cookieOf(t, pair[0], client4, "0102030405060708")
			if rcode, _ := confirm(t, pair[1], client4, unhex(t, cookie)); rcode != "NOERROR" {
				t.Errorf("between steps %d and %d: %s", i, i+1, rcode)
			}
		}
	}
	cookie := cookieOf(t, steps[0], client4, "0102030405060708")
	if rcode, renewed := confirm(t, steps[3], client4, unhex(t, cookie)); rcode != "BADCOOKIE" || renewed == cookie {
		t.Errorf("a secret that is gone: %s", rcode)
	}
}

// TestE16WhatIsNoProof treats a bad server cookie like none: an answer, and a good cookie (RFC 7873 section 5.2.3).
func TestE16WhatIsNoProof(t *testing.T) {
	s := newServer(t, newSource(), secrets(t, secretA))
	good := unhex(t, cookieOf(t, s, client4, "0102030405060708"))
	changed := func(i int) []byte {
		b := message(good)
		b[i] ^= 1
		return b
	}
	for _, tt := range []struct {
		name, client string
		in           []byte
	}{
		{"another address", "198.51.100.101", good},
		{"an address of the other family", client6, good},
		{"another client cookie", client4, changed(0)},
		{"another version", client4, changed(8)},
		{"another reserved octet", client4, changed(9)},
		{"another time", client4, changed(15)},
		{"another hash", client4, changed(23)},
		{"a short one", client4, good[:16]},
		{"a long one", client4, append(message(good), 0)},
		{"one of another server", client4, unhex(t, cookieOf(t, newServer(t, newSource()), client4, "0102030405060708"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			renewed := cookieOf(t, s, tt.client, hex.EncodeToString(tt.in))
			if rcode, _ := confirm(t, s, tt.client, tt.in); rcode != "BADCOOKIE" {
				t.Errorf("%s without a question", rcode)
			}
			if rcode, _ := confirm(t, s, tt.client, unhex(t, renewed)); rcode != "NOERROR" {
				t.Errorf("%s for the cookie of the reply", rcode)
			}
		})
	}
}

func TestE16Lengths(t *testing.T) {
	s := newServer(t, newSource())
	from := dnsserver.Client{Addr: netip.MustParseAddr(client4)}
	for n := range 50 {
		want := dns.RcodeFormatError
		if n == 8 || n >= 16 && n <= 40 {
			want = dns.RcodeSuccess
		}
		out := s.AnswerTo(from, withOptions(t, zone, dns.TypeSOA, wireOption(dns.EDNS0COOKIE, make([]byte, n))), nil)
		if got := int(out[3] & 0xf); got != want {
			t.Errorf("%d octets: rcode %d, want %d", n, got, want)
		}
	}
	two := withOptions(t, zone, dns.TypeSOA, wireOption(dns.EDNS0COOKIE, make([]byte, 8)), wireOption(dns.EDNS0COOKIE, make([]byte, 3)))
	if out := s.AnswerTo(from, two, nil); out[3]&0xf != 0 {
		t.Error("a second option counts")
	}
}

func TestB12E16CookieWithoutQuestion(t *testing.T) {
	s := newServer(t, newSource())
	rcode, cookie := confirm(t, s, client6, make([]byte, 8))
	if rcode != "NOERROR" || len(cookie) != 48 {
		t.Errorf("%s, cookie %s", rcode, cookie)
	}
	if rcode, again := confirm(t, s, client6, unhex(t, cookie)); rcode != "NOERROR" || again != cookie {
		t.Errorf("%s, cookie %s for %s", rcode, again, cookie)
	}
	in := message(header(flagsQuery, 0, 0, 0, 1), wireOPT(1232, 0, 0, wireOption(dns.EDNS0COOKIE, make([]byte, 8))))
	if out := s.Answer(in, nil, dnsserver.UDP); out[3]&0xf != dns.RcodeFormatError {
		t.Errorf("without an address: %x", out)
	}
}

func TestE16Off(t *testing.T) {
	s := newServer(t, newSource(), func(c *dnsserver.Config) { c.NoCookies = true }, secrets(t, secretA))
	for _, n := range []int{3, 8, 24} {
		if got := cookieOf(t, s, client4, hex.EncodeToString(make([]byte, n))); got != "" {
			t.Errorf("%d octets: cookie %s", n, got)
		}
	}
	if rcode, cookie := confirm(t, s, client4, make([]byte, 8)); rcode != "FORMERR" || cookie != "" {
		t.Errorf("without a question: %s, cookie %s", rcode, cookie)
	}
}

// TestE16HasItsRoom brings a cookie with questions for answers of every size: it is in every reply.
func TestE16HasItsRoom(t *testing.T) {
	src := newSource()
	s := newServer(t, src)
	for n := range 40 {
		src.set(many(t, "_web._tcp", n+1))
		in := withOptions(t, "_web._tcp."+zone, dns.TypeSRV, wireOption(dns.EDNS0COOKIE, make([]byte, 8)))
		out := s.AnswerTo(dnsserver.Client{Addr: netip.MustParseAddr(client4)}, in, nil)
		if len(out) > 1232 || len(option(t, out, dns.EDNS0COOKIE)) != 24 {
			t.Errorf("%d instances: %d octets, cookie %x", n+1, len(out), option(t, out, dns.EDNS0COOKIE))
		}
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	secret := dnsserver.CookieSecret(unhex(t, secretA))
	if got := fmt.Sprintf("%v %s", secret, []dnsserver.CookieSecret{secret}); got != "(secret) [(secret)]" {
		t.Errorf("printed as %s", got)
	}
}

// TestE16AnswersAllocateNothing holds the path with a cookie to what the others keep to.
func TestE16AnswersAllocateNothing(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	in := withOptions(t, "_http._tcp."+zone, dns.TypeSRV, wireOption(dns.EDNS0COOKIE, make([]byte, 24)))
	buf := make([]byte, 0, 1232)
	client := netip.MustParseAddr(client6)
	if n := testing.AllocsPerRun(1000, func() { buf = s.AnswerTo(dnsserver.Client{Addr: client}, in, buf[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestParseCookieSecrets(t *testing.T) {
	for _, tt := range []struct {
		name, in, want string
		n              int
	}{
		{"one", secretA + "\n", "", 1},
		{"two, with comments", "# in use\n" + secretA + "\n\n  # before\n\t" + strings.ToUpper(secretB) + "\r\n", "", 2},
		{"no newline", secretA, "", 1},
		{"none", "# nothing\n", "0 secrets, must be one or two", 0},
		{"three", secretA + "\n" + secretB + "\n" + secretC, "3 secrets, must be one or two", 0},
		{"short", "\n" + secretA[2:], "line 2: must be 32 hex digits", 0},
		{"no hex", secretA + "\n" + strings.Repeat("x", 32), "line 2: must be 32 hex digits", 0},
		{"two on a line", secretA + " " + secretB, "line 1: must be 32 hex digits", 0},
		{"a line without end", strings.Repeat("0", 1<<20), "read secrets: bufio.Scanner: token too long", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := dnsserver.ParseCookieSecrets(strings.NewReader(tt.in))
			message := ""
			if err != nil {
				message = err.Error()
			}
			if len(got) != tt.n || message != tt.want {
				t.Errorf("%d secrets, error %q; want %d, %q", len(got), message, tt.n, tt.want)
			}
			if tt.n > 0 && got[0] != dnsserver.CookieSecret(unhex(t, secretA)) {
				t.Error("another secret is first")
			}
		})
	}
}

func FuzzParseCookieSecrets(f *testing.F) {
	f.Add(secretA + "\n#\n" + secretB)
	f.Fuzz(func(t *testing.T, in string) {
		secrets, err := dnsserver.ParseCookieSecrets(strings.NewReader(in))
		if (err == nil) != (len(secrets) == 1 || len(secrets) == 2) {
			t.Errorf("%d secrets, error %v", len(secrets), err)
		}
	})
}
