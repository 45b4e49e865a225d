package redisstore_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/redisstore"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// records are instances whose canonical forms need every rule of the decoder.
func records() []store.Instance {
	return []store.Instance{
		instance("a"),
		instance("A b", ttl(store.MaxTTL), port(65535)),
		{ID: `"\/<>&` + "\u2028é\U0001F600", Host: "example.net.", Port: 1, Weight: 65535, TTL: time.Second},
		{
			ID: "x", Host: "y", Port: 1, Priority: 7, TTL: 1500 * time.Millisecond,
			Addresses: []netip.Addr{addr("10.0.0.1"), addr("fd00::1")},
			TXT:       []string{"k", "k2=", `k3="],[",\`, "k4=\x01"},
			Subtypes:  []string{"_p", `a","b`},
		},
	}
}

func TestDecodeRecord(t *testing.T) {
	for _, in := range records() {
		record := string(in.Canonical())
		got, err := redisstore.DecodeRecord(record)
		if err != nil {
			t.Errorf("%s: %v", record, err)
			continue
		}
		if diff := cmp.Diff(in, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%s: %s", record, diff)
		}
	}
}

// TestDecodeGolden reads the frozen vectors of the canonical form.
func TestDecodeGolden(t *testing.T) {
	golden, err := os.ReadFile("../testdata/canonical.golden")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for line := range strings.Lines(string(golden)) {
		_, record, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		read++
		in, err := redisstore.DecodeRecord(record)
		if err != nil {
			t.Errorf("%s: %v", record, err)
		} else if got := string(in.Canonical()); got != record {
			t.Errorf("%s became %s", record, got)
		}
	}
	if read == 0 {
		t.Fatal("no vectors found")
	}
}

func TestDecodeRecordRefuses(t *testing.T) {
	good := string(instance("a").Canonical())
	if _, err := redisstore.DecodeRecord(good); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string][2]string{
		"another format":       {`"v":1`, `"v":2`},
		"a space":              {`,"host"`, `, "host"`},
		"an escape for a":      {`"id":"a"`, `"id":"\u0061"`},
		"raw <":                {`"id":"a"`, `"id":"<"`},
		"invalid UTF-8":        {`"id":"a"`, "\"id\":\"\xff\""},
		"no id":                {`"id":"a"`, `"id":""`},
		"an unfinished string": {`"id":"a"`, `"id":"a\`},
		"port 0":               {`"port":80`, `"port":0`},
		"port with zeros":      {`"port":80`, `"port":080`},
		"port too large":       {`"port":80`, `"port":65536`},
		"no port":              {`"port":80`, `"port":`},
		"a negative weight":    {`"weight":1`, `"weight":-1`},
		"null for a list":      {`"txt":[]`, `"txt":null`},
		"a comma at the end":   {`["10.0.0.1"]`, `["10.0.0.1",]`},
		"no address":           {`10.0.0.1`, `example.net`},
		"a ttl too short":      {`"ttl_ms":2000`, `"ttl_ms":999`},
		"a ttl too long":       {`"ttl_ms":2000`, `"ttl_ms":86400001`},
		"no end":               {`}`, ``},
		"more at the end":      {`}`, `} `},
	} {
		bad := strings.Replace(good, edit[0], edit[1], 1)
		if bad == good {
			t.Errorf("%s: nothing was changed", name)
		}
		if in, err := redisstore.DecodeRecord(bad); err == nil {
			t.Errorf("%s: accepted as %+v", name, in)
		}
	}
}

func FuzzDecodeRecord(f *testing.F) {
	for _, in := range records() {
		f.Add(string(in.Canonical()))
	}
	f.Fuzz(func(t *testing.T, record string) {
		in, err := redisstore.DecodeRecord(record)
		if err != nil {
			return
		}
		if got := in.Canonical(); !bytes.Equal(got, []byte(record)) {
			t.Errorf("accepted %q, whose form is %q", record, got)
		}
		if !json.Valid([]byte(record)) {
			t.Errorf("accepted %q, which is not JSON", record)
		}
	})
}

func TestParseLease(t *testing.T) {
	for _, c := range []struct {
		in   string
		ttl  time.Duration
		etag string
		ok   bool
	}{
		{redisstore.LeaseText(30*time.Second, "abc"), 30 * time.Second, "abc", true},
		{"1000:", time.Second, "", true},
		{"86400000:x:y", store.MaxTTL, "x:y", true},
		{"", 0, "", false},
		{"30000", 0, "", false},
		{"999:x", 0, "", false},
		{"86400001:x", 0, "", false},
		{"-30000:x", 0, "", false},
		{"99999999999999999999:x", 0, "", false},
		{"x:y", 0, "", false},
	} {
		if ttl, etag, ok := redisstore.ParseLease(c.in); ttl != c.ttl || etag != c.etag || ok != c.ok {
			t.Errorf("%q: %v %q %v", c.in, ttl, etag, ok)
		}
	}
}

func FuzzParseLease(f *testing.F) {
	f.Add("30000:abc")
	f.Fuzz(func(t *testing.T, s string) {
		if ttl, etag, ok := redisstore.ParseLease(s); ok && (ttl < store.MinTTL || ttl > store.MaxTTL) {
			t.Errorf("%q: a ttl of %v, etag %q", s, ttl, etag)
		}
	})
}

func TestOverlayText(t *testing.T) {
	for _, c := range []struct {
		text string
		want store.Overlay
	}{
		{"draining:", store.Overlay{State: new(store.Draining)}},
		{"up:0", store.Overlay{State: new(store.Up), Weight: new(uint16(0))}},
		{":65535", store.Overlay{Weight: new(uint16(65535))}},
	} {
		got, err := redisstore.DecodeOverlay(c.text)
		if err != nil || !got.Equal(c.want) || redisstore.OverlayText(c.want) != c.text {
			t.Errorf("%q: %+v, error %v, written as %q", c.text, got, err, redisstore.OverlayText(c.want))
		}
	}
	for _, bad := range []string{"", "draining", "down:", ":65536", ":-1", ":01", ":+1", "up:1:2", "UP:"} {
		if got, err := redisstore.DecodeOverlay(bad); err == nil {
			t.Errorf("%q: accepted as %+v", bad, got)
		}
	}
	if got := redisstore.OverlayText(store.Overlay{}); got != "" {
		t.Errorf("no overlay is %q", got)
	}
}

func FuzzDecodeOverlay(f *testing.F) {
	f.Add("draining:5")
	f.Fuzz(func(t *testing.T, s string) {
		o, err := redisstore.DecodeOverlay(s)
		if err == nil && s != ":" && redisstore.OverlayText(o) != s {
			t.Errorf("%q became %q", s, redisstore.OverlayText(o))
		}
	})
}
