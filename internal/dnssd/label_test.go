package dnssd_test

import (
	"strings"
	"testing"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// ruleCase is one input of a check; want is a part of the rule that it breaks, "" where it breaks none.
type ruleCase struct{ name, in, want string }

func runRules(t *testing.T, check func(string) error, cases []ruleCase) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) { wantRule(t, check(tc.in), tc.want) })
	}
}

func wantRule(t testing.TB, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Fatalf("refused: %v", err)
	case want != "" && err == nil:
		t.Fatalf("accepted, want a rule with %q", want)
	case want != "" && !strings.Contains(err.Error(), want):
		t.Fatalf("rule %q, want one with %q", err, want)
	}
}

// textRules are the rules that instance ids and subtypes share (RFC 6763 section 4.1.1).
func textRules() []ruleCase {
	return []ruleCase{
		{"plain", "web-1", ""},
		{"spaces, dots and capitals", "Web One. v1.2", ""},
		{"UTF-8 in NFC", "büro.two", ""},
		{"backslash", `a\b`, ""},
		{"63 octets", strings.Repeat("x", 63), ""},
		{"63 octets of UTF-8", strings.Repeat("ü", 31) + "x", ""},
		{"empty", "", "must not be empty"},
		{"64 octets", strings.Repeat("x", 64), "at most 63 octets"},
		{"64 octets of UTF-8", strings.Repeat("ü", 32), "at most 63 octets"},
		{"NFD", "bu\u0308ro", "normalization form NFC"},
		{"not UTF-8", "a\xff", "valid UTF-8"},
		{"NUL", "a\x00b", "control characters"},
		{"tab", "a\tb", "control characters"},
		{"DEL", "a\x7fb", "control characters"},
		{"C1", "a\u0085b", "control characters"},
	}
}

func TestCheckInstance(t *testing.T) {
	runRules(t, dnssd.CheckInstance, append(textRules(),
		ruleCase{"one dot", ".", `must not be "." or ".."`},
		ruleCase{"two dots", "..", `must not be "." or ".."`},
		ruleCase{"three dots", "...", ""},
		ruleCase{"leading underscore", "_web", "begin with an underscore"},
		ruleCase{"inner underscore", "web_1", ""},
	))
}

func TestCheckSubtype(t *testing.T) {
	runRules(t, dnssd.CheckSubtype, append(textRules(), ruleCase{"leading underscore", "_admin", ""}))
}

func TestCheckHostLabel(t *testing.T) {
	runRules(t, dnssd.CheckHostLabel, []ruleCase{
		{"letters, digits and hyphens", "Web-1", ""},
		{"digits alone", "1", ""},
		{"63 octets", strings.Repeat("x", 63), ""},
		{"empty", "", "must not be empty"},
		{"64 octets", strings.Repeat("x", 64), "at most 63 octets"},
		{"leading hyphen", "-a", "letters, digits and hyphens"},
		{"trailing hyphen", "a-", "letters, digits and hyphens"},
		{"underscore", "a_b", "letters, digits and hyphens"},
		{"leading underscore", "_a", "letters, digits and hyphens"},
		{"dot", "a.b", "letters, digits and hyphens"},
		{"UTF-8", "ü", "letters, digits and hyphens"},
	})
}

func TestFold(t *testing.T) {
	for in, want := range map[string]string{"": "", "web": "web", "WeB-1": "web-1", "BÜRO": "bÜro", "[@Z": "[@z"} {
		if got := dnssd.Fold(in); got != want {
			t.Errorf("Fold(%q) = %q, want %q", in, got, want)
		}
	}
}
