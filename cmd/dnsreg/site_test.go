package main_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/configs"
	"github.com/dnsreg/dnsreg/internal/redistest"
)

// withLab adds a second zone to a configuration.
func withLab(cfg configs.Config) configs.Config {
	cfg.Zone.Others = []configs.Zone{{Name: "lab.internal"}}
	return cfg
}

// TestSnapshotFileOfEachZone restarts a server of two zones: each comes back from a file of its own.
func TestSnapshotFileOfEachZone(t *testing.T) {
	cfg := withLab(loopback())
	cfg.Store.SnapshotFile = filepath.Join(t.TempDir(), "snapshot")
	first := run(t, cfg)
	first.register(t, "web", "a")
	if status, body := first.call(t, http.MethodPut, "/v1/zones/lab.internal/services/db/instances/b", `{"port":80}`); status != http.StatusCreated {
		t.Fatalf("status %d: %s", status, body)
	}
	first.stop()
	if err := first.wait(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"snapshot": `"svc.internal."`, "snapshot.lab.internal.zone": `"lab.internal."`} {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(cfg.Store.SnapshotFile), name))
		if head, _, _ := strings.Cut(string(text), "\n"); err != nil || !strings.Contains(head, want) {
			t.Errorf("%s begins with %q, %v, want %s in it", name, head, err, want)
		}
	}
	second := run(t, cfg)
	for name, want := range map[string]int{
		"_web._tcp.svc.internal.": 1, "_web._tcp.lab.internal.": 0, "_db._tcp.svc.internal.": 0, "_db._tcp.lab.internal.": 1,
	} {
		if got := second.ask(t, name, dns.TypeSRV); len(got.Answer) != want {
			t.Errorf("%s: %v, want %d records", name, got.Answer, want)
		}
	}
	if _, page := second.call(t, http.MethodGet, "/metrics", ""); !strings.Contains(page, "\ndnsreg_instances{zone=\"lab.internal.\"} 1\n") ||
		!strings.Contains(page, "\ndnsreg_instances{zone=\"svc.internal.\"} 1\n") {
		t.Error("the page does not show the instances of each zone")
	}
}

// TestZonesOnOneRedis has two servers with two zones on one Redis: a registration with one is answered by the other, in
// its zone alone, and /readyz tells of both.
func TestZonesOnOneRedis(t *testing.T) {
	url := redistest.Start(t).URL()
	first := run(t, withLab(onRedis(url)))
	eventually(t, "the server is ready", func() bool {
		status, body := first.call(t, http.MethodGet, "/readyz", "")
		return status == http.StatusOK && strings.Contains(body, `"lab.internal.":{"bell":"up"`) && strings.Contains(body, `"svc.internal.":{"bell":"up"`)
	})
	second, err := startServer(t.TempDir(), "--store="+url, "--zone-others=lab.internal")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(second.kill)
	ask := func(name string) *dns.Msg {
		reply, err := dns.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeSRV), second.DNS[0])
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	if status, body := first.call(t, http.MethodPut, "/v1/zones/lab.internal/services/web/instances/b", `{"port":80,"addresses":["10.0.0.2"]}`); status != http.StatusCreated {
		t.Fatalf("status %d: %s", status, body)
	}
	eventually(t, "the other server answers it", func() bool {
		return len(ask("_web._tcp.lab.internal.").Answer) == 1
	})
	var other *dns.Msg // SERVFAIL until the server has read the zone
	eventually(t, "the other server knows the other zone", func() bool {
		other = ask("_web._tcp.svc.internal.")
		return other.Rcode != dns.RcodeServerFailure
	})
	if other.Rcode != dns.RcodeNameError {
		t.Errorf("in the other zone: %v", other)
	}
}
