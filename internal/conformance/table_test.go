package conformance_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mutant is a change to the source that breaks lines of docs/conformance.md.
type mutant struct {
	lines []string // "B4"
	test  string   // that has to notice, with its package: "dnsserver/TestB4B5NoDataAndNoName"
	file  string   // from the module's folder
	hunks []hunk
}

// hunk is whole lines of a file, which must be there exactly once, and what to put in their place.
type hunk struct{ old, new string }

// name tells a mutant from the others of its lines by what it puts in.
func (m mutant) name() string {
	word := regexp.MustCompile(`\W+`).ReplaceAllString(strings.TrimSpace(m.hunks[0].new), "_")
	return strings.Join(m.lines, "+") + "/" + word[:min(len(word), 40)]
}

// parse reads a table of mutants. Each is a line "B4,B5 dnsserver/TestX dnsserver/file.go" and hunks as diff shows them,
// without context: lines that begin with - and then lines that begin with +. Empty lines stand between mutants; what
// begins with # is a comment.
func parse(table string) ([]mutant, error) {
	var all []mutant
	for block := range strings.SplitSeq(regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(table, ""), "\n\n") {
		if block = strings.Trim(block, "\n"); block == "" {
			continue
		}
		head, body, _ := strings.Cut(block, "\n")
		fields := strings.Fields(head)
		if len(fields) != 3 {
			return nil, fmt.Errorf("%q: must be lines, a test and a file", head)
		}
		m := mutant{lines: strings.Split(fields[0], ","), test: fields[1], file: fields[2]}
		var err error
		if m.hunks, err = parseHunks(body); err != nil {
			return nil, fmt.Errorf("%q: %w", head, err)
		}
		all = append(all, m)
	}
	return all, nil
}

func parseHunks(body string) ([]hunk, error) {
	var hunks []hunk
	adding := true
	for line := range strings.SplitSeq(body, "\n") {
		if line == "" {
			return nil, errors.New("there is no change")
		}
		switch sign, text := line[0], line[1:]+"\n"; {
		case sign == '-' && adding:
			hunks, adding = append(hunks, hunk{old: text}), false
		case sign == '-':
			hunks[len(hunks)-1].old += text
		case sign == '+' && len(hunks) > 0:
			hunks[len(hunks)-1].new, adding = hunks[len(hunks)-1].new+text, true
		default:
			return nil, fmt.Errorf("%q: must begin with - or, behind that, +", line)
		}
	}
	return hunks, nil
}

// apply returns the mutant's file as it makes it.
func (m mutant) apply(folder string) (string, error) {
	source, err := os.ReadFile(filepath.Join(folder, m.file))
	if err != nil {
		return "", err
	}
	text := "\n" + string(source)
	for _, h := range m.hunks {
		if n := strings.Count(text, "\n"+h.old); n != 1 {
			return "", fmt.Errorf("%s: %d times, must be there once:\n%s", m.file, n, h.old)
		}
		text = strings.Replace(text, "\n"+h.old, "\n"+h.new, 1)
	}
	return text[1:], nil
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []mutant
		err      string
	}{
		{"nothing", "# only a comment\n\n", nil, ""},
		{"two", "# first\nB1 a/TestA a/a.go\n-x\n+y\n+z\n-u\n\n\nB2,B3 TestB b.go\n-v\n-w\n+\tv\n", []mutant{
			{[]string{"B1"}, "a/TestA", "a/a.go", []hunk{{"x\n", "y\nz\n"}, {"u\n", ""}}},
			{[]string{"B2", "B3"}, "TestB", "b.go", []hunk{{"v\nw\n", "\tv\n"}}},
		}, ""},
		{"no file", "B1 TestA\n-x\n", nil, `"B1 TestA": must be lines, a test and a file`},
		{"no change", "B1 TestA a.go\n", nil, `"B1 TestA a.go": there is no change`},
		{"only put in", "B1 TestA a.go\n+x\n", nil, `"B1 TestA a.go": "+x": must begin with - or, behind that, +`},
		{"context", "B1 TestA a.go\n x\n-y\n", nil, `"B1 TestA a.go": " x": must begin with - or, behind that, +`},
	} {
		got, err := parse(tt.in)
		if message := fmt.Sprint(err); fmt.Sprint(got) != fmt.Sprint(tt.want) || tt.err != "" && message != tt.err || tt.err == "" && err != nil {
			t.Errorf("%s: %v, %v; want %v, %s", tt.name, got, err, tt.want, tt.err)
		}
	}
}
