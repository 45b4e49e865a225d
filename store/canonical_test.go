package store_test

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dnsreg/dnsreg/store"
)

func TestParseCanonical(t *testing.T) {
	for _, in := range goldenInstances() {
		got, err := store.ParseCanonical(string(in.Canonical()))
		if err != nil {
			t.Errorf("%s: %v", in.Canonical(), err)
			continue
		}
		if diff := cmp.Diff(in, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", in.Canonical(), diff)
		}
	}
}

// TestParseCanonicalRefuses goes through forms that mean an instance and are not the one form that it has.
func TestParseCanonicalRefuses(t *testing.T) {
	good := `{"v":1,"id":"a","host":"a","addresses":["10.0.0.1"],"port":80,"priority":0,"weight":1,"txt":["k"],"subtypes":[],"ttl_ms":2000}`
	if _, err := store.ParseCanonical(good); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, old, new string }{
		{"another format", `"v":1`, `"v":2`},
		{"another order", `"id":"a","host":"a"`, `"host":"a","id":"a"`},
		{"a space", `,"port"`, `, "port"`},
		{"an escape too many", `["k"]`, `["\u006b"]`},
		{"an escape too few", `["k"]`, `["<"]`},
		{"broken UTF-8", `["k"]`, "[\"\xff\"]"},
		{"no end of a text", `["k"]`, `["k\`},
		{"no id", `"id":"a"`, `"id":""`},
		{"an address in another form", `10.0.0.1`, `::ffff:0a00:0001`},
		{"a leading zero", `:80`, `:080`},
		{"too large a port", `:80`, `:65536`},
		{"no number", `:80`, `:`},
		{"null", `"subtypes":[]`, `"subtypes":null`},
		{"too short a ttl", `2000`, `999`},
		{"too long a ttl", `2000`, `86400001`},
		{"more behind it", `000}`, `000}}`},
		{"nothing", good, ``},
	}
	for _, tt := range tests {
		bad := strings.Replace(good, tt.old, tt.new, 1)
		if in, err := store.ParseCanonical(bad); err == nil || bad == good {
			t.Errorf("%s: %s accepted as %+v", tt.name, bad, in)
		}
	}
}

// FuzzParseCanonical holds that what is accepted has no other form than the one that it was read from.
func FuzzParseCanonical(f *testing.F) {
	for _, in := range goldenInstances() {
		f.Add(string(in.Canonical()))
	}
	golden, err := os.ReadFile("testdata/canonical.golden")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(golden)) {
		f.Add(line[strings.IndexByte(line, ' ')+1 : len(line)-1])
	}
	f.Fuzz(func(t *testing.T, record string) {
		in, err := store.ParseCanonical(record)
		if err != nil {
			return
		}
		if got := string(in.Canonical()); got != record {
			t.Errorf("accepted %q, whose form is %q", record, got)
		}
	})
}
