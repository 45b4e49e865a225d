package e2e_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// newZonesServer starts a server of two zones with reverse zones and an instance of the same service in each.
func newZonesServer(t testing.TB) *server {
	t.Helper()
	s := serve(t, "--zone-reverse=10.0.0.0/8,fd00::/8", "--zone-others=lab.internal?reverse=10.9.0.0/16")
	s.put(t, "web", "a", `{"port":80,"addresses":["10.0.0.1","fd00::1"]}`)
	s.put(t, "db", "b", `{"port":80,"addresses":["10.0.0.1"]}`)
	status, body := s.call(t, http.MethodPut, "/v1/zones/lab.internal/services/web/instances/c", `{"port":80,"addresses":["10.9.0.1"]}`)
	if status != http.StatusCreated {
		t.Fatalf("register: %d: %s", status, body)
	}
	return s
}

// TestReverse has clients look addresses up the way their users do.
func TestReverse(t *testing.T) {
	s := newZonesServer(t)
	want := map[string][]string{
		"10.0.0.1": {"a.web.svc.internal.", "b.db.svc.internal."}, "fd00::1": {"a.web.svc.internal."}, "10.9.0.1": {"c.web.lab.internal."},
	}
	for name, lookup := range map[string]func(address string) string{
		"dig": func(address string) string {
			return output(t, "dig", "@127.0.0.1", "-p", s.port(), "+short", "-x", address)
		},
		"kdig": func(address string) string {
			return output(t, "kdig", "@127.0.0.1", "-p", s.port(), "+short", "-x", address)
		},
		"delv": func(address string) string {
			return output(t, "delv", "@127.0.0.1", "-p", s.port(), "+noroot", "-i", "+short", "-x", address)
		},
		"drill": func(address string) string {
			return matches(output(t, "drill", "-p", s.port(), "-x", address, "@127.0.0.1"), `(?m)\sPTR\s(\S+)$`)
		},
		"host": func(address string) string {
			return matches(output(t, "host", "-p", s.port(), address, "127.0.0.1"), `domain name pointer (.*)`)
		},
	} {
		for address, names := range want {
			got := strings.Fields(lookup(address))
			slices.Sort(got)
			if !slices.Equal(got, names) {
				t.Errorf("%s %s: %q, want %q", name, address, got, names)
			}
		}
	}
	s.call(t, http.MethodPatch, "/v1/services/db/instances/b", `{"state":"draining"}`)
	if got := strings.TrimSpace(output(t, "dig", "@127.0.0.1", "-p", s.port(), "+short", "-x", "10.0.0.1")); got != "a.web.svc.internal." {
		t.Errorf("while one drains: %q", got)
	}
}

// TestZonesOverDNS asks one server for both zones and compares what it says of them.
func TestZonesOverDNS(t *testing.T) {
	s := newZonesServer(t)
	for name, want := range map[string]string{
		"_web._tcp.svc.internal.": "0 1 80 a.web.svc.internal.", "_web._tcp.lab.internal.": "0 1 80 c.web.lab.internal.",
		"_db._tcp.svc.internal.": "0 1 80 b.db.svc.internal.", "_db._tcp.lab.internal.": "",
	} {
		if got := strings.TrimSpace(output(t, "dig", "@127.0.0.1", "-p", s.port(), "+short", name, "SRV")); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, apex := range []string{"svc.internal.", "lab.internal.", "10.in-addr.arpa.", "9.10.in-addr.arpa.", "d.f.ip6.arpa."} {
		if out := output(t, "dig", "@127.0.0.1", "-p", s.port(), "+noall", "+answer", apex, "SOA"); !strings.Contains(out, apex) || !strings.Contains(out, "SOA\tns1.") {
			t.Errorf("SOA of %s: %q", apex, out)
		}
	}
}
