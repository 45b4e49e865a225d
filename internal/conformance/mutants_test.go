package conformance_test

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// every has each mutant made and tested, which takes minutes.
var every = flag.Bool("mutants", false, "make every mutant and run the test that has to notice it")

// mutants reads the table.
func mutants(tb testing.TB) []mutant {
	tb.Helper()
	table, err := os.ReadFile("testdata/mutants")
	if err != nil {
		tb.Fatal(err)
	}
	all, err := parse(string(table))
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// fate is what comes of a mutant. One that does not compile shows nothing, and so is an error too.
type fate string

const (
	noticed   fate = "noticed"
	survived  fate = "survived"
	stillborn fate = "does not compile"
)

// try runs the test that has to notice a mutant on the module in a folder as the mutant makes it. The tree stays as it is:
// the go command is told of another file in the place of the one that is changed.
func (m mutant) try(tb testing.TB, folder string) (fate, string) {
	tb.Helper()
	text, err := m.apply(folder)
	if err != nil {
		tb.Fatal(err)
	}
	folder, err = filepath.Abs(folder)
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	changed, overlay := filepath.Join(dir, filepath.Base(m.file)), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(folder, m.file): changed}})
	if err != nil {
		tb.Fatal(err)
	}
	for file, content := range map[string]string{changed: text, overlay: string(replace)} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	cmd := exec.CommandContext(tb.Context(), "go", "test", "-count=1", "-vet=off", "-timeout=3m", "-run=^"+path.Base(m.test)+"$", "./"+path.Dir(m.test))
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GOFLAGS=-overlay="+overlay) // of the builds of the test too
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return survived, string(out)
	case strings.Contains(string(out), "--- FAIL: "+path.Base(m.test)), strings.Contains(string(out), "panic: "):
		return noticed, string(out)
	default:
		return stillborn, string(out)
	}
}

// TestMutantsApply checks what is quick to check: each mutant fits the source, and its test is one that the line names.
func TestMutantsApply(t *testing.T) {
	held, _ := conformance(t)
	tests := testsOf(t)
	for _, m := range mutants(t) {
		if _, err := m.apply(root); err != nil {
			t.Errorf("%s: %v", m.name(), err)
		}
		if !tests[m.test] {
			t.Errorf("%s: there is no %s", m.name(), m.test)
		}
		for _, line := range m.lines {
			if !slices.Contains(names(held[line]), m.test) {
				t.Errorf("%s is not a test of %s", m.test, line)
			}
		}
	}
}

// TestEveryTestHasAMutant holds that each line that is offered is broken by a mutant, and that each test of a line notices
// one.
func TestEveryTestHasAMutant(t *testing.T) {
	broken, noticing := make(map[string]bool), make(map[string]bool)
	for _, m := range mutants(t) {
		noticing[m.test] = true
		for _, line := range m.lines {
			broken[line] = true
		}
	}
	held, order := conformance(t)
	for _, line := range order {
		tests := names(held[line])
		if len(tests) > 0 && !broken[line] {
			t.Errorf("no mutant breaks %s", line)
		}
		for _, test := range tests {
			if !noticing[test] {
				t.Errorf("%s: no mutant is for %s", line, test)
			}
		}
	}
}

// TestMutants has the test of each mutant fail, if the flag -mutants is given. Before that it tries what comes of the mutants
// of a small module.
func TestMutants(t *testing.T) {
	t.Run("of a small module", trySmall)
	if !*every {
		return
	}
	for _, m := range mutants(t) {
		t.Run(m.name(), func(t *testing.T) {
			t.Parallel()
			if got, out := m.try(t, root); got != noticed {
				t.Errorf("%s: %s by %s\n%s", m.file, got, m.test, out)
			}
		})
	}
}

// trySmall has a module that adds, a test that notices when it does not, and one that notices nothing.
func trySmall(t *testing.T) {
	folder := t.TempDir()
	for file, text := range map[string]string{
		"go.mod":      "module small\n\ngo 1.26\n",
		"add.go":      "package small\n\nfunc Add(a, b int) int {\n\treturn a + b\n}\n",
		"add_test.go": "package small\n\nimport \"testing\"\n\nfunc TestAdd(t *testing.T) {\n\tif Add(1, 2) != 3 {\n\t\tt.Error()\n\t}\n}\n\nfunc TestNothing(t *testing.T) { Add(1, 2) }\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		test, new string
		want      fate
	}{
		{"./TestAdd", "\treturn a - b\n", noticed},
		{"./TestAdd", "\treturn b + a\n", survived},
		{"./TestAdd", "\tpanic(a)\n", noticed},
		{"./TestNothing", "\treturn a - b\n", survived},
		{"./TestAdd", "\treturn\n", stillborn},
		{"./TestAnother", "\treturn a - b\n", survived},
	} {
		m := mutant{test: tt.test, file: "add.go", hunks: []hunk{{"\treturn a + b\n", tt.new}}}
		if got, out := m.try(t, folder); got != tt.want {
			t.Errorf("%s with %q: %s, want %s\n%s", tt.test, tt.new, got, tt.want, out)
		}
	}
	for _, old := range []string{"}\n\n", "return a + b\n", "\treturn a * b\n"} {
		if _, err := (mutant{file: "add.go", hunks: []hunk{{old, ""}}}).apply(folder); err == nil {
			t.Errorf("%q is applied", old)
		}
	}
}
