package store_test

import (
	"errors"
	"math"
	"testing"

	"github.com/dnsreg/dnsreg/store"
)

func TestParseService(t *testing.T) {
	for in, want := range map[string]store.Service{"web": "_web._tcp", "_Web._UDP": "_web._udp"} {
		if got, err := store.ParseService(in); err != nil || got != want {
			t.Errorf("ParseService(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	_, err := store.ParseService("_web._sctp")
	wantFields(t, err, "service")
}

func TestSibling(t *testing.T) {
	for in, want := range map[store.Service]store.Service{"_web._tcp": "_web._udp", "_web._udp": "_web._tcp"} {
		if got := in.Sibling(); got != want {
			t.Errorf("sibling of %s: %s, want %s", in, got, want)
		}
	}
}

// TestSerial holds the wrap of RFC 1982: the serial goes on behind 2^32.
func TestSerial(t *testing.T) {
	for in, want := range map[store.Revision]uint32{0: 0, 42: 42, math.MaxUint32: math.MaxUint32, math.MaxUint32 + 1: 0, math.MaxUint32 + 8: 7} {
		if got := in.Serial(); got != want {
			t.Errorf("serial of %d: %d, want %d", in, got, want)
		}
	}
}

func TestFreshnessString(t *testing.T) {
	for in, want := range map[store.Freshness]string{store.Synced: "synced", store.Stale: "stale", store.Lost: "lost"} {
		if in.String() != want {
			t.Errorf("freshness %d reads %q, want %q", in, in, want)
		}
	}
}

// wantFields holds that err is an InvalidError about exactly these fields, in this order.
func wantFields(t testing.TB, err error, fields ...string) *store.InvalidError {
	t.Helper()
	var invalid *store.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("error %v is no InvalidError", err)
	}
	var got []string
	for _, f := range invalid.Fields {
		got = append(got, f.Field)
	}
	if len(got) != len(fields) {
		t.Fatalf("fields %q, want %q: %v", got, fields, err)
	}
	for i := range got {
		if got[i] != fields[i] {
			t.Fatalf("fields %q, want %q: %v", got, fields, err)
		}
	}
	return invalid
}
