package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/dnsreg/dnsreg/configs"
	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/resolverclient"
	"github.com/dnsreg/dnsreg/store"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2   // the command line or the configuration is wrong
	exitNotFound    = 3   // what was asked for does not exist
	exitUnreachable = 4   // no server answered
	exitDenied      = 5   // the server wants another token
	exitTimeout     = 124 // --timeout ran out, as timeout(1) says it
)

// verbError is an error of a verb at work. Whatever else comes out of cobra is about the command line.
type verbError struct{ error }

func (e verbError) Unwrap() error { return e.error }

// verb is a command's RunE: f, whose errors are told from those of cobra.
func verb(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := f(cmd, args); err != nil {
			return verbError{err}
		}
		return nil
	}
}

// usageError is a verb's error about its command line.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// fileErrorf returns an error about a file that the configuration names.
func fileErrorf(format string, args ...any) error {
	return &configs.FileError{Err: fmt.Errorf(format, args...)}
}

// report writes err, if there is one, with a hint, and returns the exit code that it stands for.
func report(stderr io.Writer, cmd *cobra.Command, err error) int {
	if err == nil {
		return exitOK
	}
	code, hint := judge(err)
	if hint == "" && code == exitUsage {
		hint = fmt.Sprintf("see %s --help", cmd.CommandPath())
	}
	for _, line := range lines(err) {
		_, _ = fmt.Fprintln(stderr, "dnsreg: "+line) // there is nowhere to say that standard error is gone
	}
	if hint != "" {
		_, _ = fmt.Fprintln(stderr, "  hint: "+hint)
	}
	return code
}

// lines returns what is to be said of an error: each problem of a configuration has a line of its own.
func lines(err error) []string {
	all := []string{err.Error()}
	if wrong := (*configs.Error)(nil); errors.As(err, &wrong) {
		all = each(wrong.Problems, configs.Problem.String)
	}
	return each(all, func(line string) string { return strings.ReplaceAll(line, "\n", "; ") })
}

// is reports whether err is one of targets.
func is(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// judge returns the exit code of an error and a hint to whoever reads it, which may be empty.
func judge(err error) (code int, hint string) {
	switch {
	case !errors.As(err, new(verbError)), errors.As(err, new(usageError)):
		return exitUsage, suggestion(err)
	case errors.As(err, new(*configs.Error)):
		return exitUsage, "dnsreg serve --help lists every key"
	case errors.As(err, new(*configs.FileError)):
		return exitUsage, "the file must exist, be readable for this user and hold what is asked of it"
	case errors.As(err, new(*store.InvalidError)):
		return exitUsage, ""
	case is(err, errTimedOut):
		return exitTimeout, "--timeout allows more"
	case is(err, store.ErrUnknown, resolverclient.ErrNotFound, resolverclient.ErrNotOffered):
		return exitNotFound, "dnsreg services lists what is registered, in the zone that --zone names"
	case heartbeat.Denied(err):
		return exitDenied, "--token-file or DNSREG_TOKEN_FILE names the file with a token that may do this"
	case is(err, store.ErrUnavailable):
		return exitUnreachable, "--server or DNSREG_SERVER names the server; dnsreg serve starts one"
	case is(err, resolverclient.ErrRefused):
		return exitUnreachable, "--zone or DNSREG_ZONE_NAME names the zone that the DNS server answers for"
	case is(err, resolverclient.ErrNoAnswer):
		return exitUnreachable, "--dns or DNSREG_DNS names the DNS server; dnsreg serve starts one"
	case is(err, syscall.EADDRINUSE):
		return exitFailed, "another process listens there; port 0 takes a free one"
	case is(err, syscall.EACCES) && !is(err, os.ErrNotExist):
		return exitFailed, "a port below 1024 takes root or CAP_NET_BIND_SERVICE, a file the right to read it"
	}
	return exitFailed, ""
}

// suggestion returns the hint for a verb that does not exist, if there is one that looks like it.
func suggestion(err error) string {
	var unknown unknownVerb
	if !errors.As(err, &unknown) || len(unknown.similar) == 0 {
		return ""
	}
	return "did you mean " + strings.Join(unknown.similar, " or ") + "?"
}
