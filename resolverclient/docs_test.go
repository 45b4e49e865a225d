package resolverclient_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Every test that a document names as the holder of a promise is there.
func TestDocumentsNameTestsThatAreThere(t *testing.T) {
	named := regexp.MustCompile(`(?:([a-z0-9/]+)/)?\b((?:Test|Fuzz|Example|Benchmark)[A-Z]\w*)`)
	for _, document := range []string{"client.md", "go-micro.md"} {
		text, err := os.ReadFile(filepath.Join("..", "docs", document))
		if err != nil {
			t.Fatal(err)
		}
		found := named.FindAllStringSubmatch(string(text), -1)
		if len(found) < 20 {
			t.Errorf("%s names %d tests", document, len(found))
		}
		for _, m := range found {
			dir := "."
			if m[1] != "" {
				dir = filepath.Join("..", m[1])
			}
			if !defines(t, dir, m[2]) {
				t.Errorf("%s names %s, which is not there", document, m[0])
			}
		}
	}
}

// defines reports whether a test file of a folder has a function of this name.
func defines(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	head := regexp.MustCompile(`(?m)^func ` + name + `\(`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if head.Match(text) {
			return true
		}
	}
	return false
}
