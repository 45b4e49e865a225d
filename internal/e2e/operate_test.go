package e2e_test

import (
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dnsreg/dnsreg/internal/redistest"
)

const operate = "../../docs/operate.md"

func manual(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(operate)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestUsersOfTheManual makes the Redis users that docs/operate.md shows, and has a server run with each: the registrar
// does everything, the reader answers, and neither is denied what it needs.
func TestUsersOfTheManual(t *testing.T) {
	t.Parallel()
	var options []redistest.Option
	for _, user := range regexp.MustCompile(`(?m)^ACL SETUSER (\w+) on >PASSWORD (.+)$`).FindAllStringSubmatch(manual(t), -1) {
		options = append(options, redistest.WithUser(user[1], "secret-of-"+user[1], user[2]))
	}
	if len(options) != 2 {
		t.Fatalf("%s shows %d users, want 2", operate, len(options))
	}
	redis := redistest.Start(t, options...)
	registrar := serve(t, "--store", redis.UserURL("registrar"))
	registrar.ready(t)
	reader := serve(t, "--store", redis.UserURL("reader"))
	reader.ready(t)
	registrar.put(t, "web", "web-1", webBody)
	for _, s := range []*server{registrar, reader} {
		within(t, patience, "the instance is answered", func() bool {
			return slices.Equal(dig(t, s, webName, "PTR"), []string{"web-1." + webName})
		})
		if text := s.log.String(); strings.Contains(text, "NOPERM") || strings.Contains(text, "secret-of-") {
			t.Errorf("log:\n%s", text)
		}
	}
	reader.unavailable(t, http.MethodPut, web1, webBody)
	if status, reply := registrar.call(t, http.MethodDelete, web1, ""); status != http.StatusOK {
		t.Errorf("DELETE: %d: %s", status, reply)
	}
}

// TestMetricsOfTheManual holds that every metric that docs/operate.md names is there, of one store or the other.
func TestMetricsOfTheManual(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	onRedis, inMemory := serve(t, "--store", redis.URL()), serve(t)
	onRedis.ready(t)
	onRedis.put(t, "web", "web-1", webBody)
	_, page := onRedis.call(t, http.MethodGet, "/metrics", "")
	_, other := inMemory.call(t, http.MethodGet, "/metrics", "")
	names := regexp.MustCompile(`dnsreg_\w+\*?`).FindAllString(manual(t), -1)
	if len(names) < 5 {
		t.Fatalf("%s names %q", operate, names)
	}
	for _, name := range names {
		if family, ok := strings.CutSuffix(name, "*"); ok {
			name = family
		} else {
			name += " "
		}
		if !strings.Contains(page+other, "\n# TYPE "+name) {
			t.Errorf("there is no %s", name)
		}
	}
}
