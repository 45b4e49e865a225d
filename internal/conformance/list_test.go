package conformance_test

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the module's folder.
const root = "../.."

// conformanceLines are how many lines each part of the list has.
var conformanceLines = []struct {
	part  string
	lines int
}{{"B", 24}, {"S", 25}, {"E", 21}, {"T", 15}, {"X", 12}, {"Z", 5}, {"H", 4}, {"C", 11}}

func conformanceText(tb testing.TB) string {
	tb.Helper()
	text, err := os.ReadFile(root + "/docs/conformance.md")
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// conformance returns what holds each line of docs/conformance.md, and the lines in order.
func conformance(tb testing.TB) (held map[string]string, order []string) {
	tb.Helper()
	held = make(map[string]string)
	for _, row := range regexp.MustCompile(`(?m)^\| ([A-Z][0-9]+) \|.*\|(.*)\|$`).FindAllStringSubmatch(conformanceText(tb), -1) {
		held[row[1]] = strings.TrimSpace(row[2])
		order = append(order, row[1])
	}
	return held, order
}

// notOffered is how a line begins that has a reason in place of tests, or behind them.
const notOffered = "not offered: "

// names returns the tests that hold a line, each with its package.
func names(held string) []string {
	held, _, _ = strings.Cut(held, notOffered)
	all := strings.FieldsFunc(held, func(r rune) bool { return strings.ContainsRune(",; ", r) })
	for i, name := range all {
		if !strings.Contains(name, "/") {
			all[i] = "dnsserver/" + name
		}
	}
	return all
}

// testsOf returns the tests and fuzz targets of every package, as "store/TestX".
func testsOf(tb testing.TB) map[string]bool {
	tb.Helper()
	tree := os.DirFS(root)
	names := make(map[string]bool)
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := fs.WalkDir(tree, ".", func(file string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(tree, file)
		for _, match := range function.FindAllSubmatch(text, -1) {
			names[path.Dir(file)+"/"+string(match[1])] = true
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return names
}

func TestConformanceListIsWhole(t *testing.T) {
	var want []string
	for _, p := range conformanceLines {
		for n := range p.lines {
			want = append(want, fmt.Sprintf("%s%d", p.part, n+1))
		}
	}
	if _, got := conformance(t); !slices.Equal(got, want) {
		t.Errorf("lines %v, want %v", got, want)
	}
}

// TestConformanceTestsExist checks every name in the list: each line has tests that are there, or a reason.
func TestConformanceTestsExist(t *testing.T) {
	tests := testsOf(t)
	held, _ := conformance(t)
	for line, by := range held {
		by, reason, refused := strings.Cut(by, notOffered)
		if refused && reason == "" || !refused && by == "" {
			t.Errorf("%s: neither a test nor a reason", line)
		}
		for _, name := range names(by) {
			if !tests[name] {
				t.Errorf("%s: there is no %s", line, name)
			}
		}
	}
}

// TestConformanceTestsExistElsewhere checks the names that have a path wherever they stand, as in the list of clients.
func TestConformanceTestsExistElsewhere(t *testing.T) {
	tests := testsOf(t)
	all := regexp.MustCompile(`[a-z0-9/]+/(?:Test|Fuzz)\w+`).FindAllString(conformanceText(t), -1)
	for _, name := range all {
		if !tests[name] {
			t.Errorf("there is no %s", name)
		}
	}
	if len(all) < 20 {
		t.Errorf("%d names", len(all))
	}
}

// TestConformanceListsItsTests is the way back: a test that is named for lines stands at each of them.
func TestConformanceListsItsTests(t *testing.T) {
	held, _ := conformance(t)
	named := regexp.MustCompile(`^dnsserver/Test((?:[BSETXZ][0-9]+)+)\D`)
	found := 0
	for name := range testsOf(t) {
		match := named.FindStringSubmatch(name)
		if match == nil {
			continue
		}
		found++
		for _, line := range regexp.MustCompile(`[A-Z][0-9]+`).FindAllString(match[1], -1) {
			if !slices.Contains(names(held[line]), name) {
				t.Errorf("%s is not listed at %s", name, line)
			}
		}
	}
	if found < 50 {
		t.Errorf("%d tests are named for lines", found)
	}
}
