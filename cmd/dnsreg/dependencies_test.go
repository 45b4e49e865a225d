package main_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const top = "../.."

// directModules returns the modules that the root module requires by itself.
func directModules(t testing.TB) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	var modules []string
	for _, line := range regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(string(text), -1) {
		modules = append(modules, line[1])
	}
	return modules
}

// importers returns the folders of the root module, by what their code imports; tests and what serves them alone are left
// out.
func importers(t testing.TB) map[string][]string {
	t.Helper()
	folders := make(map[string][]string)
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		_, noModule := os.Stat(filepath.Join(path, "go.mod"))
		rel, _ := filepath.Rel(top, path)
		switch {
		case entry.IsDir() && (rel == "internal/redistest" || rel == "store/storetest" || rel != "." && noModule == nil):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, imported := range file.Imports {
			name := strings.Trim(imported.Path.Value, `"`)
			folders[name] = append(folders[name], filepath.Dir(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return folders
}

// TestDependenciesAreExplained holds that docs/dependencies.md has each direct dependency once, and that code imports it
// nowhere but where the table says, if it says.
func TestDependenciesAreExplained(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(top, "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	folders, modules := importers(t), directModules(t)
	if len(modules) < 10 || len(folders) < 50 {
		t.Fatalf("%d modules, %d imports", len(modules), len(folders))
	}
	for _, module := range modules {
		if n := len(regexp.MustCompile(regexp.QuoteMeta(module)+`[ ,\s]`).FindAllString(string(text), -1)); n != 1 {
			t.Errorf("%s is there %d times, want once", module, n)
		}
		row := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(module) + ` .*$`).FindString(string(text))
		var named []string
		for _, name := range regexp.MustCompile("`([a-z/]+)`").FindAllStringSubmatch(row, -1) {
			named = append(named, name[1])
		}
		for imported, in := range folders {
			for _, folder := range in {
				of := imported == module || strings.HasPrefix(imported, module+"/")
				if of && (row == "" || len(named) > 0 && !slices.Contains(named, folder)) {
					t.Errorf("%s imports %s, which the table has in %q", folder, imported, named)
				}
			}
		}
	}
}
