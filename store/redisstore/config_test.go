package redisstore_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/redisstore"
)

func TestParseURL(t *testing.T) {
	for _, c := range []struct {
		in   string
		want redisstore.URLParts
	}{
		{"redis://localhost", redisstore.URLParts{Addresses: []string{"localhost:6379"}}},
		{"redis://127.0.0.1:1/0", redisstore.URLParts{Addresses: []string{"127.0.0.1:1"}}},
		{"rediss://h:2/15", redisstore.URLParts{Addresses: []string{"h:2"}, Database: 15, TLS: true}},
		{"redis://:pw@h", redisstore.URLParts{Addresses: []string{"h:6379"}, Password: "pw"}},
		{"redis://u:p%40%3A%2F@h", redisstore.URLParts{Addresses: []string{"h:6379"}, Username: "u", Password: "p@:/"}},
		{"redis://u:p@q@h", redisstore.URLParts{Addresses: []string{"h:6379"}, Username: "u", Password: "p@q"}},
		{"redis://[::1]:7,[::2]", redisstore.URLParts{Addresses: []string{"[::1]:7", "[::2]:6379"}, Cluster: true}},
		{"redis://a:1,b:2,c:3", redisstore.URLParts{Addresses: []string{"a:1", "b:2", "c:3"}, Cluster: true}},
		{"redis://a:1,b:2/3?master=m", redisstore.URLParts{Addresses: []string{"a:1", "b:2"}, Database: 3, Master: "m"}},
		{
			"redis://a:1?master=m&sentinel_username=su&sentinel_password=sp",
			redisstore.URLParts{Addresses: []string{"a:1"}, Master: "m", SentinelUsername: "su", SentinelPassword: "sp"},
		},
	} {
		got, err := redisstore.ParseURL(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
		} else if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.in, diff)
		}
	}
}

// badURLs hold a password, which no error may show.
var badURLs = []string{
	"", "memory:", "http://u:secret@h", "redis:u:secret@h", "redis://u:secret@", "redis://u:secret@h:0", "redis://u:secret@h:port",
	"redis://u:secret@h:65536", "redis://u:secret@h/x", "redis://u:secret@h/1/2", "redis://u:secret@h/-1", "redis://u:secret@a,b/1",
	"redis://u:secret%zz@h", "redis://u:secret@h?other=secret", "redis://u:secret@h?master=", "redis://u:secret@h?master=a&master=secret",
	"redis://secret@h", "redis://u:secret@h?%zz", "redis://u:secret@h,,h", "redis://h?sentinel_password=secret", "redis://u:secret@h h",
}

func TestParseURLRefuses(t *testing.T) {
	for _, bad := range badURLs {
		got, err := redisstore.ParseURL(bad)
		if err == nil {
			t.Errorf("%q: accepted as %+v", bad, got)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error tells: %v", bad, err)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range append(badURLs, "rediss://u:p@[::1]:7,b:2/0?master=m") {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := redisstore.ParseURL(s)
		if err == nil && (len(u.Addresses) == 0 || slices.Contains(u.Addresses, "") || u.Cluster && u.Database != 0) {
			t.Errorf("%q: accepted as %+v", s, u)
		}
	})
}

func TestNewNamesEveryWrongField(t *testing.T) {
	_, err := redisstore.New(redisstore.Config{
		Rules: store.Rules{Zone: "SVC", Hosts: []string{"ok", "NOT"}}, URL: "redis://u:secret@", Prefix: "a{b}", Notify: "loud",
		MaxStale: -1, Retention: -1, Poll: -1, Tick: -1, StaleAfter: -1, CompareEvery: -1,
	})
	var invalid *store.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("error %v", err)
	}
	var got []string
	for _, f := range invalid.Fields {
		got = append(got, f.Field)
	}
	slices.Sort(got)
	want := []string{"CompareEvery", "MaxStale", "Notify", "Poll", "Prefix", "Retention", "Rules.Hosts[1]", "Rules.Zone", "StaleAfter", "Tick", "URL"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the error tells: %v", err)
	}
}

func TestParseInfo(t *testing.T) {
	version, home, role, policy, err := redisstore.ParseInfo("# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nrun_id:abc\r\n\r\n" +
		"# Replication\r\nrole:master\r\nmaster_replid:def\r\nmaxmemory_policy:noeviction\r\n")
	if version != "7.2.4" || home != "abc/def" || role != "master" || policy != "noeviction" || err != nil {
		t.Errorf("%q %q %q %q, error %v", version, home, role, policy, err)
	}
	for _, c := range []struct {
		version string
		ok      bool
	}{{"6.2.14", false}, {"7.0.0", true}, {"8.0.1", true}, {"10.0.0", true}, {"", false}, {"x", false}} {
		if _, _, _, _, err := redisstore.ParseInfo("redis_version:" + c.version); (err == nil) != c.ok {
			t.Errorf("version %q: error %v", c.version, err)
		}
	}
}

func TestMissingFlags(t *testing.T) {
	for set, want := range map[string]string{
		"": "Kzx", "Kzx": "", "KA": "", "A": "K", "AKE": "", "Ex": "Kz", "Kg$lsx": "z", "KEz": "x", "xzK": "",
	} {
		if got := redisstore.MissingFlags(set); got != want {
			t.Errorf("%q lacks %q, want %q", set, got, want)
		}
	}
}

func live(in store.Instance, overlay store.Overlay) store.Live {
	return store.Live{Instance: in, Overlay: overlay}
}

func snapshot(all ...store.Live) *store.Snapshot {
	return &store.Snapshot{Service: web, Revision: 1, Instances: all}
}

// TestSalvage is what a recovery keeps and restores.
func TestSalvage(t *testing.T) {
	a, b, none := instance("a"), instance("b"), store.Overlay{}
	newer := instance("a", port(99))
	drain, up := store.Overlay{State: new(store.Draining)}, store.Overlay{State: new(store.Up)}
	for _, c := range []struct {
		name          string
		shown, stored *store.Snapshot
		buried        string
		kept          []store.Live // and put back
		mended        []store.Live // and shown
	}{
		{name: "nothing shown", stored: snapshot(live(a, none)), mended: []store.Live{live(a, none)}},
		{name: "all is lost", shown: snapshot(live(a, none), live(b, drain)), kept: []store.Live{live(a, none), live(b, drain)}, mended: []store.Live{live(a, none), live(b, drain)}},
		{name: "nothing is lost", shown: snapshot(live(a, drain)), stored: snapshot(live(a, drain)), mended: []store.Live{live(a, drain)}},
		{name: "one is lost", shown: snapshot(live(a, none), live(b, none)), stored: snapshot(live(b, none)), kept: []store.Live{live(a, none)}, mended: []store.Live{live(a, none), live(b, none)}},
		{name: "one is lost, one is new", shown: snapshot(live(b, none)), stored: snapshot(live(a, none)), kept: []store.Live{live(b, none)}, mended: []store.Live{live(a, none), live(b, none)}},
		{name: "another content is stored", shown: snapshot(live(a, none)), stored: snapshot(live(newer, none)), mended: []store.Live{live(newer, none)}},
		{name: "deregistered since", shown: snapshot(live(a, none), live(b, none)), buried: "a", kept: []store.Live{live(b, none)}, mended: []store.Live{live(b, none)}},
		{name: "registered again, the overlay is lost", shown: snapshot(live(a, drain)), stored: snapshot(live(newer, none)), kept: []store.Live{live(newer, drain)}, mended: []store.Live{live(newer, drain)}},
		{name: "another overlay is stored", shown: snapshot(live(a, drain)), stored: snapshot(live(a, up)), mended: []store.Live{live(a, up)}},
		{name: "the id in another case", shown: snapshot(live(a, none)), stored: snapshot(live(instance("A"), none)), mended: []store.Live{live(instance("A"), none)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			kept := redisstore.Salvage(c.shown, c.stored, func(key string) bool { return key == c.buried })
			same := cmp.Comparer(func(a, b store.Live) bool { return a.ETag() == b.ETag() && a.Overlay.Equal(b.Overlay) })
			if diff := cmp.Diff(c.kept, kept, same); diff != "" {
				t.Errorf("kept: %s", diff)
			}
			if diff := cmp.Diff(c.mended, redisstore.Mend(c.stored, kept), same); diff != "" {
				t.Errorf("shown: %s", diff)
			}
		})
	}
}

func TestDues(t *testing.T) {
	d := redisstore.NewDues()
	if got := d.Take(time.Hour, 10); got != nil {
		t.Fatalf("nothing is watched, and %v due", got)
	}
	a, b := live(instance("a"), store.Overlay{}), live(instance("b"), store.Overlay{})
	d.Watch(web, snapshot(a), 5)
	d.Watch(web, snapshot(a, b), 7)
	d.Watch("_x._udp", &store.Snapshot{Service: "_x._udp", Instances: []store.Live{a}}, 6)
	if d.First() != 5 || len(d.Take(4, 10)) != 0 {
		t.Fatalf("first due at %v", d.First())
	}
	for _, step := range []struct {
		now  time.Duration
		want string
	}{{5, "_web._tcp/a"}, {5, ""}, {7, "_x._udp/a _web._tcp/b"}, {7, ""}} {
		if got := strings.Join(d.Take(step.now, 10), " "); got != step.want {
			t.Fatalf("at %v: %q due, want %q", step.now, got, step.want)
		}
	}
	d.Hasten(web, "B")
	d.Hasten(web, "nobody")
	d.Hasten("_nobody._tcp", "b")
	if got := strings.Join(d.Take(8, 10), " "); got != "_web._tcp/b" {
		t.Fatalf("hastened: %q", got)
	}
	changed := a
	changed.Port = 99
	d.Watch(web, snapshot(changed), 9)
	if got := strings.Join(d.Take(9, 10), " "); got != "_web._tcp/a" {
		t.Fatalf("changed: %q", got)
	}
	d.Watch(web, nil, 0)
	d.Watch("_x._udp", snapshot(), 0)
	if got := d.Take(time.Hour, 10); got != nil {
		t.Fatalf("nothing is watched any more, and %v due", got)
	}
}
