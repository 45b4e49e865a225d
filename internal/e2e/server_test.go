package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait; nothing here is expected to take a tenth of it.
const patience = 10 * time.Second

// binary is the path of a dnsreg built for this run.
var binary string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if binary = os.Getenv(binaryEnv); binary != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "dnsreg-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "dnsreg")
	build := exec.Command("go", "build", "-o", binary, "../../cmd/dnsreg")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return 1
	}
	return m.Run()
}

// server is a running `dnsreg serve`.
type server struct {
	dns   string // host:port
	http  string // URL
	cmd   *exec.Cmd
	log   *logBuffer
	ended chan struct{} // closed when the log is read to its end
}

// listening is where a server says that it listens.
type listening struct{ dns, http string }

// serve starts a server on free ports, with more flags if given, and ends it with the test.
func serve(t testing.TB, flags ...string) *server {
	t.Helper()
	return serveOn(t, "127.0.0.1:0", "127.0.0.1:0", flags...)
}

func serveOn(t testing.TB, dns, http string, flags ...string) *server {
	t.Helper()
	args := append([]string{"serve", "--dns-listen", dns, "--http-listen", http, "--log-format", "json"}, flags...)
	return start(t, exec.Command(binary, args...))
}

// start starts a server by its command and ends it with the test.
func start(t testing.TB, cmd *exec.Cmd) *server {
	t.Helper()
	s := &server{cmd: cmd, log: &logBuffer{}, ended: make(chan struct{})}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.kill() })
	ready := make(chan listening, 1)
	go s.read(stderr, ready)
	select {
	case at := <-ready:
		s.dns, s.http = at.dns, at.http
	case <-time.After(patience):
	}
	if s.dns == "" {
		t.Fatalf("dnsreg serve did not start: %s", s.log)
	}
	return s
}

// read follows the log until the process ends. It sends where the server says that it listens, and closes ready at the
// end.
func (s *server) read(stderr io.Reader, ready chan<- listening) {
	defer close(s.ended)
	defer close(ready)
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		s.log.add(lines.Text())
		var line struct {
			DNS  []string `json:"dns"`
			HTTP string   `json:"http"`
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil || len(line.DNS) == 0 {
			continue
		}
		select {
		case ready <- listening{line.DNS[0], line.HTTP}:
		default: // it was said before
		}
	}
}

// kill ends the process at once and waits for it and for its log.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended
	_ = s.cmd.Wait()
}

func (s *server) port() string {
	_, port, _ := net.SplitHostPort(s.dns)
	return port
}

// put registers an instance from a JSON body.
func (s *server) put(t testing.TB, service, id, body string) {
	t.Helper()
	status, reply := s.call(t, http.MethodPut, "/v1/services/"+service+"/instances/"+url.PathEscape(id), body)
	if status != http.StatusCreated {
		t.Fatalf("PUT %s %q: status %d: %s", service, id, status, reply)
	}
}

// call sends one request and returns the status and the body of the reply.
func (s *server) call(t testing.TB, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, s.http+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Timeout: patience}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	reply, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(reply)
}

// output runs a command and returns what it prints on standard output; a failing exit fails the test.
func output(t testing.TB, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v: %s%s", name, strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// within polls until ok, and fails the test if that takes longer than patience.
func within(t testing.TB, patience time.Duration, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within %v: %s", patience, what)
		case <-tick.C:
		}
	}
}

// logBuffer keeps a process's log for failures.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) add(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text.WriteString(line + "\n")
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
