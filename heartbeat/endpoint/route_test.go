package endpoint_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dnsreg/dnsreg/heartbeat/endpoint"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// TestMethods holds that every path answers other methods with those that it has.
func TestMethods(t *testing.T) {
	cfg := config(newStore(t, memstore.Config{}))
	cfg.Metrics = http.NotFoundHandler()
	a := newAPI(t, cfg)
	for path, allow := range map[string]string{
		"/v1/services":          "GET, HEAD",
		web:                     "GET, HEAD",
		web1:                    "DELETE, GET, HEAD, PATCH, PUT",
		web1 + "/heartbeat":     "POST",
		"/v1/heartbeats":        "POST",
		"/livez":                "GET, HEAD",
		"/readyz":               "GET, HEAD",
		"/metrics":              "GET, HEAD",
		id("..") + "/heartbeat": "POST",
	} {
		for _, method := range []string{"OPTIONS", "TRACE", "BREW"} {
			got := a.call(t, method, path, "")
			if p := got.problem(t); got.status != 405 || got.header.Get("Allow") != allow || p.Title != "Method Not Allowed" {
				t.Errorf("%s %s: status %d, Allow %q, want %q", method, path, got.status, got.header.Get("Allow"), allow)
			}
		}
	}
	for _, wrong := range []struct{ method, path string }{
		{"POST", web1}, {"PUT", web1 + "/heartbeat"}, {"GET", web1 + "/heartbeat"}, {"GET", "/v1/heartbeats"}, {"DELETE", web}, {"POST", "/livez"},
	} {
		if got := a.call(t, wrong.method, wrong.path, body); got.problem(t).Status != 405 {
			t.Errorf("%s %s: status %d", wrong.method, wrong.path, got.status)
		}
	}
}

// TestUnknownPaths holds that nothing is redirected: a redirected PUT becomes a GET.
func TestUnknownPaths(t *testing.T) {
	s := newStore(t, memstore.Config{})
	a := newAPI(t, config(s))
	for _, path := range []string{
		"/", "/v1", "/v1/", "/v2/services", "/V1/services", "/v1/services/", web + "/", web + "/instances", web + "/instances/", web1 + "/",
		web1 + "/heartbeat/", web1 + "/x", web1 + "/heartbeat/x", "/v1//services", "//v1/services", "/v1/services//instances/x", web + "/instances//heartbeat",
		"/v1/../livez", "/./livez", "/livez/", "/metrics", "/v1/services/web%2Finstances%2Fweb-1", "/%2Flivez", "/favicon.ico",
	} {
		for _, method := range []string{"GET", "PUT", "HEAD"} {
			got := a.call(t, method, path, body)
			if got.status != 404 && !(path == "/v1/services/web%2Finstances%2Fweb-1" && got.status >= 400) {
				t.Errorf("%s %s: status %d: %s", method, path, got.status, got.body)
			}
			if method != "HEAD" {
				got.problem(t)
			}
		}
	}
	if s.View().Services() != 0 {
		t.Error("something was registered")
	}
}

// TestOddRequests holds that requests which no client should send are answered and stay without effect.
func TestOddRequests(t *testing.T) {
	s := newStore(t, memstore.Config{})
	a := newAPI(t, config(s))
	for _, path := range []string{"", "*", "relative"} {
		r := httptest.NewRequest("PUT", "/", http.NoBody)
		r.URL.Path = path
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if w.Code != 404 {
			t.Errorf("path %q: status %d: %s", path, w.Code, w.Body)
		}
	}
}

func TestContentTypeDoesNotMatter(t *testing.T) {
	a := newAPI(t, config(newStore(t, memstore.Config{})))
	for _, media := range []string{"application/json", "application/x-www-form-urlencoded", "text/plain", "nonsense"} {
		if got := a.call(t, "PUT", web1, body, "Content-Type", media); got.status != 200 && got.status != 201 {
			t.Errorf("%s: status %d: %s", media, got.status, got.body)
		}
	}
}

func TestReplyHeaders(t *testing.T) {
	a := newAPI(t, config(newStore(t, memstore.Config{})))
	want := map[string]string{"Content-Type": "application/json", "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
	got := a.must(t, 201, "PUT", web1, body)
	for name, value := range want {
		if got.header.Get(name) != value {
			t.Errorf("%s: %q, want %q", name, got.header.Get(name), value)
		}
	}
}

func TestStats(t *testing.T) {
	live := newStore(t, memstore.Config{MaxInstances: 2})
	server := newServer(t, config(live))
	a := &api{Handler: server.Handler(), peer: "192.0.2.1:1"}
	zero := server.Stats()
	for _, counts := range []map[string]uint64{zero.Registrations, zero.Heartbeats} {
		if len(counts) != 5 {
			t.Errorf("counts before the first call: %v", counts)
		}
	}
	a.must(t, 201, "PUT", web1, body)
	a.must(t, 200, "PUT", web1, body)
	a.must(t, 201, "PUT", id("web-2"), body)
	a.must(t, 409, "PUT", id("web-3"), body)
	a.must(t, 422, "PUT", id("_x"), body)
	a.must(t, 400, "PUT", web1, "{")
	a.must(t, 200, "DELETE", id("web-2"), "")
	a.must(t, 410, "POST", id("web-2")+"/heartbeat", "")
	a.must(t, 200, "POST", web1+"/heartbeat", "")
	a.must(t, 200, "POST", "/v1/heartbeats", `{"instances":[{"service":"web","id":"web-1"},{"service":"web","id":"web-1","etag":"x"},{"service":"web","id":"web-9"}]}`)
	a.must(t, 404, "GET", "/nothing", "")
	a.must(t, 405, "POST", "/livez", "")
	a.must(t, 200, "HEAD", "/livez", "")
	const instance = "/v1/services/{service}/instances/{id}"
	want := endpoint.Stats{
		Registrations: map[string]uint64{"created": 2, "updated": 1, "full": 1, "invalid": 2, "failed": 0},
		Heartbeats:    map[string]uint64{"renewed": 2, "deregistered": 1, "changed": 1, "gone": 1, "failed": 0},
		Requests: map[endpoint.Request]uint64{
			{Route: "PUT " + instance, Status: 201}: 2, {Route: "PUT " + instance, Status: 200}: 1, {Route: "PUT " + instance, Status: 409}: 1,
			{Route: "PUT " + instance, Status: 422}: 1, {Route: "PUT " + instance, Status: 400}: 1, {Route: "DELETE " + instance, Status: 200}: 1,
			{Route: "POST " + instance + "/heartbeat", Status: 410}: 1, {Route: "POST " + instance + "/heartbeat", Status: 200}: 1,
			{Route: "POST /v1/heartbeats", Status: 200}: 1, {Route: "other", Status: 404}: 1, {Route: "other", Status: 405}: 1, {Route: "GET /livez", Status: 200}: 1,
		},
	}
	if diff := cmp.Diff(want, server.Stats()); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
}

func TestStatsOfAFailingStore(t *testing.T) {
	server := newServer(t, config(faulty{Store: newStore(t, memstore.Config{}), err: store.ErrUnavailable}))
	a := &api{Handler: server.Handler(), peer: "192.0.2.1:1"}
	a.must(t, 503, "PUT", web1, body)
	a.must(t, 503, "POST", web1+"/heartbeat", "")
	a.must(t, 503, "POST", "/v1/heartbeats", `{"instances":[{"service":"web","id":"a"},{"service":"web","id":"b"}]}`)
	if got := server.Stats(); got.Registrations["failed"] != 1 || got.Heartbeats["failed"] != 3 {
		t.Errorf("stats %+v", got)
	}
}
