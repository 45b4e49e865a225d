package main_test

import (
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	dnsreg "github.com/dnsreg/dnsreg/cmd/dnsreg"
	"github.com/dnsreg/dnsreg/configs"
)

// secretFile writes a file of cookie secrets.
func secretFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secrets")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// exchange sends a query over UDP and returns the reply.
func (r *running) exchange(t testing.TB, m *dns.Msg) *dns.Msg {
	t.Helper()
	reply, _, err := (&dns.Client{Timeout: patience}).Exchange(m, r.DNS()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// optioned asks for the zone's SOA with EDNS options and returns those of the reply, each as text.
func (r *running) optioned(t testing.TB, options ...dns.EDNS0) map[uint16]string {
	t.Helper()
	m := new(dns.Msg).SetQuestion("svc.internal.", dns.TypeSOA)
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = options
	told := make(map[uint16]string)
	for _, o := range r.exchange(t, m).IsEdns0().Option {
		told[o.Option()] = strings.ReplaceAll(o.String(), " ", "")
	}
	return told
}

func TestDNSTellsWhoItIs(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, nsid, want string
		chaos            bool
	}{
		{"default", "", "", false},
		{"a name", "ns-a", "ns-a", true},
		{"the machine's name", configs.HostName, host, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := loopback()
			cfg.DNS.NSID, cfg.DNS.Chaos = tt.nsid, tt.chaos
			r := run(t, cfg)
			if told := r.optioned(t, &dns.EDNS0_NSID{Code: dns.EDNS0NSID})[dns.EDNS0NSID]; told != hex.EncodeToString([]byte(tt.want)) {
				t.Errorf("NSID %s, want %q in hex", told, tt.want)
			}
			for name, want := range map[string]string{"id.server.": tt.want, "version.bind.": "dnsreg "} {
				m := new(dns.Msg).SetQuestion(name, dns.TypeTXT)
				m.Question[0].Qclass = dns.ClassCHAOS
				reply := r.exchange(t, m)
				switch {
				case !tt.chaos && reply.Rcode != dns.RcodeRefused:
					t.Errorf("%s: %v, want it refused", name, reply)
				case tt.chaos && (len(reply.Answer) != 1 || !strings.HasPrefix(reply.Answer[0].(*dns.TXT).Txt[0], want)):
					t.Errorf("%s: %v, want %s", name, reply, want)
				}
			}
		})
	}
}

// TestDNSCookies takes a cookie from one server to others, one after another: with its secret, another one, and none.
func TestDNSCookies(t *testing.T) {
	const a, b = "000102030405060708090a0b0c0d0e0f", "101112131415161718191a1b1c1d1e1f"
	secret := func(text string) func(*configs.DNS) {
		return func(c *configs.DNS) { c.CookieSecrets = secretFile(t, text) }
	}
	cookie := "0102030405060708"
	for _, tt := range []struct {
		name   string
		change func(*configs.DNS)
		length int
		same   bool
	}{
		{"none yet", secret(a + "\n"), 48, false},
		{"the same secret", secret("# one\n" + a), 48, true},
		{"the same as the second", secret(b + "\n" + a), 48, false},
		{"that secret", secret(b), 48, true},
		{"a random one", func(*configs.DNS) {}, 48, false},
		{"no cookies", func(c *configs.DNS) { c.Cookies = false }, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := loopback()
			tt.change(&cfg.DNS)
			got := run(t, cfg).optioned(t, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie})[dns.EDNS0COOKIE]
			if len(got) != tt.length || (got == cookie) != tt.same {
				t.Errorf("%q for %q", got, cookie)
			}
			cookie = got
		})
	}
}

func TestDNSCookieSecretsWrong(t *testing.T) {
	empty, short := secretFile(t, "# nothing\n"), secretFile(t, "0011223344\n")
	for path, want := range map[string]string{
		"/does/not/exist": "dns.cookie_secrets: open /does/not/exist: ",
		empty:             `dns.cookie_secrets "` + empty + `": 0 secrets, must be one or two`,
		short:             `dns.cookie_secrets "` + short + `": line 1: must be 32 hex digits`,
	} {
		cfg := loopback()
		cfg.DNS.CookieSecrets = path
		_, err := dnsreg.NewDaemon(cfg, slog.New(slog.DiscardHandler))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// TestDNSRate allows one reply a second: of three queries one is answered, one gets nothing and one a truncated reply.
func TestDNSRate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*configs.DNS)
		want   rateReplies
	}{
		{"exempt by default", func(c *configs.DNS) { c.RateLimit = 1 }, rateReplies{whole: 3}},
		{"no limit", func(c *configs.DNS) { c.RateLimit, c.RateExempt = 0, nil }, rateReplies{whole: 3}},
		{"limit", func(c *configs.DNS) { c.RateLimit, c.RateExempt = 1, nil }, rateReplies{whole: 1, truncated: 1}},
		{"no slip", func(c *configs.DNS) { c.RateLimit, c.RateSlip, c.RateExempt = 1, 0, nil }, rateReplies{whole: 1}},
		{"others exempt", func(c *configs.DNS) {
			c.RateLimit, c.RateExempt = 1, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		}, rateReplies{whole: 1, truncated: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := loopback()
			tt.change(&cfg.DNS)
			var got rateReplies
			for range 4 { // a second may end between the three queries, but not each time
				if got = askThrice(t, cfg); got == tt.want {
					return
				}
			}
			t.Errorf("replies %+v, want %+v", got, tt.want)
		})
	}
}

// rateReplies counts replies by whether they are truncated; their order is that of the readers which sent them.
type rateReplies struct{ whole, truncated int }

// askThrice sends three queries at once to a new server and counts the replies.
func askThrice(t *testing.T, cfg configs.Config) (got rateReplies) {
	t.Helper()
	conn, err := dns.DialTimeout("udp", run(t, cfg).DNS()[0].String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 3 {
		if err := conn.WriteMsg(new(dns.Msg).SetQuestion("svc.internal.", dns.TypeSOA)); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		reply, err := conn.ReadMsg()
		switch {
		case err != nil:
			return got
		case reply.Truncated:
			got.truncated++
		default:
			got.whole++
		}
	}
	return got
}

// asked dials a server over TCP and returns the connection once it has had a reply on it, or why it had none.
func (r *running) asked(t testing.TB) (net.Conn, error) {
	t.Helper()
	conn, err := dns.DialTimeout("tcp", r.DNS()[0].String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	if err := conn.WriteMsg(new(dns.Msg).SetQuestion("svc.internal.", dns.TypeSOA)); err != nil {
		return nil, err
	}
	_, err = conn.ReadMsg()
	return conn.Conn, err
}

// TestDNSConnections allows four connections, and so one of this client: the second takes the place of the first, which it
// can once the server waits for more on that.
func TestDNSConnections(t *testing.T) {
	cfg := loopback()
	cfg.DNS.TCPConnections = 4
	r := run(t, cfg)
	first, err := r.asked(t)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "another connection is answered", func() bool {
		_, err := r.asked(t)
		return err == nil
	})
	if _, err := first.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the first connection: %v, want its end", err)
	}
}
