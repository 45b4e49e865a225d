package configs_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/dnsreg/dnsreg/configs"
)

// update has the test of a generated file write it.
var update = flag.Bool("update", false, "write the generated part of docs/configuration.md")

// file writes a configuration file and returns its path.
func file(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dnsreg.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// load loads the configuration of a command line.
func load(t testing.TB, args ...string) (*configs.Effective, error) {
	t.Helper()
	set := pflag.NewFlagSet("test", pflag.ContinueOnError)
	flags := configs.BindFlags(set)
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	return flags.Load()
}

// loadFile loads a configuration file with this text.
func loadFile(t testing.TB, text string) (*configs.Effective, error) {
	t.Helper()
	return load(t, "--config", file(t, text))
}

// mustLoad is load for what must succeed.
func mustLoad(t testing.TB, args ...string) *configs.Effective {
	t.Helper()
	e, err := load(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// problems returns what an error lists, one in a line, without the folder of the file.
func problems(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	wrong, ok := err.(*configs.Error)
	if !ok {
		t.Fatalf("error %v is a %T, want a *configs.Error", err, err)
	}
	var lines []string
	for _, p := range wrong.Problems {
		if strings.Contains(p.Source, "dnsreg.yaml:") {
			p.Source = filepath.Base(p.Source)
		}
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}
