package endpoint_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/dnsreg/dnsreg/heartbeat/endpoint"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// secret is the token of the tests, of the least length.
const secret = "0123456789abcdef"

func tokens(t testing.TB, file string) []endpoint.Token {
	t.Helper()
	tokens, err := endpoint.ParseTokens(strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func TestParseTokens(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string // names
	}{
		{"empty", "", nil},
		{"comments", "# one\n\n  # two\n", nil},
		{"two", "ci:" + secret + "\nops:" + secret + "x\n", []string{"ci", "ops"}},
		{"rotated", "ci:" + secret + "\nci:" + secret + "x", []string{"ci", "ci"}},
		{"line ends and spaces around", "  ci:" + secret + "\r\n", []string{"ci"}},
		{"colon and hash in the token", "ci:#" + secret + ":=+/", []string{"ci"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var names []string
			for _, token := range tokens(t, tt.in) {
				names = append(names, token.Name)
			}
			if fmt.Sprint(names) != fmt.Sprint(tt.want) {
				t.Errorf("names %q, want %q", names, tt.want)
			}
		})
	}
}

func TestParseTokensRefuses(t *testing.T) {
	const hidden = "hidden-hidden-hidden"
	in := strings.Join([]string{
		"ci:" + secret,
		hidden,                              // 2
		":" + hidden,                        // 3
		"a b:" + hidden,                     // 4
		"ops:hidden",                        // 5
		"ops:hidden " + hidden,              // 6
		"ops:" + hidden + "é",               // 7
		"ops:" + strings.Repeat(hidden, 52), // 8
		"ops:" + secret,                     // 9
		"ok:" + hidden,
	}, "\n")
	_, err := endpoint.ParseTokens(strings.NewReader(in))
	wantText(t, err,
		`line 2: must be "name:token"`, `line 3: must be "name:token"`, `line 4: must be "name:token"`,
		"line 5: the token must be 16 to 1024 characters", "line 6: the token must be printable ASCII",
		"line 7: the token must be printable ASCII", "line 8: the token must be 16 to 1024", "line 9: the token must not stand twice",
	)
	if strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "line 1:") {
		t.Errorf("error %q", err)
	}
}

func TestParseTokensLimits(t *testing.T) {
	_, err := endpoint.ParseTokens(strings.NewReader(strings.Repeat("x", 1<<20)))
	wantText(t, err, "read tokens", "too long")
	_, err = endpoint.ParseTokens(iotest.ErrReader(http.ErrAbortHandler))
	wantText(t, err, "read tokens: net/http: abort Handler")
	var many strings.Builder
	for i := range 10_001 {
		fmt.Fprintf(&many, "n:%016d\n", i)
	}
	_, err = endpoint.ParseTokens(strings.NewReader(many.String()))
	wantText(t, err, "line 10001: at most 10000 tokens are allowed")
}

func TestTokenIsNotPrinted(t *testing.T) {
	some := tokens(t, "ci:"+secret)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(format, some); strings.Contains(text, secret) {
			t.Errorf("%s prints %s", format, text)
		}
	}
}

// FuzzParseTokens holds that an error never shows what was read but by the number of its line.
func FuzzParseTokens(f *testing.F) {
	f.Add("ci:" + secret + "\n# c\nbad\n")
	f.Fuzz(func(t *testing.T, in string) {
		got, err := endpoint.ParseTokens(strings.NewReader(in))
		if err != nil && len(got) > 0 {
			t.Errorf("%d tokens and an error", len(got))
		}
		for _, token := range got {
			if token.Name == "" || strings.ContainsAny(token.Name, " :\n") {
				t.Errorf("name %q", token.Name)
			}
		}
	})
}

// TestAuthorize holds that everything but /livez and /readyz needs a token where there are any.
func TestAuthorize(t *testing.T) {
	cfg := config(newStore(t, memstore.Config{}))
	cfg.Tokens = tokens(t, "old:"+secret+"-old\nci:"+secret)
	cfg.Metrics = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	a := newAPI(t, cfg)
	if got := a.call(t, "PUT", web1, body, "Authorization", "Bearer "+secret); got.status != 201 {
		t.Fatalf("with the token: status %d: %s", got.status, got.body)
	}
	credentials := []struct {
		name, value, challenge string // challenge empty: let in
	}{
		{"none", "", `Bearer realm="dnsreg"`},
		{"wrong", "Bearer 0123456789abcdeX", `Bearer realm="dnsreg", error="invalid_token"`},
		{"prefix", "Bearer 0123456789abcde", `Bearer realm="dnsreg", error="invalid_token"`},
		{"longer", "Bearer " + secret + "0", `Bearer realm="dnsreg", error="invalid_token"`},
		{"empty", "Bearer ", `Bearer realm="dnsreg", error="invalid_token"`},
		{"name and token", "Bearer ci:" + secret, `Bearer realm="dnsreg", error="invalid_token"`},
		{"other scheme", "Basic " + secret, `Bearer realm="dnsreg", error="invalid_token"`},
		{"no scheme", secret, `Bearer realm="dnsreg", error="invalid_token"`},
		{"right", "Bearer " + secret, ""},
		{"the other", "Bearer " + secret + "-old", ""},
		{"scheme in small letters", "bearer " + secret, ""},
	}
	paths := []struct{ method, path, body string }{
		{"GET", "/metrics", ""}, {"GET", "/v1/services", ""}, {"GET", "/nothing", ""}, {"DELETE", "/v1/heartbeats", ""},
	}
	for _, c := range storeCalls {
		if c.method != "DELETE" {
			paths = append(paths, c)
		}
	}
	for _, c := range credentials {
		for _, p := range paths {
			got := a.call(t, p.method, p.path, p.body, "Authorization", c.value)
			if (got.status == 401) != (c.challenge != "") || got.header.Get("WWW-Authenticate") != c.challenge {
				t.Errorf("%s, %s %s: status %d, challenge %q", c.name, p.method, p.path, got.status, got.header.Get("WWW-Authenticate"))
			}
			if got.status == 401 && strings.Contains(got.body, secret) {
				t.Errorf("%s: the reply shows the token", c.name)
			}
		}
		for _, path := range []string{"/livez", "/readyz"} {
			if got := a.call(t, "GET", path, "", "Authorization", c.value); got.status != 200 {
				t.Errorf("%s, %s: status %d", c.name, path, got.status)
			}
		}
	}
}

// TestUnauthorizedChangesNothing holds that a call without a token does not reach the store.
func TestUnauthorizedChangesNothing(t *testing.T) {
	s := newStore(t, memstore.Config{})
	newAPI(t, config(s)).must(t, 201, "PUT", web1, body)
	cfg := config(s)
	cfg.Tokens = tokens(t, "ci:"+secret)
	a := newAPI(t, cfg)
	view := s.View()
	for _, c := range storeCalls {
		if got := a.call(t, c.method, c.path, c.body); got.problem(t).Status != 401 {
			t.Errorf("%s %s: %s", c.method, c.path, got.body)
		}
	}
	if s.View() != view {
		t.Error("the store has changed")
	}
}
