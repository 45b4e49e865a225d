package endpoint_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/dnsreg/dnsreg/store/memstore"
)

// proxies are trusted in the tests.
func proxies() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}
}

func TestCaller(t *testing.T) {
	tests := []struct {
		name, peer string
		forwarded  []string
		want       string // empty: refused
	}{
		{"peer", "192.0.2.1:4711", nil, "192.0.2.1"},
		{"peer over IPv6", "[2001:db8::1]:4711", nil, "2001:db8::1"},
		{"peer mapped", "[::ffff:192.0.2.1]:4711", nil, "192.0.2.1"},
		{"claim of a stranger", "192.0.2.1:4711", []string{"198.51.100.7"}, "192.0.2.1"},
		{"proxy", "10.0.0.1:4711", []string{"198.51.100.7"}, "198.51.100.7"},
		{"proxy mapped", "[::ffff:10.0.0.1]:4711", []string{"198.51.100.7"}, "198.51.100.7"},
		{"proxy over IPv6", "[2001:db8:1::1]:4711", []string{"2001:db8::7"}, "2001:db8::7"},
		{"proxy itself", "10.0.0.1:4711", nil, "10.0.0.1"},
		{"proxy with an empty header", "10.0.0.1:4711", []string{" "}, "10.0.0.1"},
		{"claim before a proxy", "10.0.0.1:4711", []string{"203.0.113.9, 198.51.100.7"}, "198.51.100.7"},
		{"claim to be a proxy", "10.0.0.1:4711", []string{"10.9.9.9, 198.51.100.7"}, "198.51.100.7"},
		{"two proxies", "10.0.0.1:4711", []string{"203.0.113.9, 198.51.100.7, 10.0.0.2"}, "198.51.100.7"},
		{"two headers", "10.0.0.1:4711", []string{"203.0.113.9", "198.51.100.7,10.0.0.2"}, "198.51.100.7"},
		{"proxies all the way", "10.0.0.1:4711", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"with a port", "10.0.0.1:4711", []string{"198.51.100.7:80"}, "198.51.100.7"},
		{"IPv6 with a port", "10.0.0.1:4711", []string{"[2001:db8::7]:80"}, "2001:db8::7"},
		{"IPv6 in brackets", "10.0.0.1:4711", []string{"[2001:db8::7]"}, "2001:db8::7"},
		{"mapped entry", "10.0.0.1:4711", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		{"nonsense behind the caller", "10.0.0.1:4711", []string{"unknown, 198.51.100.7"}, "198.51.100.7"},
		{"nonsense", "10.0.0.1:4711", []string{"unknown"}, ""},
		{"nonsense before a proxy", "10.0.0.1:4711", []string{"198.51.100.7, x, 10.0.0.2"}, ""},
		{"empty entry", "10.0.0.1:4711", []string{"198.51.100.7,"}, ""},
		{"unspecified", "10.0.0.1:4711", []string{"0.0.0.0"}, ""},
		{"no address", "@", nil, ""},
		{"link-local", "[fe80::1%eth0]:4711", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t, memstore.Config{})
			cfg := config(s)
			cfg.TrustedProxies = proxies()
			a := newAPI(t, cfg)
			a.peer = tt.peer
			var headers []string
			for _, h := range tt.forwarded {
				headers = append(headers, "X-Forwarded-For", h)
			}
			got := a.call(t, "PUT", web1, `{"port":80}`, headers...)
			if tt.want == "" {
				if e := got.problem(t).Errors; len(e) != 1 || !strings.HasPrefix(e[0].Field, "addresses") || s.View().Instances() != 0 {
					t.Errorf("status %d: %s", got.status, got.body)
				}
				return
			}
			live := s.View().Service("_web._tcp").Find("web-1")
			if live == nil || live.Addresses[0].String() != tt.want {
				t.Errorf("status %d: %s", got.status, got.body)
			}
		})
	}
}

// TestCallerIsNotNeeded holds that a registration that says where it is does not depend on who made it.
func TestCallerIsNotNeeded(t *testing.T) {
	s := newStore(t, memstore.Config{})
	a := newAPI(t, config(s))
	a.peer = "@"
	a.must(t, 201, "PUT", web1, body)
	a.must(t, 201, "PUT", id("external"), `{"port":80,"host":"db.example.org."}`)
	if got := s.View().Service("_web._tcp").Find("web-1").Addresses[0].String(); got != "10.0.0.5" {
		t.Errorf("address %s", got)
	}
}

// TestCallerThatIsNotNamed holds that a header which names nobody is shown, as far as it is worth showing.
func TestCallerThatIsNotNamed(t *testing.T) {
	cfg := config(newStore(t, memstore.Config{}))
	cfg.TrustedProxies = proxies()
	a := newAPI(t, cfg)
	a.peer = "10.0.0.1:1"
	for header, want := range map[string]string{
		"198.51.100.7, some host, 10.0.0.2": `does not name the caller: "some host"`,
		strings.Repeat("x", 9000):           `does not name the caller: "` + strings.Repeat("x", 64) + `"`,
	} {
		got := a.call(t, "PUT", web1, `{"port":80}`, "X-Forwarded-For", header).problem(t)
		if len(got.Errors) != 1 || !strings.HasSuffix(got.Errors[0].Rule, want) {
			t.Errorf("errors %+v, want the rule to end in %s", got.Errors, want)
		}
	}
}

// FuzzCaller holds that no header makes a caller of a stranger's claim, or panics.
func FuzzCaller(f *testing.F) {
	f.Add("203.0.113.9, 198.51.100.7, 10.0.0.2")
	f.Add("[2001:db8::7]:80")
	f.Fuzz(func(t *testing.T, header string) {
		s := newStore(t, memstore.Config{})
		cfg := config(s)
		cfg.TrustedProxies = proxies()
		a := newAPI(t, cfg)
		a.must(t, 201, "PUT", web1, `{"port":80}`)
		got := a.call(t, "PUT", web1, `{"port":80}`, "X-Forwarded-For", header)
		live := s.View().Service("_web._tcp").Find("web-1")
		if got.status != 200 || live.Addresses[0].String() != "192.0.2.1" {
			t.Errorf("status %d, %v", got.status, live.Addresses)
		}
		a.peer = "10.0.0.1:1"
		if got := a.call(t, "PUT", web1, `{"port":80}`, "X-Forwarded-For", header); got.status != 200 && got.status != 422 {
			t.Errorf("status %d: %s", got.status, got.body)
		}
	})
}
