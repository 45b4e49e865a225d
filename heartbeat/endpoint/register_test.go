package endpoint_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

func addrs(texts ...string) []netip.Addr {
	out := make([]netip.Addr, len(texts))
	for i, s := range texts {
		out[i] = netip.MustParseAddr(s)
	}
	return out
}

func TestRegisterStores(t *testing.T) {
	tests := []struct {
		name, path, body string
		service          store.Service
		want             store.Instance
	}{
		{
			"defaults", web1, `{"port":80}`, "_web._tcp",
			store.Instance{ID: "web-1", Host: "web-1", Addresses: addrs("192.0.2.1"), Port: 80, Weight: 1, TTL: 30 * time.Second},
		},
		{
			"everything", "/v1/services/_web._udp/instances/A", `{"id":"A","service":"_WEB._udp","host":"H","addresses":["10.0.0.9","10.0.0.5"],"port":1,"priority":2,
			"weight":0,"txt":["b","a="],"subtypes":["s"],"ttl":"1h"}`, "_web._udp",
			store.Instance{ID: "A", Host: "h", Addresses: addrs("10.0.0.5", "10.0.0.9"), Port: 1, Priority: 2, TXT: []string{"b", "a="}, Subtypes: []string{"s"}, TTL: time.Hour},
		},
		{
			"empty values", web1, `{"port":80,"id":"","service":"","host":"","addresses":[],"txt":[],"subtypes":[]}`, "_web._tcp",
			store.Instance{ID: "web-1", Host: "web-1", Addresses: addrs("192.0.2.1"), Port: 80, Weight: 1, TTL: 30 * time.Second},
		},
		{
			"host alone", web1, `{"port":80,"host":"db"}`, "_web._tcp",
			store.Instance{ID: "web-1", Host: "db", Addresses: addrs("192.0.2.1"), Port: 80, Weight: 1, TTL: 30 * time.Second},
		},
		{
			"external host", web1, `{"port":80,"host":"DB.example.org."}`, "_web._tcp",
			store.Instance{ID: "web-1", Host: "db.example.org.", Port: 80, Weight: 1, TTL: 30 * time.Second},
		},
		{
			"id with a space", id("Web%20One"), body, "_web._tcp",
			store.Instance{ID: "Web One", Host: "web-one-mnac7p", Addresses: addrs("10.0.0.5"), Port: 8080, Weight: 1, TTL: 30 * time.Second},
		},
		{
			"id with a dot and UTF-8", id("b%C3%BCro.two"), body, "_web._tcp",
			store.Instance{ID: "büro.two", Host: "b-ro-two-cianvr", Addresses: addrs("10.0.0.5"), Port: 8080, Weight: 1, TTL: 30 * time.Second},
		},
		{
			"id with slashes", id("a%2Fb%2F..%2F"), body, "_web._tcp",
			store.Instance{ID: "a/b/../", Host: "a-b-ujdqcz", Addresses: addrs("10.0.0.5"), Port: 8080, Weight: 1, TTL: 30 * time.Second},
		},
		{
			"id with percent, question mark and plus", id("a%25%3F+%23"), body, "_web._tcp",
			store.Instance{ID: "a%?+#", Host: "a-tx5nfs", Addresses: addrs("10.0.0.5"), Port: 8080, Weight: 1, TTL: 30 * time.Second},
		},
		{
			"id called heartbeat", id("heartbeat"), body, "_web._tcp",
			store.Instance{ID: "heartbeat", Host: "heartbeat", Addresses: addrs("10.0.0.5"), Port: 8080, Weight: 1, TTL: 30 * time.Second},
		},
		{
			"id of three dots", id("..."), body, "_web._tcp",
			store.Instance{ID: "...", Host: "vno7mj", Addresses: addrs("10.0.0.5"), Port: 8080, Weight: 1, TTL: 30 * time.Second},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t, memstore.Config{})
			newAPI(t, config(s)).must(t, 201, "PUT", tt.path, tt.body)
			live := s.View().Service(tt.service).Find(tt.want.ID)
			if live == nil {
				t.Fatal("not stored")
			}
			if diff := cmp.Diff(tt.want, live.Instance, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRegisterIsIdempotent holds that only a change of content is a change.
func TestRegisterIsIdempotent(t *testing.T) {
	a := newAPI(t, config(newStore(t, memstore.Config{})))
	var first, same, changed, back heartbeat.Registration
	a.must(t, 201, "PUT", web1, body).decode(t, &first)
	a.must(t, 200, "PUT", web1, ` { "port" : 8080, "ttl":"30s", "addresses":["10.0.0.5"], "weight":1 }`).decode(t, &same)
	a.must(t, 200, "PUT", web1, with(`"weight":2`)).decode(t, &changed)
	a.must(t, 200, "PUT", web1, body).decode(t, &back)
	if same.ETag != first.ETag || same.Revision != first.Revision || back.ETag != first.ETag {
		t.Errorf("the same content: %+v, then %+v, then %+v", first, same, back)
	}
	if changed.ETag == first.ETag || changed.Revision <= first.Revision || back.Revision <= changed.Revision {
		t.Errorf("another content: %+v, then %+v, then %+v", first, changed, back)
	}
	a.must(t, 200, "PATCH", web1, `{"state":"draining","weight":9}`)
	a.must(t, 200, "PUT", web1, with(`"weight":3`))
	var detail heartbeat.Detail
	a.must(t, 200, "GET", web1, "").decode(t, &detail)
	if detail.State != store.Draining || detail.Weight != 9 {
		t.Errorf("a registration undid what the operator set: %+v", detail)
	}
}

func TestWarnings(t *testing.T) {
	s := newStore(t, memstore.Config{})
	cfg := config(s)
	cfg.Shared = true
	a := newAPI(t, cfg)
	for i := range 99 {
		a.must(t, 201, "PUT", id(fmt.Sprint(i)), body)
	}
	tests := []struct {
		name, path, body, peer string
		want                   []string
	}{
		{"none", id("100"), body, "192.0.2.1:1", nil},
		{"more than 100 instances", id("101"), body, "192.0.2.1:1", []string{`service "_web._tcp": 101 instances`}},
		{"loopback caller", "/v1/services/api/instances/x", `{"port":80}`, "127.0.0.1:1", []string{"addresses: 127.0.0.1 is a loopback address"}},
		{"loopback given", "/v1/services/api/instances/x", `{"port":80,"addresses":["::1"]}`, "192.0.2.1:1", []string{"addresses: ::1 is a loopback address"}},
		{"store's advice", "/v1/services/sixteen-letters1/instances/x", body, "192.0.2.1:1", []string{`service "_sixteen-letters1._tcp": must be at most 15`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a.peer = tt.peer
			got := a.call(t, "PUT", tt.path, tt.body)
			var reply heartbeat.Registration
			got.decode(t, &reply)
			if len(reply.Warnings) != len(tt.want) {
				t.Fatalf("warnings %q, want %q", reply.Warnings, tt.want)
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(reply.Warnings[i], want) {
					t.Errorf("warning %q, want %q", reply.Warnings[i], want)
				}
			}
		})
	}
}

func TestNoLoopbackWarningAlone(t *testing.T) {
	a := newAPI(t, config(newStore(t, memstore.Config{})))
	a.peer = "127.0.0.1:1"
	var reply heartbeat.Registration
	a.must(t, 201, "PUT", web1, `{"port":80}`).decode(t, &reply)
	if len(reply.Warnings) > 0 {
		t.Errorf("warnings %q although nobody else reads the store", reply.Warnings)
	}
}

func TestIfMatch(t *testing.T) {
	a := newAPI(t, config(newStore(t, memstore.Config{})))
	var reply heartbeat.Registration
	a.must(t, 201, "PUT", web1, body).decode(t, &reply)
	for header, want := range map[string]int{
		reply.ETag: 200, `"` + reply.ETag + `"`: 200, `W/"` + reply.ETag + `"`: 200, " " + reply.ETag + " ": 200, "*": 200, "": 200,
		strings.ToUpper(reply.ETag) + "0": 412, `"x"`: 412,
		`"`: 400, `""`: 400, "W/": 400, `a"b`: 400, "a b": 400, "a,b": 400, `"a","b"`: 400, "ü": 400,
	} {
		if got := a.call(t, "POST", web1+"/heartbeat", "", "If-Match", header); got.status != want {
			t.Errorf("If-Match %q: status %d, want %d: %s", header, got.status, want, got.body)
		}
	}
	got := a.call(t, "POST", web1+"/heartbeat", "", "If-Match", `"a","b"`)
	want := heartbeat.ProblemField{Field: "If-Match", Value: `"a","b"`, Rule: "must be one entity tag"}
	if errs := got.problem(t).Errors; len(errs) != 1 || errs[0] != want {
		t.Errorf("errors %+v, want %+v", errs, want)
	}
}
