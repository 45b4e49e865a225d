package store_test

import (
	"bufio"
	"encoding/json"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dnsreg/dnsreg/store"
)

// goldenInstances are the contents behind testdata/canonical.golden, in its order.
func goldenInstances() []store.Instance {
	return []store.Instance{
		{ID: "web-1", Host: "web-1", Addresses: addresses("10.0.0.5"), Port: 8080, Weight: 1, TTL: 30 * time.Second},
		{
			ID: "Web One", Host: "web-one-mnac7p", Addresses: addresses("10.0.0.5", "2001:db8::1"), Port: 65535,
			Priority: 10, Weight: 65535, TXT: []string{"txtvers=1", "flag", "path=/a&b<c>\"d\\"}, Subtypes: []string{"_admin", "büro"},
			TTL: 1500 * time.Millisecond,
		},
		{ID: "db", Host: "db.example.org.", Port: 5432, TXT: []string{"k=\u2028\x00"}, TTL: 24 * time.Hour},
	}
}

func addresses(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

// TestCanonicalGolden holds the frozen form: each line of the file is an ETag and the canonical form that has it.
func TestCanonicalGolden(t *testing.T) {
	file, err := os.Open("testdata/canonical.golden")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for _, in := range goldenInstances() {
		if !lines.Scan() {
			t.Fatalf("no line for %s", in.ID)
		}
		etag, form, _ := strings.Cut(lines.Text(), " ")
		if got := string(in.Canonical()); got != form {
			t.Errorf("%s: canonical form\n%s, want\n%s", in.ID, got, form)
		}
		if got := in.ETag(); got != etag {
			t.Errorf("%s: ETag %s, want %s", in.ID, got, etag)
		}
	}
}

// canonical is the frozen form as encoding/json has it.
type canonical struct {
	Format    int          `json:"v"`
	ID        string       `json:"id"`
	Host      string       `json:"host"`
	Addresses []netip.Addr `json:"addresses"`
	Port      uint16       `json:"port"`
	Priority  uint16       `json:"priority"`
	Weight    uint16       `json:"weight"`
	TXT       []string     `json:"txt"`
	Subtypes  []string     `json:"subtypes"`
	TTL       int64        `json:"ttl_ms"`
}

// TestCanonicalIsJSON holds the form to that of encoding/json, for whatever text there may be.
func TestCanonicalIsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts, number := rapid.SliceOf(rapid.String()), rapid.Uint16()
		want := canonical{
			Format: 1, ID: rapid.String().Draw(t, "id"), Host: rapid.StringMatching(`[ -~]*`).Draw(t, "host"), Addresses: []netip.Addr{},
			Port: number.Draw(t, "port"), Priority: number.Draw(t, "priority"), Weight: number.Draw(t, "weight"),
			TXT: texts.Draw(t, "txt"), Subtypes: texts.Draw(t, "subtypes"), TTL: rapid.Int64Range(0, 1<<40).Draw(t, "ttl"),
		}
		all := append(addresses("10.0.0.5", "2001:db8::1", "fe80::1%eth<0>", "::ffff:1.2.3.4"), netip.Addr{})
		for range rapid.IntRange(0, 3).Draw(t, "addresses") {
			want.Addresses = append(want.Addresses, rapid.SampledFrom(all).Draw(t, "address"))
		}
		in := store.Instance{
			ID: want.ID, Host: want.Host, Addresses: want.Addresses, Port: want.Port, Priority: want.Priority, Weight: want.Weight,
			TXT: want.TXT, Subtypes: want.Subtypes, TTL: time.Duration(want.TTL) * time.Millisecond,
		}
		form, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(in.Canonical()); got != string(form) {
			t.Fatalf("canonical form\n%s, want\n%s", got, form)
		}
	})
}

func BenchmarkCanonical(b *testing.B) {
	in := goldenInstances()[0]
	b.ReportAllocs()
	for b.Loop() {
		in.Canonical()
	}
}

func TestCanonicalTellsContentApart(t *testing.T) {
	base := goldenInstances()[1]
	changes := map[string]func(*store.Instance){
		"id":        func(i *store.Instance) { i.ID = "web one" },
		"host":      func(i *store.Instance) { i.Host = "other" },
		"addresses": func(i *store.Instance) { i.Addresses = i.Addresses[:1] },
		"port":      func(i *store.Instance) { i.Port-- },
		"priority":  func(i *store.Instance) { i.Priority++ },
		"weight":    func(i *store.Instance) { i.Weight-- },
		"txt order": func(i *store.Instance) { i.TXT = []string{"flag", "txtvers=1", i.TXT[2]} },
		"subtypes":  func(i *store.Instance) { i.Subtypes = nil },
		"ttl":       func(i *store.Instance) { i.TTL += time.Millisecond },
	}
	for name, change := range changes {
		changed := base
		change(&changed)
		if changed.ETag() == base.ETag() {
			t.Errorf("a change of %s leaves the ETag as it was", name)
		}
	}
}

func TestLiveShowsTheOverlay(t *testing.T) {
	draining, weight := store.Draining, uint16(7)
	live := store.Live{Instance: store.Instance{Weight: 2}}
	if live.State() != store.Up || live.EffectiveWeight() != 2 {
		t.Errorf("without overlay: %s, weight %d", live.State(), live.EffectiveWeight())
	}
	live.Overlay = live.Overlay.Merge(store.Overlay{Weight: &weight}).Merge(store.Overlay{State: &draining})
	if live.State() != store.Draining || live.EffectiveWeight() != 7 {
		t.Errorf("with overlay: %s, weight %d", live.State(), live.EffectiveWeight())
	}
	other := weight
	if !live.Overlay.Equal(store.Overlay{State: &draining, Weight: &other}) || live.Overlay.Equal(store.Overlay{Weight: &weight}) {
		t.Error("overlays are compared by what they set")
	}
}
