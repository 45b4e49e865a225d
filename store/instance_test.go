package store_test

import (
	"bufio"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

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
