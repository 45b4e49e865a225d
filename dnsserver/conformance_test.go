package dnsserver_test

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

// conformanceLines are how many lines each part of the list has.
var conformanceLines = []struct {
	part  string
	lines int
}{{"B", 24}, {"S", 25}, {"E", 21}, {"T", 15}, {"X", 12}}

func conformanceText(tb testing.TB) string {
	tb.Helper()
	text, err := os.ReadFile("../docs/conformance.md")
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

// testsOf returns the tests and fuzz targets of every package, as "store/TestX"; those of this package as "TestX" too.
func testsOf(tb testing.TB, root string) map[string]bool {
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
	tests := testsOf(t, "..")
	held, _ := conformance(t)
	for line, by := range held {
		by, reason, refused := strings.Cut(by, "not offered: ")
		if refused && reason == "" || !refused && by == "" {
			t.Errorf("%s: neither a test nor a reason", line)
		}
		for _, name := range strings.FieldsFunc(by, func(r rune) bool { return strings.ContainsRune(",; ", r) }) {
			if !strings.Contains(name, "/") {
				name = "dnsserver/" + name
			}
			if !tests[name] {
				t.Errorf("%s: there is no %s", line, name)
			}
		}
	}
}

// TestConformanceClientsAreTested checks the names that have a path wherever they stand, as in the list of clients.
func TestConformanceClientsAreTested(t *testing.T) {
	tests := testsOf(t, "..")
	names := regexp.MustCompile(`[a-z0-9/]+/Test\w+`).FindAllString(conformanceText(t), -1)
	for _, name := range names {
		if !tests[name] {
			t.Errorf("there is no %s", name)
		}
	}
	if len(names) < 20 {
		t.Errorf("%d names", len(names))
	}
}

// TestConformanceListsItsTests is the way back: a test that is named for lines stands at each of them.
func TestConformanceListsItsTests(t *testing.T) {
	held, _ := conformance(t)
	named := regexp.MustCompile(`^dnsserver/(Test((?:[BSETX][0-9]+)+)\D.*)$`)
	found := 0
	for name := range testsOf(t, "..") {
		match := named.FindStringSubmatch(name)
		if match == nil {
			continue
		}
		found++
		for _, line := range regexp.MustCompile(`[A-Z][0-9]+`).FindAllString(match[2], -1) {
			if !slices.Contains(strings.FieldsFunc(held[line], func(r rune) bool { return strings.ContainsRune(",; ", r) }), match[1]) {
				t.Errorf("%s is not listed at %s", match[1], line)
			}
		}
	}
	if found < 50 {
		t.Errorf("%d tests are named for lines", found)
	}
}
