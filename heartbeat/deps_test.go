package heartbeat_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestLinksLittle holds that a service which keeps itself registered links no server, no DNS library and no Redis.
func TestLinksLittle(t *testing.T) {
	allowed := []string{
		"github.com/dnsreg/dnsreg/heartbeat",
		"github.com/dnsreg/dnsreg/internal/dnssd",
		"github.com/dnsreg/dnsreg/store",
		"github.com/cenkalti/backoff/v5",
		"golang.org/x/sync/errgroup",
		"golang.org/x/text/transform",
		"golang.org/x/text/unicode/norm",
	}
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := strings.Fields(string(out))
	if !slices.Contains(linked, allowed[0]) {
		t.Fatalf("go list says nothing: %q", out)
	}
	for _, path := range linked {
		if !slices.Contains(allowed, path) {
			t.Errorf("links %s", path)
		}
	}
}
