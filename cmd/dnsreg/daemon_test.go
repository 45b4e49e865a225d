package main_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	dnsreg "github.com/dnsreg/dnsreg/cmd/dnsreg"
	"github.com/dnsreg/dnsreg/configs"
)

// running is a daemon in this process.
type running struct {
	*dnsreg.Daemon
	log  *logText
	stop context.CancelFunc
	done chan error
}

// loopback is the default configuration on free ports.
func loopback() configs.Config {
	cfg := configs.Default()
	cfg.DNS.Listen = []string{"127.0.0.1:0"}
	cfg.HTTP.Listen = []string{"127.0.0.1:0"}
	return cfg
}

// run runs a daemon that ends with the test and must leave nothing behind.
func run(t testing.TB, cfg configs.Config) *running {
	t.Helper()
	others := goleak.IgnoreCurrent() // a Redis that the test started, which ends after the daemon
	t.Cleanup(func() { goleak.VerifyNone(t, others) })
	r := &running{log: &logText{}, done: make(chan error, 1)}
	var err error
	r.Daemon, err = dnsreg.NewDaemon(cfg, slog.New(slog.NewTextHandler(r.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() { r.done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		http.DefaultClient.CloseIdleConnections()
		if err := r.wait(); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return r
}

// wait returns what Run returned, now and at every later call.
func (r *running) wait() error {
	err := <-r.done
	r.done <- err
	return err
}

// ask sends one query over UDP and returns the reply.
func (r *running) ask(t testing.TB, name string, qtype uint16) *dns.Msg {
	t.Helper()
	return r.exchange(t, new(dns.Msg).SetQuestion(name, qtype))
}

// call makes one HTTP request and returns the status and the body of its reply.
func (r *running) call(t testing.TB, method, path, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

// register registers an instance on port 80 with the caller's address.
func (r *running) register(t testing.TB, service, id string, header ...string) int {
	t.Helper()
	status, _ := r.call(t, http.MethodPut, "/v1/services/"+service+"/instances/"+id, `{"port":80}`, header...)
	return status
}

// eventually polls until ok, and fails the test if that takes longer than patience.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func TestStopOrder(t *testing.T) {
	r := run(t, loopback())
	address := strings.TrimPrefix(r.URL(), "http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	head := "PUT /v1/services/web/instances/last HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n"
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, len("HTTP/1.1 100"))
	if _, err := io.ReadFull(conn, reply); err != nil || string(reply) != "HTTP/1.1 100" {
		t.Fatalf("the call does not run: %q, %v", reply, err)
	}

	r.stop()
	eventually(t, "HTTP accepts nobody", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	if got := r.ask(t, "svc.internal.", dns.TypeSOA); got.Rcode != dns.RcodeSuccess {
		t.Errorf("while a call runs DNS replies %s", dns.RcodeToString[got.Rcode])
	}
	if _, err := io.WriteString(conn, `{"port":80}`); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(conn)
	if err != nil || !bytes.Contains(rest, []byte("201 Created")) {
		t.Errorf("the call that ran got %q, %v; want 201", rest, err)
	}
	if err := r.wait(); err != nil {
		t.Errorf("run: %v", err)
	}
	if _, err := dns.Exchange(new(dns.Msg).SetQuestion("svc.internal.", dns.TypeSOA), r.DNS()[0].String()); err == nil {
		t.Error("DNS replies after the end")
	}
	if log := r.log.String(); !strings.Contains(log, "msg=stopping") || !strings.Contains(log, "msg=stopped") {
		t.Errorf("the log does not tell of the stop:\n%s", log)
	}
}

// TestPartThatEndsEndsAll has HTTP end by not having it listen.
func TestPartThatEndsEndsAll(t *testing.T) {
	defer goleak.VerifyNone(t)
	d, err := dnsreg.NewDaemon(loopback(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "listen first") {
		t.Errorf("run: %v, want the error of HTTP", err)
	}
}

func TestListenAllOrNothing(t *testing.T) {
	defer goleak.VerifyNone(t)
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := loopback()
	cfg.HTTP.Listen = []string{taken.Addr().String()}
	d, err := dnsreg.NewDaemon(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	err = d.Listen()
	if err == nil || !strings.Contains(err.Error(), "http.listen") {
		t.Fatalf("listen: %v, want an error of http.listen", err)
	}
	udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(d.DNS()[0]))
	if err != nil {
		t.Fatalf("DNS keeps its address: %v", err)
	}
	_ = udp.Close()
}

func TestNewDaemonNamesWhatIsWrong(t *testing.T) {
	tests := []struct {
		name string
		in   func(*configs.Config)
		want string
	}{
		{"value", func(c *configs.Config) { c.DNS.TTL = 0 }, `dns.ttl "0s": `},
		{"several", func(c *configs.Config) { c.DNS.TTL, c.Log.Format = 0, "x" }, `log.format "x": `},
		{"no token file", func(c *configs.Config) { c.Auth.Tokens = "/nowhere/tokens" }, "auth.tokens: open /nowhere/tokens: "},
		{"folder as token file", func(c *configs.Config) { c.Auth.Tokens = os.TempDir() }, "auth.tokens "},
		{"mailbox too long for a record", func(c *configs.Config) {
			c.Zone.Mailbox = strings.Repeat("a", 60) + "@" + strings.Repeat("b.", 110) + "c"
		}, `zone.mailbox "aaa`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := loopback()
			tt.in(&cfg)
			_, err := dnsreg.NewDaemon(cfg, slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestEveryKeyHasAnEffect sets the keys that say something about a running server and looks for each of them.
func TestEveryKeyHasAnEffect(t *testing.T) {
	cfg := loopback()
	cfg.DNS.Listen, cfg.DNS.TTL, cfg.DNS.NegativeTTL = []string{"127.0.0.1:0", "[::1]:0"}, 7*time.Second, 3*time.Second
	cfg.Zone = configs.Zone{
		Name: "Reg.TEST", Mailbox: "first.last@example.net", StrictNames: true,
		NameServers: []configs.NameServer{
			{Name: "NSa", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.9")}}, {Name: "ns.example.org."},
		},
	}
	cfg.Store.MaxInstances = 1
	cfg.HTTP.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	r := run(t, cfg)

	if got := len(r.DNS()); got != 2 {
		t.Errorf("dns.listen: %d addresses, want 2", got)
	}
	soa := r.ask(t, "reg.test.", dns.TypeSOA).Answer[0].(*dns.SOA)
	if soa.Mbox != `first\.last.example.net.` || soa.Minttl != 3 {
		t.Errorf("zone.mailbox, dns.negative_ttl: SOA %v", soa)
	}
	if got := len(r.ask(t, "reg.test.", dns.TypeNS).Answer); got != 2 {
		t.Errorf("zone.nameservers: %d NS records, want 2", got)
	}
	if got := r.ask(t, "nsa.reg.test.", dns.TypeA).Answer; len(got) != 1 || got[0].(*dns.A).A.String() != "192.0.2.9" {
		t.Errorf("zone.nameservers: address of nsa %v", got)
	}
	for _, tt := range []struct {
		key, service, id string
		want             int
	}{
		{"zone.nameservers", "nsa", "a", http.StatusUnprocessableEntity},
		{"zone.strict_names", "a-name-of-over-15", "a", http.StatusUnprocessableEntity},
		{"http.trusted_proxies", "web", "a", http.StatusCreated},
		{"store.max_instances", "web", "b", http.StatusConflict},
	} {
		if got := r.register(t, tt.service, tt.id, "X-Forwarded-For", "203.0.113.7"); got != tt.want {
			t.Errorf("%s: status %d, want %d", tt.key, got, tt.want)
		}
	}
	srv := r.ask(t, "_web._tcp.reg.test.", dns.TypeSRV)
	if len(srv.Answer) != 1 || srv.Answer[0].Header().Ttl != 7 {
		t.Errorf("dns.ttl: %v", srv.Answer)
	}
	if a := r.ask(t, "web.reg.test.", dns.TypeA).Answer; len(a) != 1 || a[0].(*dns.A).A.String() != "203.0.113.7" {
		t.Errorf("http.trusted_proxies: %v", a)
	}
}

func TestTokens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte("ops:0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{configs.AuthAuto, configs.AuthToken} {
		t.Run(mode, func(t *testing.T) {
			cfg := loopback()
			cfg.Auth = configs.Auth{Mode: mode, Tokens: path}
			r := run(t, cfg)
			if got := r.register(t, "web", "a"); got != http.StatusUnauthorized {
				t.Errorf("status %d without a token, want 401", got)
			}
			if got := r.register(t, "web", "a", "Authorization", "Bearer 0123456789abcdef"); got != http.StatusCreated {
				t.Errorf("status %d with the token, want 201", got)
			}
		})
	}
}

func TestMetricsPage(t *testing.T) {
	r := run(t, loopback())
	r.register(t, "web", "a")
	r.ask(t, "_web._tcp.svc.internal.", dns.TypeSRV)
	r.ask(t, "nothing.svc.internal.", dns.TypeA)
	r.call(t, http.MethodPost, "/v1/services/web/instances/a/heartbeat", "")
	status, page := r.call(t, http.MethodGet, "/metrics", "")
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, page)
	}
	for _, want := range []string{
		`dnsreg_dns_requests_total{rcode="NOERROR",transport="udp",type="SRV"} 1`,
		`dnsreg_dns_requests_total{rcode="NXDOMAIN",transport="udp",type="A"} 1`,
		`dnsreg_registrations_total{result="created"} 1`,
		`dnsreg_heartbeats_total{result="renewed"} 1`,
		`dnsreg_http_requests_total{code="201",route="PUT /v1/services/{service}/instances/{id}"} 1`,
		`dnsreg_instances{zone="svc.internal."} 1`, `dnsreg_services{zone="svc.internal."} 1`, `dnsreg_store_synced{zone="svc.internal."} 1`, `dnsreg_expiries_total{zone="svc.internal."} 0`, `dnsreg_build_info{`,
		`dnsreg_revision{zone="svc.internal."} `, `go_goroutines `, `process_start_time_seconds `,
	} {
		if !strings.Contains(page, "\n"+want) {
			t.Errorf("the page does not show %s", want)
		}
	}
}

// TestSecondSignalKills holds a call open, so that the first signal takes seconds to act on.
func TestSecondSignalKills(t *testing.T) {
	s, err := startServer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.HTTP, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "PUT /v1/services/web/instances/a HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first signal is noticed", func() bool { return strings.Contains(s.log.String(), "stopping") })
	// The moment between that line and the end of listening for signals takes a few more.
	eventually(t, "the second signal kills", func() bool {
		_ = s.cmd.Process.Signal(syscall.SIGTERM) // an error says that it is dead
		select {
		case <-s.ended:
			return true
		case <-time.After(5 * time.Millisecond):
			return false
		}
	})
	_ = s.wait() // an error that says how it ended, which the state says too
	status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("ended as %v, want by the second SIGTERM", s.cmd.ProcessState)
	}
}
