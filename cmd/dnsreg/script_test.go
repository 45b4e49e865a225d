package main_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// slotKey is where a script has its slot.
type slotKey struct{}

// slot holds the server that a script has started.
type slot struct{ server *server }

// setup gives a script an empty slot.
func setup(env *testscript.Env) error {
	env.Values[slotKey{}] = &slot{}
	return nil
}

func cmdServe(ts *testscript.TestScript, neg bool, args []string) {
	refuse(ts, neg)
	s, err := startServer(ts.MkAbs("."), args...)
	ts.Check(err)
	ts.Defer(s.kill)
	ts.Setenv("DNSREG_SERVER", s.HTTP)
	ts.Setenv("DNSREG_DNS", s.DNS[0])
	ts.Setenv("HTTP", strings.TrimPrefix(s.HTTP, "http://"))
	ts.Value(slotKey{}).(*slot).server = s
}

func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	refuse(ts, neg)
	signals := map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": os.Interrupt}
	s := ts.Value(slotKey{}).(*slot).server
	if len(args) != 1 || signals[args[0]] == nil || s == nil {
		ts.Fatalf("usage: signal TERM|INT, after serve")
	}
	ts.Check(s.cmd.Process.Signal(signals[args[0]]))
	ts.Check(s.wait())
	ts.Check(os.WriteFile(ts.MkAbs("server.log"), []byte(s.log.String()), 0o600))
}

func cmdCode(ts *testscript.TestScript, neg bool, args []string) {
	refuse(ts, neg)
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	var exit *exec.ExitError
	err = ts.Exec(args[1], args[2:]...)
	switch {
	case errors.As(err, &exit):
		if exit.ExitCode() != want {
			ts.Fatalf("exit code %d, want %d", exit.ExitCode(), want)
		}
	case err != nil:
		ts.Fatalf("%v", err)
	case want != 0:
		ts.Fatalf("exit code 0, want %d", want)
	}
}

func cmdEventually(ts *testscript.TestScript, neg bool, args []string) {
	refuse(ts, neg)
	pattern := regexp.MustCompile("(?m)" + args[0])
	deadline := time.Now().Add(patience)
	for {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("not within %v: %v", patience, err)
		}
	}
}

func cmdSilent(ts *testscript.TestScript, neg bool, _ []string) {
	refuse(ts, neg)
	ts.Setenv("SILENT", occupy(ts))
}

func cmdTaken(ts *testscript.TestScript, neg bool, _ []string) {
	refuse(ts, neg)
	ts.Setenv("TAKEN", occupy(ts))
}

// occupy returns an address of loopback that is bound, over UDP and TCP, until the script ends.
func occupy(ts *testscript.TestScript) string {
	for range 16 {
		tcp, err := net.Listen("tcp4", "127.0.0.1:0")
		ts.Check(err)
		ts.Defer(func() { _ = tcp.Close() })
		udp, err := net.ListenPacket("udp4", tcp.Addr().String())
		if errors.Is(err, syscall.EADDRINUSE) { // by somebody else, over UDP alone
			continue
		}
		ts.Check(err)
		ts.Defer(func() { _ = udp.Close() })
		return tcp.Addr().String()
	}
	ts.Fatalf("no port is free for UDP and TCP")
	return ""
}

func refuse(ts *testscript.TestScript, neg bool) {
	if neg {
		ts.Fatalf("the command takes no !")
	}
}
