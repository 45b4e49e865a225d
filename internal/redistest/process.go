package redistest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// process is one redis-server, running or ended.
type process struct {
	t    testing.TB
	dir  string // its own; holds its configuration and its log
	env  []string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended and been waited for
}

// newProcess starts nothing: it makes the folder and arranges for the end.
func newProcess(t testing.TB, env []string) *process {
	t.Helper()
	p := &process{t: t, dir: t.TempDir(), env: env}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the end of %s:\n%s", p.logFile(), p.logTail())
		}
	})
	return p
}

func (p *process) logFile() string { return filepath.Join(p.dir, "redis.log") }

func (p *process) configFile() string { return filepath.Join(p.dir, "redis.conf") }

// start runs redis-server on the configuration file, with arguments after it.
func (p *process) start(args ...string) {
	p.t.Helper()
	log, err := os.OpenFile(p.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command("redis-server", append([]string{p.configFile()}, args...)...)
	p.cmd.Dir, p.cmd.Env = p.dir, append(os.Environ(), p.env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = endWithParent()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatalf("start redis-server (Debian package redis-server): %v", err)
	}
	cmd, done := p.cmd, make(chan struct{})
	p.done = done
	go func() {
		defer close(done)
		_ = cmd.Wait() // the log says why it ended
	}()
}

// ended reports whether the process has ended, or was never started.
func (p *process) ended() bool {
	if p.done == nil {
		return true
	}
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// signal sends a signal to a process that runs. Only this process waits for its child, so the id is still the child's.
func (p *process) signal(signal syscall.Signal) {
	p.t.Helper()
	if p.ended() {
		p.t.Fatalf("%v: redis-server has ended", signal)
	}
	if err := p.cmd.Process.Signal(signal); err != nil {
		p.t.Fatalf("%v: %v", signal, err)
	}
}

// kill ends the process if it runs, stopped or not, and returns when it has ended.
func (p *process) kill() {
	if p.ended() {
		return
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("kill redis-server: %v", err)
		return
	}
	<-p.done
}

// logTail returns the last lines of the log.
func (p *process) logTail() string {
	const lines = 40
	text, err := os.ReadFile(p.logFile())
	if err != nil {
		return err.Error()
	}
	all := slices.Collect(strings.Lines(string(text)))
	return strings.Join(all[max(0, len(all)-lines):], "")
}

// lostPort reports whether the log says that another process has the port.
func (p *process) lostPort() bool {
	text, err := os.ReadFile(p.logFile())
	return err == nil && bytes.Contains(text, []byte("Address already in use"))
}
