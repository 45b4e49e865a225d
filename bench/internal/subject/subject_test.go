package subject_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/dnsreg/dnsreg/bench/internal/subject"
	"github.com/dnsreg/dnsreg/bench/internal/zone"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// free returns a loopback address that nobody listens on, over UDP and TCP. Its port is below those that Linux gives to
// sockets which ask for none.
func free(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprint("127.0.0.1:", 10_000+rand.IntN(10_000))
		l, err := net.Listen("tcp4", addr)
		if err != nil {
			continue
		}
		conn, err := net.ListenPacket("udp4", addr)
		l.Close()
		if err == nil {
			conn.Close()
			return addr
		}
	}
	t.Fatal("no port is free for both UDP and TCP")
	return ""
}

// start runs a child until the test ends, and holds that it ends without an error.
func start(t *testing.T, args ...string) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- subject.Run(ctx, args) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("child %v: %v", args, err)
		}
	})
}

// eventually calls ask until it succeeds, for at most ten seconds.
func eventually(t *testing.T, ask func() error) {
	t.Helper()
	err := ask()
	for end := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(end); err = ask() {
		timer := time.NewTimer(10 * time.Millisecond)
		<-timer.C
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestEchoes(t *testing.T) {
	for _, test := range []struct {
		verb string
		want int // octets
	}{{"echo", 5}, {"echo-batches", 343}} {
		t.Run(test.verb, func(t *testing.T) {
			addr := free(t)
			start(t, test.verb, addr)
			conn, err := net.Dial("udp4", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			eventually(t, func() error { return echoed(conn, test.want) })
			for range 100 {
				if err := echoed(conn, test.want); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func echoed(conn net.Conn, want int) error {
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("hello")); err != nil {
		return err
	}
	buf := make([]byte, 1500)
	n, err := conn.Read(buf)
	if err == nil && (n != want || string(buf[:5]) != "hello") {
		err = fmt.Errorf("reply %q, want %d octets", buf[:n], want)
	}
	return err
}

// TestEmbeddedChanges sees the content of the first service change, at the server's own pace.
func TestEmbeddedChanges(t *testing.T) {
	addr, control := free(t), free(t)
	start(t, "embed", addr, control, "2", "3", "500")
	first := ""
	eventually(t, func() (err error) {
		first, err = txt(addr)
		return err
	})
	eventually(t, func() error {
		now, err := txt(addr)
		if err == nil && now == first {
			err = fmt.Errorf("still %s", now)
		}
		return err
	})
	checkControl(t, "http://"+control)
}

// checkControl looks at what an embedded server tells of itself.
func checkControl(t *testing.T, control string) {
	t.Helper()
	defer http.DefaultClient.CloseIdleConnections()
	for path, want := range map[string]string{
		"/metrics?gc=1":                  `^go_memstats_mallocs_total [1-9]\d+\ngo_memstats_heap_alloc_bytes [1-9]\d+\nbench_changes_total [1-9]\d*\n$`,
		"/debug/pprof/profile?seconds=1": `^\x1f`, // gzip
	} {
		reply, err := http.Get(control + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(reply.Body)
		if err := errors.Join(err, reply.Body.Close()); err != nil || !regexp.MustCompile(want).Match(text) {
			t.Errorf("%s: error %v, %.200q", path, err, text)
		}
	}
}

// txt returns the first instance's TXT record.
func txt(addr string) (string, error) {
	client := dns.Client{Timeout: time.Second}
	reply, _, err := client.Exchange(new(dns.Msg).SetQuestion("n000._s00000._tcp."+zone.Name, dns.TypeTXT), addr)
	if err != nil {
		return "", err
	}
	if len(reply.Answer) != 1 {
		return "", fmt.Errorf("not one answer: %s", reply)
	}
	return reply.Answer[0].String(), nil
}

func TestChangeCost(t *testing.T) {
	e, err := subject.NewEmbedded("127.0.0.1:0", zone.Zone{Services: 1, Instances: 10})
	if err != nil {
		t.Fatal(err)
	}
	cost, err := e.ChangeCost(t.Context(), 50)
	if err != nil || cost.Change <= 0 || cost.Again <= 0 {
		t.Errorf("cost %+v, error %v", cost, err)
	}
	if cost.Answer <= cost.Again {
		t.Errorf("the answer after a change takes %v, no longer than the next one with %v", cost.Answer, cost.Again)
	}
}

func TestWrongArguments(t *testing.T) {
	for _, args := range [][]string{
		nil,
		{"echo"},
		{"echo", "nowhere"},
		{"bind", "127.0.0.1:0"},
		{"embed", "127.0.0.1:0"},
		{"embed", "127.0.0.1:0", "127.0.0.1:0", "1", "x", "0"},
	} {
		if err := subject.Run(t.Context(), args); err == nil {
			t.Errorf("Run(%q): no error", args)
		}
	}
}
