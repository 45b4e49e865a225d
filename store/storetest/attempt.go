package storetest

import (
	"cmp"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// tries is how often a test is made that proves nothing: see attempt.
const tries = 5

// attempt is a test that may be made anew: one that fails and in which a call had to be made again, of which nobody knows
// whether it had taken effect the first time. What it says of its failure is shown where that is final.
type attempt struct {
	*testing.T
	again atomic.Int64 // calls that were made again

	mu     sync.Mutex // guards failed and said
	failed bool
	said   []string
}

// check makes a test, and makes it anew with another store where it has proved nothing.
func check(t *testing.T, open Opener, c test) {
	for try := 1; ; try++ {
		a := &attempt{T: t}
		e := newEnv(t, a, open)
		ended := make(chan struct{})
		go func() { // which ends where the attempt does
			defer close(ended)
			c.run(e)
		}()
		<-ended
		switch {
		case !a.Failed():
			return
		case a.again.Load() == 0 || try == tries:
			t.Fatal(a.text())
		}
		t.Logf("made anew, since %d calls had no answer in time: %s", a.again.Load(), a.text())
	}
}

func (a *attempt) text() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.said, "\n")
}

// Failed reports whether the attempt has failed.
func (a *attempt) Failed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed
}

// Fail has the attempt fail.
func (a *attempt) Fail() { a.fail() }

// FailNow has the attempt fail and ends it.
func (a *attempt) FailNow() {
	a.fail()
	runtime.Goexit()
}

// Error, Errorf, Fatal and Fatalf keep what they say until the failure is final.

// Error has the attempt fail.
func (a *attempt) Error(args ...any) { a.fail(fmt.Sprintln(args...)) }

// Errorf has the attempt fail.
func (a *attempt) Errorf(format string, args ...any) { a.fail(fmt.Sprintf(format, args...)) }

// Fatal has the attempt fail and ends it.
func (a *attempt) Fatal(args ...any) {
	a.Error(args...)
	runtime.Goexit()
}

// Fatalf has the attempt fail and ends it.
func (a *attempt) Fatalf(format string, args ...any) {
	a.Errorf(format, args...)
	runtime.Goexit()
}

// fail notes what is said, with the lines of the suite that led there.
func (a *attempt) fail(said ...string) {
	said = append([]string{where()}, said...)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed = true
	a.said = append(a.said, strings.Join(said, ": "))
}

// where returns the lines of this package that called attempt, the innermost first.
func where() string {
	pcs := make([]uintptr, 20)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	var lines []string
	own := ""
	for frame, more := frames.Next(); ; frame, more = frames.Next() {
		own = cmp.Or(own, frame.File)
		if frame.File != own && filepath.Dir(frame.File) == filepath.Dir(own) {
			lines = append(lines, fmt.Sprintf("%s:%d", filepath.Base(frame.File), frame.Line))
		}
		if !more {
			return strings.Join(lines, ", ")
		}
	}
}
