package redistest

import (
	_ "embed" // the preloaded clock
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

//go:embed clock/offset.c
var offsetSource []byte

// clock is the wall clock of one server: the machine's, moved by what a file holds.
type clock struct {
	t      testing.TB
	lib    string // preloaded into redis-server
	offset string // file of 8 bytes: microseconds to add
}

func newClock(t testing.TB) *clock {
	t.Helper()
	dir := t.TempDir()
	c := &clock{t: t, lib: filepath.Join(dir, "offset.so"), offset: filepath.Join(dir, "offset")}
	source := filepath.Join(dir, "offset.c")
	if err := os.WriteFile(source, offsetSource, 0o600); err != nil {
		t.Fatal(err)
	}
	c.set(0)
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-O1", "-o", c.lib, source).CombinedOutput(); err != nil {
		t.Fatalf("compile the clock (Debian packages gcc and libc6-dev): %v\n%s", err, out)
	}
	return c
}

func (c *clock) env() []string {
	return []string{"LD_PRELOAD=" + c.lib, "CLOCK_OFFSET_FILE=" + c.offset}
}

// set writes in place: the server has the file mapped.
func (c *clock) set(offset time.Duration) {
	c.t.Helper()
	file, err := os.OpenFile(c.offset, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	data := binary.NativeEndian.AppendUint64(nil, uint64(offset.Microseconds()))
	if _, err := file.WriteAt(data, 0); err != nil {
		c.t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		c.t.Fatal(err)
	}
}

// SetClock moves the wall clock of a server that was started [WithClock] to the machine's plus offset, in one step.
func (s *Server) SetClock(offset time.Duration) {
	s.t.Helper()
	if s.clock == nil {
		s.t.Fatal("SetClock: the server was not started WithClock")
	}
	s.clock.set(offset)
}
