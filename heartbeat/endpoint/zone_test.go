package endpoint_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/heartbeat/endpoint"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// lab is what the paths of the second zone begin with.
const lab = "/v1/zones/lab.internal"

// labZone returns a zone with a store of its own.
func labZone(t testing.TB) endpoint.Zone {
	t.Helper()
	rules := store.Rules{Zone: "lab.internal.", Hosts: []string{"dns"}}
	s, err := memstore.New(memstore.Config{Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	start(t, s.Run)
	return endpoint.Zone{Store: s, Rules: rules}
}

// newZones returns the API of a server with two zones.
func newZones(t testing.TB) *api {
	t.Helper()
	cfg := config(newStore(t, memstore.Config{}))
	cfg.Zones = append(cfg.Zones, labZone(t))
	return newAPI(t, cfg)
}

// TestZonesAreApart goes through every call on both zones: neither sees what the other has.
func TestZonesAreApart(t *testing.T) {
	a := newZones(t)
	instance := lab + "/services/web/instances/web-1"
	var registered heartbeat.Registration
	a.must(t, 201, "PUT", instance, body).decode(t, &registered)
	if want := (heartbeat.Names{Instance: "web-1._web._tcp.lab.internal.", Target: "web-1.web.lab.internal."}); registered.DNS != want {
		t.Errorf("names %+v, want %+v", registered.DNS, want)
	}
	for _, tt := range []struct{ method, path, body string }{
		{"GET", "/services/web/instances/web-1", ""},
		{"GET", "/services/web", ""},
		{"POST", "/services/web/instances/web-1/heartbeat", ""},
		{"PATCH", "/services/web/instances/web-1", `{"weight":7}`},
	} {
		a.must(t, 200, tt.method, lab+tt.path, tt.body)
		a.must(t, 404, tt.method, "/v1"+tt.path, tt.body)
		a.must(t, 404, tt.method, "/v1/zones/svc.internal"+tt.path, tt.body)
	}
	for path, want := range map[string]int{"/v1": 0, "/v1/zones/svc.internal": 0, lab: 1} {
		var list heartbeat.Services
		a.must(t, 200, "GET", path+"/services", "").decode(t, &list)
		if len(list.Services) != want {
			t.Errorf("%s has %v, want %d", path, list.Services, want)
		}
	}
	batch := `{"instances":[{"service":"web","id":"web-1"}]}`
	for path, want := range map[string]string{"/v1": heartbeat.ResultGone, lab: heartbeat.ResultRenewed} {
		var reply heartbeat.Batch
		a.must(t, 200, "POST", path+"/heartbeats", batch).decode(t, &reply)
		if got := reply.Instances[0].Result; got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	a.must(t, 404, "DELETE", web1, "")
	a.must(t, 200, "DELETE", instance, "")
}

// TestZoneRules holds that a registration keeps to the rules of its own zone.
func TestZoneRules(t *testing.T) {
	a := newZones(t)
	for path, want := range map[string]int{
		"/v1/services/ns1/instances/a": 422, lab + "/services/ns1/instances/a": 201,
		"/v1/services/dns/instances/a": 201, lab + "/services/dns/instances/a": 422,
	} {
		a.must(t, want, "PUT", path, body)
	}
}

func TestZoneNames(t *testing.T) {
	a := newZones(t)
	a.must(t, 201, "PUT", web1, body)
	for path, want := range map[string]int{
		"/v1/zones/svc.internal/services/web":     200,
		"/v1/zones/svc.internal./services/web":    200,
		"/v1/zones/SVC.Internal/services/web":     200,
		"/v1/zones/other.internal/services/web":   404,
		"/v1/zones/internal/services/web":         404,
		"/v1/zones/./services/web":                404,
		"/v1/zones/../services/web":               404,
		"/v1/zones//services/web":                 404,
		"/v1/zones/a%2Fb/services/web":            404,
		"/v1/zones/svc%5C.internal/services":      404,
		"/v1/zones/svc.internal":                  404,
		"/v1/zones/svc.internal/readyz":           404,
		"/v1/zones/svc.internal/services/_x._abc": 422,
	} {
		if got := a.call(t, "GET", path, ""); got.status != want {
			t.Errorf("%s: %d, want %d: %s", path, got.status, want, got.body)
		}
	}
	p := a.call(t, "PUT", "/v1/zones/other.internal/services/web/instances/a", body).problem(t)
	if p.Status != 404 || p.Type != heartbeat.TypeUnknown || p.Detail != `zone "other.internal": there is no such zone here` {
		t.Errorf("problem %+v", p)
	}
	got := a.call(t, "DELETE", lab+"/heartbeats", "")
	if allow := got.header.Get("Allow"); got.status != http.StatusMethodNotAllowed || allow != "POST" {
		t.Errorf("status %d, Allow %q", got.status, allow)
	}
}

// TestZonesNeedTokens holds that no path of a zone lets in whom the default zone's keeps out.
func TestZonesNeedTokens(t *testing.T) {
	cfg := config(newStore(t, memstore.Config{}))
	cfg.Zones = append(cfg.Zones, labZone(t))
	cfg.Tokens = tokens(t, "ci:0123456789abcdef")
	a := newAPI(t, cfg)
	a.must(t, 401, "GET", lab+"/services", "")
	if got := a.call(t, "GET", lab+"/services", "", "Authorization", "Bearer 0123456789abcdef"); got.status != 200 {
		t.Errorf("with a token: %d: %s", got.status, got.body)
	}
}

// TestReadyOfZones holds that a server is ready when all its zones are, and says which is not.
func TestReadyOfZones(t *testing.T) {
	cfg := config(newStore(t, memstore.Config{}))
	cfg.Zones = append(cfg.Zones, labZone(t))
	cfg.Zones[1].State = func() map[string]string { return map[string]string{"bell": "up"} }
	want := `{"status":"ready","zones":{"lab.internal.":{"bell":"up","view":"synced"},"svc.internal.":{"view":"synced"}}}` + "\n"
	if got := newAPI(t, cfg).call(t, "GET", "/readyz", ""); got.status != 200 || got.body != want {
		t.Errorf("ready: status %d: %s, want %s", got.status, got.body, want)
	}
	cfg.Zones[1].Store = staleStore{cfg.Zones[1].Store, store.Stale}
	got := newAPI(t, cfg).call(t, "GET", "/readyz", "")
	if detail := got.problem(t).Detail; got.status != 503 || !strings.HasSuffix(detail, "the lab.internal. zone's content here is stale, bell up") {
		t.Errorf("stale: status %d: %s", got.status, got.body)
	}
}

// TestZoneIsRead holds that what is lost in one zone can still be read in another.
func TestZoneIsRead(t *testing.T) {
	cfg := config(newStore(t, memstore.Config{}))
	cfg.Zones = append(cfg.Zones, labZone(t))
	cfg.Zones[0].Store = staleStore{cfg.Zones[0].Store, store.Lost}
	a := newAPI(t, cfg)
	a.must(t, 503, "GET", "/v1/services", "")
	a.must(t, 200, "GET", lab+"/services", "")
}

func TestNewChecksZones(t *testing.T) {
	_, err := endpoint.New(endpoint.Config{AnswerTTL: 1})
	wantText(t, err, `zones "": must have at least one`)
	cfg := config(newStore(t, memstore.Config{}))
	cfg.Zones = append(cfg.Zones, cfg.Zones[0], endpoint.Zone{})
	_, err = endpoint.New(cfg)
	wantText(t, err, `zones[1].name "svc.internal.": must not be named twice`, `zones[2].store "": must be set`, `zones[2].name "": must be a zone`)
}
