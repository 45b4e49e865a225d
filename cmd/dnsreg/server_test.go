package main_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// server is a process of `dnsreg serve`.
type server struct {
	DNS  []string `json:"dns"`
	HTTP string   `json:"http"`

	cmd   *exec.Cmd
	log   logText
	ended chan struct{} // closed when the log has ended
	once  sync.Once
	err   error // of the process; read after wait
}

// startServer starts a server in the folder dir, on free ports unless a flag says others, and returns when it has said
// where it listens. No variable of this process configures it.
func startServer(dir string, flags ...string) (*server, error) {
	args := []string{"serve", "--log-format=json", "--dns-listen=127.0.0.1:0"}
	if !slices.ContainsFunc(flags, func(f string) bool { return strings.HasPrefix(f, "--http-listen=") }) {
		args = append(args, "--http-listen=127.0.0.1:0")
	}
	s := &server{ended: make(chan struct{}), cmd: exec.Command("dnsreg", append(args, flags...)...)}
	s.cmd.Dir = dir
	s.cmd.Env = []string{"HOME=/no-home"}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan error, 1)
	go s.read(stderr, ready)
	select {
	case err = <-ready:
	case <-time.After(patience):
		err = errors.New("it said nothing")
	}
	if err != nil {
		s.kill()
		return nil, fmt.Errorf("start server: %w: %s", err, s.log.String())
	}
	return s, nil
}

// read keeps the log, and tells ready when the server says where it listens, or that it ended without.
func (s *server) read(stderr io.Reader, ready chan<- error) {
	defer close(s.ended)
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		s.log.add(lines.Text())
		if s.HTTP == "" && json.Unmarshal(lines.Bytes(), s) == nil && s.HTTP != "" {
			ready <- nil
		}
	}
	if s.HTTP == "" {
		ready <- errors.New("it ended")
	}
}

// wait returns the process's error when it has ended.
func (s *server) wait() error {
	s.once.Do(func() {
		<-s.ended
		s.err = s.cmd.Wait()
	})
	return s.err
}

// kill ends the process at once.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.wait()
}

// logText is a log that is written while others read it.
type logText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logText) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.WriteString(line + "\n")
}

// Write takes what a logger writes.
func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns the log so far.
func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
