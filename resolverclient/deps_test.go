package resolverclient_test

import (
	"os/exec"
	"strings"
	"testing"
)

// A program that only finds services must not carry the registry with it.
func TestLinksNeitherServerNorStore(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list -deps: %v", err)
	}
	const own = "github.com/dnsreg/dnsreg/"
	allowed := map[string]bool{own + "resolverclient": true, own + "internal/dnssd": true}
	banned := []string{"redis", "spf13/", "prometheus/", "net/http/httptest"}
	for dep := range strings.FieldsSeq(string(out)) {
		if strings.HasPrefix(dep, own) && !allowed[dep] {
			t.Errorf("links %s", dep)
		}
		for _, word := range banned {
			if strings.Contains(dep, word) {
				t.Errorf("links %s", dep)
			}
		}
	}
}
