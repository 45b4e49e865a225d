package memstore_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

func TestConfig(t *testing.T) {
	zone := store.Rules{Zone: "svc.internal."}
	for _, c := range []struct {
		name string
		in   memstore.Config
		want []string // the fields that are wrong
	}{
		{"a zone is all that it takes", memstore.Config{Rules: zone}, nil},
		{"all of it", memstore.Config{Rules: store.Rules{Zone: "a.b.", Hosts: []string{"ns1"}, Strict: true}, MaxInstances: 1, MaxTombstones: 1, Retention: 1, SnapshotFile: "f", SnapshotEvery: 1}, nil},
		{"no zone", memstore.Config{}, []string{"Rules.Zone"}},
		{"a zone in another form", memstore.Config{Rules: store.Rules{Zone: "SVC.internal"}}, []string{"Rules.Zone"}},
		{"a zone of multicast DNS", memstore.Config{Rules: store.Rules{Zone: "local."}}, []string{"Rules.Zone"}},
		{"all fields at once", memstore.Config{
			Rules:         store.Rules{Zone: "a..b.", Hosts: []string{"ns1", "NS2", "ns_3"}},
			MaxInstances:  -1,
			MaxTombstones: -1,
			Retention:     -1,
			SnapshotEvery: -1,
		}, []string{"Rules.Zone", "Rules.Hosts[1]", "Rules.Hosts[2]", "MaxInstances", "MaxTombstones", "Retention", "SnapshotEvery"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := memstore.New(c.in)
			if (s == nil) != (c.want != nil) || (err == nil) != (c.want == nil) {
				t.Fatalf("store %v, error %v", s != nil, err)
			}
			var invalid *store.InvalidError
			if errors.As(err, &invalid) == (err == nil) {
				t.Fatalf("error %v is no InvalidError", err)
			}
			var fields []string
			if invalid != nil {
				for _, f := range invalid.Fields {
					fields = append(fields, f.Field)
				}
			}
			if !slices.Equal(fields, c.want) {
				t.Fatalf("error %v about %q, want %q", err, fields, c.want)
			}
		})
	}
}

func TestMaxInstances(t *testing.T) {
	const limit = 5
	s := open(t, memstore.Config{MaxInstances: limit})
	for i := range limit {
		put(t, s, store.Service(fmt.Sprintf("_s%d._tcp", i)), instance("a", time.Hour))
	}
	before := s.View()
	_, err := s.Register(t.Context(), "_s0._tcp", instance("b", time.Hour))
	if !errors.Is(err, store.ErrFull) || !strings.Contains(err.Error(), "5 instances") {
		t.Fatalf("one more: error %v", err)
	}
	if s.View() != before {
		t.Fatal("the view has changed")
	}
	if err := renew(t, s, "_s0._tcp", "b"); !errors.Is(err, store.ErrGone) {
		t.Fatalf("renew what was refused: error %v", err)
	}
	if r := put(t, s, "_s0._tcp", instance("A", time.Minute)); r.Created {
		t.Fatalf("a replacement at the limit: %+v", r)
	}
	end(t, s, "_s1._tcp", "a")
	put(t, s, "_s0._tcp", instance("b", time.Hour))
	instances(t, s, "at the limit", limit)
}
