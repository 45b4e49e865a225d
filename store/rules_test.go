package store_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dnsreg/dnsreg/store"
)

func rules() store.Rules { return store.Rules{Zone: "svc.internal.", Hosts: []string{"ns1"}} }

func valid() store.Instance {
	return store.Instance{ID: "web-1", Addresses: addresses("10.0.0.5"), Port: 8080, Weight: 1, TTL: 30 * time.Second}
}

func TestNormalizeCompletes(t *testing.T) {
	in := store.Instance{
		ID: "Web One", Addresses: addresses("::ffff:10.0.0.9", "2001:db8::1", "10.0.0.5", "10.0.0.9"),
		Port: 80, TXT: []string{"z=1", "a=2"}, Subtypes: []string{"b", "A", "a"},
	}
	got, warnings, err := rules().Normalize("_web._tcp", in)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("warnings %q, error %v", warnings, err)
	}
	want := store.Instance{
		ID: "Web One", Host: "web-one-mnac7p", Addresses: addresses("10.0.0.5", "10.0.0.9", "2001:db8::1"),
		Port: 80, TXT: []string{"z=1", "a=2"}, Subtypes: []string{"A", "b"}, TTL: 30 * time.Second,
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(addresses("::")[0])); diff != "" {
		t.Errorf("normalized (-want +got):\n%s", diff)
	}
	again, _, err := rules().Normalize("_web._tcp", got)
	if err != nil || again.ETag() != got.ETag() {
		t.Errorf("normalizing twice changes the content: %v", err)
	}
	if in.Subtypes[0] != "b" || in.Addresses[2] != addresses("10.0.0.5")[0] {
		t.Error("the caller's slices were changed")
	}
}

func TestNormalizeHost(t *testing.T) {
	in := valid()
	in.Host = "Shared"
	if got, _, err := rules().Normalize("_web._tcp", in); err != nil || got.Host != "shared" {
		t.Errorf("host %q, %v; want it in small letters", got.Host, err)
	}
	in.Host = "_shared"
	if got, _, err := rules().Normalize("_web._tcp", in); err == nil {
		t.Errorf("host %q is accepted", got.Host)
	}
	in.Host, in.Addresses = "DB.example.org.", nil
	if got, _, err := rules().Normalize("_web._tcp", in); err != nil || got.Host != "db.example.org." {
		t.Errorf("external host %q, %v", got.Host, err)
	}
}

// TestNormalizeRefuses has one line for each rule, at its edge; ok marks the last value that is accepted.
func TestNormalizeRefuses(t *testing.T) {
	txt := func(n, size int) []string {
		var out []string
		for i := range n {
			out = append(out, fmt.Sprintf("%02d=%s", i, strings.Repeat("x", size-3)))
		}
		return out
	}
	cases := []struct {
		name   string
		change func(*store.Instance)
		field  string // "" is accepted
		value  string
		rule   string
	}{
		{"as it is", func(*store.Instance) {}, "", "", ""},
		{"empty id", func(i *store.Instance) { i.ID = "" }, "id", "", "must not be empty"},
		{"id of two dots", func(i *store.Instance) { i.ID = ".." }, "id", "..", `must not be "." or ".."`},
		{"port 0", func(i *store.Instance) { i.Port = 0 }, "port", "0", "must be 1 to 65535"},
		{"host of two labels", func(i *store.Instance) { i.Host = "a.b" }, "host", "a.b", "must be one label"},
		{"external host with addresses", func(i *store.Instance) { i.Host = "a.b." }, "addresses", "[10.0.0.5]", "must be empty"},
		{"no address", func(i *store.Instance) { i.Addresses = nil }, "addresses", "[]", "at least one"},
		{"unspecified address", func(i *store.Instance) { i.Addresses = addresses("0.0.0.0") }, "addresses[0]", "0.0.0.0", "unicast"},
		{"multicast address", func(i *store.Instance) { i.Addresses = addresses("ff02::1") }, "addresses[0]", "ff02::1", "unicast"},
		{"scoped address", func(i *store.Instance) { i.Addresses = addresses("fe80::1%eth0") }, "addresses[0]", "fe80::1%eth0", "zone index"},
		{"16 addresses", func(i *store.Instance) { i.Addresses = manyAddresses(16) }, "", "", ""},
		{"17 addresses", func(i *store.Instance) { i.Addresses = manyAddresses(17) }, "addresses", "17", "at most 16"},
		{"64 TXT strings", func(i *store.Instance) { i.TXT = txt(64, 5) }, "", "", ""},
		{"65 TXT strings", func(i *store.Instance) { i.TXT = txt(65, 5) }, "txt", "65", "at most 64"},
		{"TXT of 1300", func(i *store.Instance) { i.TXT = append(txt(5, 255), "b="+strings.Repeat("x", 17)) }, "", "", ""},
		{"TXT of 1301", func(i *store.Instance) { i.TXT = append(txt(5, 255), "b="+strings.Repeat("x", 18)) }, "txt", "1301 octets", "at most 1300"},
		{"TXT string of 256", func(i *store.Instance) { i.TXT = []string{"a", "k=" + strings.Repeat("x", 254)} }, "txt[1]", "k=xxx", "at most 255"},
		{"TXT key twice", func(i *store.Instance) { i.TXT = []string{"k=1", "K"} }, "txt", "K", "must not repeat a key"},
		{"16 subtypes", func(i *store.Instance) { i.Subtypes = numbered(16) }, "", "", ""},
		{"17 subtypes", func(i *store.Instance) { i.Subtypes = numbered(17) }, "subtypes", "17", "at most 16"},
		{"empty subtype", func(i *store.Instance) { i.Subtypes = []string{""} }, "subtypes[0]", "", "must not be empty"},
		{"TTL 1s", func(i *store.Instance) { i.TTL = time.Second }, "", "", ""},
		{"TTL under 1s", func(i *store.Instance) { i.TTL = 999 * time.Millisecond }, "ttl", "999ms", "1s to 24h"},
		{"TTL 24h", func(i *store.Instance) { i.TTL = 24 * time.Hour }, "", "", ""},
		{"TTL over 24h", func(i *store.Instance) { i.TTL = 24*time.Hour + time.Millisecond }, "ttl", "24h0m0.001s", "1s to 24h"},
		{"TTL in microseconds", func(i *store.Instance) { i.TTL = time.Second + time.Microsecond }, "ttl", "1.000001s", "whole milliseconds"},
		{"negative TTL", func(i *store.Instance) { i.TTL = -time.Second }, "ttl", "-1s", "1s to 24h"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			in := valid()
			tc.change(&in)
			_, _, err := rules().Normalize("_web._tcp", in)
			if tc.field == "" {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			got := wantFields(t, err, tc.field).Fields[0]
			if !strings.HasPrefix(got.Value, tc.value) || !strings.Contains(got.Rule, tc.rule) {
				t.Errorf("value %q, rule %q; want %q, %q", got.Value, got.Rule, tc.value, tc.rule)
			}
		})
	}
}

func manyAddresses(n int) []netip.Addr {
	var texts []string
	for i := range n {
		texts = append(texts, fmt.Sprintf("10.0.0.%d", i+1))
	}
	return addresses(texts...)
}

func numbered(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("s%d", i))
	}
	return out
}

func TestNormalizeListsEverything(t *testing.T) {
	in := store.Instance{ID: "a\tb", Host: "-", TXT: []string{"="}, Subtypes: []string{""}, TTL: 1}
	_, _, err := rules().Normalize("_ns1._tcp", in)
	invalid := wantFields(t, err, "service", "id", "host", "addresses", "port", "txt[0]", "subtypes[0]", "ttl", "ttl")
	if text := invalid.Error(); !strings.Contains(text, `id "a\tb": must not contain control characters; host "-"`) {
		t.Errorf("error reads %s", text)
	}
}

func TestServiceRules(t *testing.T) {
	strict := rules()
	strict.Strict = true
	cases := []struct {
		name    string
		rules   store.Rules
		service store.Service
		rule    string
	}{
		{"name server's name", rules(), "_ns1._tcp", "host of the zone itself"},
		{"not canonical", rules(), "_WEB._tcp", "canonical form, _web._tcp"},
		{"16 letters, strict", strict, "_abcdefghijklmnop._tcp", "at most 15 letters"},
		{"15 letters, strict", strict, "_abcdefghijklmno._tcp", ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := tc.rules.Normalize(tc.service, valid())
			if tc.rule == "" {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			if got := wantFields(t, err, "service").Fields[0]; !strings.Contains(got.Rule, tc.rule) {
				t.Errorf("rule %q, want %q", got.Rule, tc.rule)
			}
		})
	}
}

func TestDerivedNameTooLong(t *testing.T) {
	r := rules()
	r.Zone = strings.Repeat(strings.Repeat("z", 50)+".", 3)
	in := valid()
	in.ID = strings.Repeat("x", 63)
	if _, _, err := r.Normalize("_abcdefghijklmno._tcp", in); err != nil {
		t.Errorf("a name of 240 octets is refused: %v", err)
	}
	in.Subtypes = []string{strings.Repeat("y", 63)}
	_, _, err := r.Normalize("_"+store.Service(strings.Repeat("a", 30))+"._tcp", in)
	if got := wantFields(t, err, "id").Fields[0]; !strings.Contains(got.Rule, "within 255 octets") {
		t.Errorf("rule %q", got.Rule)
	}
}

func TestWarnings(t *testing.T) {
	in := valid()
	in.TXT = []string{"averylongkey=1", "b=" + strings.Repeat("x", 200), "c=" + strings.Repeat("x", 200)}
	_, warnings, err := rules().Normalize("_abcdefghijklmnop._tcp", in)
	if err != nil || len(warnings) != 3 {
		t.Fatalf("warnings %q, error %v", warnings, err)
	}
	for i, want := range []string{"at most 15 letters", "over 400", "at most 9 characters"} {
		if !strings.Contains(warnings[i], want) {
			t.Errorf("warning %q, want one with %q", warnings[i], want)
		}
	}
}

func TestFieldErrorCutsTheValue(t *testing.T) {
	got := store.NewFieldError("id", strings.Repeat("é", 40), "rule")
	if got.Value != strings.Repeat("é", 32)+"…" {
		t.Errorf("value %q", got.Value)
	}
	if got := store.NewFieldError("id", "x"+strings.Repeat("é", 40), "rule"); got.Value != "x"+strings.Repeat("é", 31)+"…" {
		t.Errorf("value cut inside a character: %q", got.Value)
	}
}

// TestNormalizeBlamesTheID holds that a host which is derived from a wrong id is not reported beside it.
func TestNormalizeBlamesTheID(t *testing.T) {
	for _, id := range []string{strings.Repeat("a", 64), strings.Repeat("ü", 32), "_x", ""} {
		in := valid()
		in.ID = id
		_, _, err := rules().Normalize("_web._tcp", in)
		if err == nil || strings.Contains(err.Error(), "host") {
			t.Errorf("id %q: %v", id, err)
		}
	}
}

func TestCheckName(t *testing.T) {
	cases := []struct {
		name    string
		service store.Service
		id      string
		want    []string // the fields in the wrong
	}{
		{"both right", "_web._tcp", "web 1", nil},
		{"service not canonical", "_WEB._tcp", "web-1", []string{"service"}},
		{"bare name", "web", "web-1", []string{"service"}},
		{"no service", "", "web-1", []string{"service"}},
		{"no id", "_web._tcp", "", []string{"id"}},
		{"both wrong", "a b", "_x", []string{"service", "id"}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			err := store.CheckName(tc.service, tc.id)
			if tc.want != nil {
				wantFields(t, err, tc.want...)
			} else if err != nil {
				t.Errorf("refused: %v", err)
			}
		})
	}
}
