package redistest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	startLimit = 20 * time.Second // for one process to answer; it takes some 20 ms
	portTries  = 5                // how often another port is drawn when one was lost to another process
	admin      = "redistest"      // the user of Client, whom no option takes away
)

// Server is one redis-server process. It keeps nothing on disk but what [Server.Save] writes.
type Server struct {
	t        testing.TB
	settings *settings
	process  *process
	port     int
	certs    *certificates
	clock    *clock
	client   *redis.Client
}

// Start starts a redis-server and returns when it answers.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	s := prepare(t, newSettings(options))
	s.launch()
	return s
}

// prepare makes a server that is not started yet.
func prepare(t testing.TB, settings *settings) *Server {
	t.Helper()
	s := &Server{t: t, settings: settings}
	var env []string
	if settings.clock {
		s.clock = newClock(t)
		env = s.clock.env()
	}
	s.process = newProcess(t, env)
	if settings.tls {
		s.certs = newCertificates(t, s.process.dir)
	}
	if settings.rdb != "" {
		s.copyFile(settings.rdb, s.rdbFile())
	}
	return s
}

// launch starts the server for the first time, on another port where one is lost to another process.
func (s *Server) launch(args ...string) {
	s.t.Helper()
	for range portTries {
		s.port = freePort(s.t)
		s.writeConfig()
		s.connect()
		s.process.start(args...)
		if s.answers() {
			return
		}
		s.process.kill()
		if !s.process.lostPort() {
			break
		}
	}
	s.t.Fatalf("redis-server does not answer on %s:\n%s", s.Addr(), s.process.logTail())
}

func (s *Server) writeConfig() {
	s.t.Helper()
	lines := []string{
		"bind 127.0.0.1", "protected-mode yes", "daemonize no", `save ""`, "appendonly no", "dbfilename dump.rdb",
		"dir " + s.process.dir, "user " + admin + " on nopass ~* &* +@all", "enable-debug-command local",
	}
	if s.certs == nil {
		lines = append(lines, fmt.Sprintf("port %d", s.port))
	} else {
		lines = append(lines, "port 0", fmt.Sprintf("tls-port %d", s.port))
		lines = append(lines, s.certs.directives()...)
	}
	lines = append(lines, s.settings.directives...)
	if err := os.WriteFile(s.process.configFile(), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// connect makes the client anew, for the port that was drawn.
func (s *Server) connect() {
	if s.client == nil {
		s.t.Cleanup(func() { _ = s.client.Close() })
	} else {
		_ = s.client.Close()
	}
	s.client = redis.NewClient(s.options())
}

func (s *Server) options() *redis.Options {
	return &redis.Options{
		Addr: s.Addr(), Username: admin, Password: "any", TLSConfig: s.TLS(), Protocol: 2, DisableIdentity: true,
		ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1, PoolSize: 4,
	}
}

// answers waits until the server answers a PING, which it does not while it loads, or has ended.
func (s *Server) answers() bool {
	ready := func() bool { return s.process.ended() || s.listens() && s.Ping() == nil }
	return poll(startLimit, ready) && !s.process.ended()
}

// listens dials by itself: a go-redis client that was refused a few times waits a second before it dials again.
func (s *Server) listens() bool {
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// Ping returns nil when the server answers within half a second, with its data loaded.
func (s *Server) Ping() error {
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	return s.client.Ping(ctx).Err()
}

// Addr returns the server's host:port, which is the same after a restart.
func (s *Server) Addr() string { return loopback(s.port) }

// URL returns the server's address as redis://host:port/0, with TLS rediss://.
func (s *Server) URL() string { return s.at(nil) }

// UserURL is URL with the name and password of a user that [WithUser] made.
func (s *Server) UserURL(name string) string {
	s.t.Helper()
	password, ok := s.settings.users[name]
	if !ok {
		s.t.Fatalf("no user %q was made", name)
	}
	return s.at(url.UserPassword(name, password))
}

func (s *Server) at(user *url.Userinfo) string {
	scheme := "redis"
	if s.certs != nil {
		scheme = "rediss"
	}
	return (&url.URL{Scheme: scheme, User: user, Host: s.Addr(), Path: "/0"}).String()
}

// Client returns a client for the test's own use. It may do everything, does not retry, and is closed with the test.
func (s *Server) Client() *redis.Client { return s.client }

// Kill ends the server by SIGKILL and returns when it has ended: its data is lost.
func (s *Server) Kill() { s.process.kill() }

// Stop suspends the server by SIGSTOP: the kernel goes on to accept connections and bytes for it.
func (s *Server) Stop() { s.process.signal(syscall.SIGSTOP) }

// Cont resumes a suspended server by SIGCONT.
func (s *Server) Cont() { s.process.signal(syscall.SIGCONT) }

// Restart starts an ended server again on its port, empty and with the configuration of its first start.
func (s *Server) Restart() {
	s.t.Helper()
	if err := os.Remove(s.rdbFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	s.relaunch()
}

// RestartFrom starts an ended server again on its port with the data of an RDB file, as [Server.Save] returns.
func (s *Server) RestartFrom(rdb string) {
	s.t.Helper()
	s.copyFile(rdb, s.rdbFile())
	s.relaunch()
}

func (s *Server) relaunch() {
	s.t.Helper()
	if !s.process.ended() {
		s.t.Fatal("restart: redis-server runs")
	}
	s.process.start()
	if !s.answers() {
		s.t.Fatalf("redis-server does not answer on %s again:\n%s", s.Addr(), s.process.logTail())
	}
}

// Save writes the data to an RDB file of its own, which later writes leave alone, and returns its path.
func (s *Server) Save() string {
	s.t.Helper()
	s.Do("SAVE")
	file := filepath.Join(s.t.TempDir(), "saved.rdb")
	s.copyFile(s.rdbFile(), file)
	return file
}

func (s *Server) rdbFile() string { return filepath.Join(s.process.dir, "dump.rdb") }

func (s *Server) copyFile(from, to string) {
	s.t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// Do sends one command and returns its reply; an error, a nil reply excepted, ends the test. What passes by itself is waited
// for: see passing.
func (s *Server) Do(args ...any) any {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	var reply any
	var err error
	poll(startLimit, func() bool {
		reply, err = s.client.Do(ctx, args...).Result()
		return !s.passing(err, args[0])
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		s.t.Fatalf("%s: %v: %v", s.Addr(), args, err)
	}
	return reply
}

// passing reports whether a command may be sent again after an error: to a server that loads its data, as a replica does in
// the middle of a full synchronisation, and what only reads also after the end of its connection, since Sentinel closes all
// those of a server whose role it changes.
func (s *Server) passing(err error, command any) bool {
	switch {
	case redis.HasErrorPrefix(err, "LOADING"):
		return true
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF):
		return (command == "GET" || command == "INFO") && !s.process.ended()
	default:
		return false
	}
}

// Set changes the configuration of the running server, until it is restarted.
func (s *Server) Set(key, value string) {
	s.t.Helper()
	s.Do("CONFIG", "SET", key, value)
}

// hostPort returns the address in the two arguments that Redis' commands take.
func (s *Server) hostPort() (string, string) {
	host, port, err := net.SplitHostPort(s.Addr())
	if err != nil {
		s.t.Fatal(err)
	}
	return host, port
}
