package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// step is one command of a session and what it printed.
type step struct{ command, output string }

// TestREADMESession runs the commands of README's session against a server of its own and holds that they print what
// README shows, but for what differs each time: times, revisions and what is left of a lease.
func TestREADMESession(t *testing.T) {
	t.Parallel()
	s := serve(t)
	here := strings.NewReplacer("127.0.0.1:8054", strings.TrimPrefix(s.http, "http://"), "-p 8053", "-p "+s.port())
	for _, step := range session(t, "../../README.md") {
		cmd := exec.CommandContext(t.Context(), "bash", "-c", here.Replace(step.command))
		cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"),
			"DNSREG_SERVER="+s.http, "DNSREG_DNS="+s.dns)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", step.command, err)
		}
		if got, want := masked(string(out)), masked(step.output); got != want {
			t.Errorf("%s prints\n%s\nREADME shows\n%s", step.command, got, want)
		}
	}
}

// session reads the steps of the first console block of a file: a line "$ command", then its output.
func session(t testing.TB, path string) []step {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```console\n")
	block, _, found := strings.Cut(rest, "```\n")
	if !found {
		t.Fatalf("%s has no console block", path)
	}
	var steps []step
	for _, part := range strings.Split("\n"+block, "\n$ ")[1:] {
		command, output, _ := strings.Cut(part, "\n")
		steps = append(steps, step{command, output})
	}
	return steps
}

// masked replaces what differs from run to run.
func masked(s string) string {
	s = regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:.]+Z`).ReplaceAllString(s, "TIME")
	s = regexp.MustCompile(`"revision":\d+`).ReplaceAllString(s, `"revision":N`)
	s = regexp.MustCompile(`\b[23]\d(\.\d)?s *\b`).ReplaceAllString(s, "LEFT ")
	return strings.TrimSpace(s)
}
