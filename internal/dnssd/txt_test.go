package dnssd_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

func TestCheckTXTString(t *testing.T) {
	runRules(t, dnssd.CheckTXTString, []ruleCase{
		{"flag", "flag", ""},
		{"empty value", "k=", ""},
		{"value", "k=v", ""},
		{"value with =", "k=a=b", ""},
		{"value with control characters", "k=\x00\n", ""},
		{"key with a space", "a b=c", ""},
		{"255 octets", "k=" + strings.Repeat("x", 253), ""},
		{"256 octets", "k=" + strings.Repeat("x", 254), "at most 255 octets"},
		{"empty", "", "key of printable ASCII"},
		{"empty key", "=v", "key of printable ASCII"},
		{"UTF-8 in the key", "ü=v", "key of printable ASCII"},
		{"control character in the key", "a\tb=v", "key of printable ASCII"},
		{"value not UTF-8", "k=\xff", "valid UTF-8"},
	})
}

func TestCheckTXTKeys(t *testing.T) {
	if s, err := dnssd.CheckTXTKeys([]string{"a", "b=", "c=A"}); err != nil {
		t.Errorf("distinct keys refused for %q: %v", s, err)
	}
	if s, err := dnssd.CheckTXTKeys([]string{"", "=x", "ü=1", "ü=2", "k"}); err != nil {
		t.Errorf("strings without a key refused twice, for %q: %v", s, err)
	}
	for _, txt := range [][]string{{"k=1", "K=2"}, {"k", "x", "k="}} {
		s, err := dnssd.CheckTXTKeys(txt)
		wantRule(t, err, "must not repeat a key")
		if s != txt[len(txt)-1] {
			t.Errorf("names %q as the repeated one, want %q", s, txt[len(txt)-1])
		}
	}
}

func TestTXTWire(t *testing.T) {
	for _, tc := range []struct {
		txt  []string
		want string
	}{
		{nil, "\x00"},
		{[]string{"flag"}, "\x04flag"},
		{[]string{"k=", "a=b\x00"}, "\x02k=\x04a=b\x00"},
	} {
		got := dnssd.AppendTXT(nil, tc.txt)
		if !bytes.Equal(got, []byte(tc.want)) || dnssd.TXTSize(tc.txt) != len(tc.want) {
			t.Errorf("TXT %q: %q of size %d, want %q", tc.txt, got, dnssd.TXTSize(tc.txt), tc.want)
		}
	}
}
