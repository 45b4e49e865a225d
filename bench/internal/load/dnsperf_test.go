package load_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/bench/internal/load"
)

// printed is what dnsperf 2.10.0 prints.
const printed = `DNS Performance Testing Tool
Version 2.10.0

[Status] Testing complete (time limit)

Statistics:

  Queries sent:         1005
  Queries completed:    1000 (99.50%)
  Queries lost:         5 (0.50%)

  Response codes:       NOERROR 990 (99.00%), SERVFAIL 10 (1.00%)
  Average packet size:  request 43, response 343
  Run time (s):         2.500000
  Queries per second:   400.000000

  Average Latency (s):  0.000123 (min 0.000011, max 0.004321)
  Latency StdDev (s):   0.000050
`

func TestParseDnsperf(t *testing.T) {
	got, err := load.ParseDnsperf(printed)
	want := load.Result{Sent: 1005, Answered: 1000, Lost: 5, Bad: 10, Octets: 343_000, Elapsed: 2500 * time.Millisecond}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	for _, gone := range []string{"Queries sent:", "Queries completed:", "Queries lost:", "Run time (s):", "NOERROR", "Average packet size:"} {
		if _, err := load.ParseDnsperf(strings.Replace(printed, gone, "", 1)); err == nil {
			t.Errorf("without %q: no error", gone)
		}
	}
}

// TestDnsperf runs it against a server over TCP.
func TestDnsperf(t *testing.T) {
	server := &dns.Server{Net: "tcp", Addr: "127.0.0.1:0", MaxTCPQueries: -1, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		_ = w.WriteMsg(answers(2, dns.RcodeSuccess)(query))
	})}
	started, done := make(chan struct{}), make(chan error, 1)
	server.NotifyStartedFunc = func() { close(started) }
	go func() { done <- server.ListenAndServe() }()
	<-started
	t.Cleanup(func() {
		if err := server.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	addr := server.Listener.Addr().(*net.TCPAddr).AddrPort()
	path := filepath.Join(t.TempDir(), "queries")
	if err := os.WriteFile(path, []byte("_s00000._tcp.svc.internal. SRV\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := load.Dnsperf{Server: addr, Queries: path, Duration: 200 * time.Millisecond, TCP: true, Clients: 2, Window: 10}.Run(t.Context())
	if err != nil || r.Answered == 0 || r.Bad > 0 || r.Lost > 0 {
		t.Errorf("result %+v, error %v", r, err)
	}
	if _, err := (load.Dnsperf{Server: addr, Queries: path + "x", Duration: time.Second, Clients: 1, Window: 1}).Run(t.Context()); err == nil {
		t.Error("without queries: no error")
	}
}
