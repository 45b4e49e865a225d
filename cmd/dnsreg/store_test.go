package main_test

import (
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	dnsreg "github.com/dnsreg/dnsreg/cmd/dnsreg"
	"github.com/dnsreg/dnsreg/configs"
	"github.com/dnsreg/dnsreg/internal/redistest"
)

// TestSnapshotFile stops a server and starts another with the same file, which answers before any heartbeat.
func TestSnapshotFile(t *testing.T) {
	cfg := loopback()
	cfg.Store.SnapshotFile = filepath.Join(t.TempDir(), "snapshot")
	first := run(t, cfg)
	first.register(t, "web", "a")
	want := first.ask(t, "_web._tcp.svc.internal.", dns.TypeSRV)
	serial := first.ask(t, "svc.internal.", dns.TypeSOA).Answer[0].(*dns.SOA).Serial
	first.stop()
	if err := first.wait(); err != nil {
		t.Fatal(err)
	}
	second := run(t, cfg)
	if got := second.ask(t, "_web._tcp.svc.internal.", dns.TypeSRV); len(got.Answer) != 1 || got.Answer[0].String() != want.Answer[0].String() {
		t.Errorf("after the restart: %v, before: %v", got.Answer, want.Answer)
	}
	if got := second.ask(t, "svc.internal.", dns.TypeSOA).Answer[0].(*dns.SOA).Serial; got != serial {
		t.Errorf("after the restart the serial is %d, before %d", got, serial)
	}
	second.register(t, "web", "b")
	second.call(t, http.MethodPost, "/v1/services/web/instances/a/heartbeat", "")
	if _, page := second.call(t, http.MethodGet, "/metrics", ""); !strings.Contains(page, "\ndnsreg_store_snapshots_total{result=\"written\",zone=\"svc.internal.\"} ") {
		t.Errorf("the page does not show the writes of the file")
	}
	if log := second.log.String(); !strings.Contains(log, `msg="snapshot restored"`) {
		t.Errorf("the log does not tell of the file:\n%s", log)
	}
}

// TestSnapshotFileThatCannotBe has a server refuse to start, listening nowhere.
func TestSnapshotFileThatCannotBe(t *testing.T) {
	defer goleak.VerifyNone(t)
	cfg := loopback()
	cfg.Store.SnapshotFile = filepath.Join(t.TempDir(), "no", "snapshot")
	d, err := dnsreg.NewDaemon(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Listen(); err != nil {
		t.Fatal(err)
	}
	if err := d.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "store.snapshot_file: ") {
		t.Errorf("run: %v, want an error of store.snapshot_file", err)
	}
	if _, err := http.Get(d.URL() + "/livez"); err == nil {
		t.Error("HTTP still answers")
	}
}

// onRedis is the default configuration on a Redis.
func onRedis(url string) configs.Config {
	cfg := loopback()
	cfg.Store.URL = url
	return cfg
}

// TestRedisPage holds that what the store counts is on the page, and its parts' states in /readyz.
func TestRedisPage(t *testing.T) {
	r := run(t, onRedis(redistest.Start(t).URL()))
	eventually(t, "the server is ready", func() bool {
		status, body := r.call(t, http.MethodGet, "/readyz", "")
		return status == http.StatusOK && strings.Contains(body, `"store":{"bell":"up","reaper":"active"}`)
	})
	if got := r.register(t, "web", "a"); got != http.StatusCreated {
		t.Fatalf("register: status %d", got)
	}
	_, page := r.call(t, http.MethodGet, "/metrics", "")
	for _, want := range []string{
		`dnsreg_store_state{state="synced",zone="svc.internal."} 1`, `dnsreg_store_bell{state="up",zone="svc.internal."} 1`, `dnsreg_store_reaper{state="active",zone="svc.internal."} 1`,
		`dnsreg_store_registrations_total{zone="svc.internal."} 1`, `dnsreg_instances{zone="svc.internal."} 1`, `dnsreg_store_polls_total{zone="svc.internal."} `,
	} {
		if !strings.Contains(page, "\n"+want) {
			t.Errorf("the page does not show %s", want)
		}
	}
	eventually(t, "the last look at Redis is less than a second old", func() bool {
		_, page := r.call(t, http.MethodGet, "/metrics", "")
		_, rest, _ := strings.Cut(page, "\ndnsreg_store_last_sync_age_seconds{zone=\"svc.internal.\"} ")
		age := math.NaN()
		_, err := fmt.Sscan(rest, &age) // 5e-05 right after a look
		return err == nil && 0 <= age && age < 1
	})
	if _, body := r.call(t, http.MethodPut, "/v1/services/web/instances/b", `{"port":80}`); !strings.Contains(body, "127.0.0.1 is a loopback address") {
		t.Errorf("a loopback address on a shared store: %s, want a warning", body)
	}
}

// TestRedisKeys sets the keys that say something about a Redis and looks for each of them.
func TestRedisKeys(t *testing.T) {
	server := redistest.Start(t, redistest.WithTLS())
	cfg := onRedis(server.URL())
	cfg.Store.TLSCA = server.CAFile()
	cfg.Store.Prefix = "other"
	cfg.Store.Notify = configs.NotifyOff
	r := run(t, cfg)
	eventually(t, "the server is ready, without a bell", func() bool {
		status, body := r.call(t, http.MethodGet, "/readyz", "")
		return status == http.StatusOK && strings.Contains(body, `"bell":"off"`)
	})
	if got := r.register(t, "web", "a"); got != http.StatusCreated {
		t.Fatalf("register: status %d", got)
	}
	if n := server.Do("EXISTS", "other:{svc.internal.}:rec:_web._tcp"); n != int64(1) {
		t.Errorf("store.prefix: %v records under it, keys %v", n, server.Do("KEYS", "*"))
	}
}

// TestRedisNotTrusted holds that a Redis whose certificate nobody signed is not used.
func TestRedisNotTrusted(t *testing.T) {
	server := redistest.Start(t, redistest.WithTLS())
	r := run(t, onRedis(server.URL()))
	eventually(t, "the log tells why", func() bool { return strings.Contains(r.log.String(), "certificate") })
	if status, body := r.call(t, http.MethodGet, "/readyz", ""); status != http.StatusServiceUnavailable {
		t.Errorf("ready: %d: %s", status, body)
	}
}

func TestTLSFilesAreRead(t *testing.T) {
	server := redistest.Start(t, redistest.WithTLS())
	pem, err := os.ReadFile(server.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	noKey := filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(noKey, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := onRedis(server.URL())
	cfg.Store.TLSCert, cfg.Store.TLSKey = noKey, noKey
	if _, err := dnsreg.NewDaemon(cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "store.tls_cert ") {
		t.Errorf("a certificate without a key: %v", err)
	}
}
