package endpoint_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// inBubble runs test on a store and a server whose clock is synctest's: it begins at 2000-01-01.
func inBubble(t *testing.T, test func(t *testing.T, a *api, s *memstore.Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, err := memstore.New(memstore.Config{Rules: rules()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		test(t, newAPI(t, config(s)), s)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestShapes holds every reply's shape to the octet: others are written against them.
func TestShapes(t *testing.T) {
	const full = `{"id":"Web 1","addresses":["10.0.0.5","2001:db8::1"],"port":8080,"txt":["version=1.2","b"],"subtypes":["blue"],"ttl":"30s"}`
	path := web + "/instances/Web%201"
	inBubble(t, func(t *testing.T, a *api, s *memstore.Store) {
		calls := []struct {
			method, path, body string
			wait               time.Duration // before the call
			want               string
		}{
			{"GET", "/v1/services", "", 0, `{"services":[]}`},
			{"PUT", path, full, 0, `{"etag":"ETAG","lease":{"ttl":"30s","expires_at":"2000-01-01T00:00:30Z","heartbeat_after":"10s"},"revision":REV+1,"warnings":[],` +
				`"dns":{"instance":"Web\\0321._web._tcp.svc.internal.","target":"web-1-lphtza.web.svc.internal."}}`},
			{"POST", path + "/heartbeat", "", 2 * time.Second, `{"lease":{"ttl":"30s","expires_at":"2000-01-01T00:00:32Z","heartbeat_after":"10s"}}`},
			{"GET", "/v1/services", "", 0, `{"services":[{"service":"_web._tcp","instances":1,"revision":REV+1}]}`},
			{"GET", web, "", 2660 * time.Millisecond, `{"service":"_web._tcp","revision":REV+1,"instances":[{"id":"Web 1","host":"web-1-lphtza",` +
				`"addresses":["10.0.0.5","2001:db8::1"],"port":8080,"priority":0,"weight":1,"txt":["version=1.2","b"],"subtypes":["blue"],"ttl":"30s","state":"up",` +
				`"lease":{"expires_at":"2000-01-01T00:00:32Z","remaining":"27.3s"},` +
				`"dns":{"instance":"Web\\0321._web._tcp.svc.internal.","target":"web-1-lphtza.web.svc.internal."}}]}`},
			{"PATCH", path, `{"weight":5}`, 340 * time.Millisecond, `{"revision":REV+2,"state":"up","weight":5}`},
			{"PATCH", path, `{"state":"draining"}`, 0, `{"revision":REV+3,"state":"draining","weight":5,"safe_at":"2000-01-01T00:00:11Z"}`},
			{"GET", path, "", 0, `{"service":"_web._tcp","revision":REV+3,"etag":"ETAG","id":"Web 1","host":"web-1-lphtza",` +
				`"addresses":["10.0.0.5","2001:db8::1"],"port":8080,"priority":0,"weight":5,"txt":["version=1.2","b"],"subtypes":["blue"],"ttl":"30s","state":"draining",` +
				`"overlay":{"state":"draining","weight":5},"lease":{"expires_at":"2000-01-01T00:00:32Z","remaining":"27s"},` +
				`"dns":{"instance":"Web\\0321._web._tcp.svc.internal.","target":"web-1-lphtza.web.svc.internal."}}`},
			{
				"POST", "/v1/heartbeats", `{"instances":[{"service":"web","id":"Web 1","etag":"ETAG"},{"service":"web","id":"Web 1","etag":"0"},{"service":"_web._udp","id":"x"}]}`, 0,
				`{"instances":[{"service":"_web._tcp","id":"Web 1","result":"renewed","lease":{"ttl":"30s","expires_at":"2000-01-01T00:00:35Z","heartbeat_after":"10s"}},` +
					`{"service":"_web._tcp","id":"Web 1","result":"changed"},{"service":"_web._udp","id":"x","result":"gone"}]}`,
			},
			{"DELETE", path, "", 0, `{"revision":REV+4,"safe_at":"2000-01-01T00:00:11Z"}`},
			{"POST", "/v1/heartbeats", `{"instances":[{"service":"web","id":"Web 1"}]}`, 0, `{"instances":[{"service":"_web._tcp","id":"Web 1","result":"deregistered"}]}`},
			{"GET", "/livez", "", 0, `{"status":"live"}`},
			{"GET", "/readyz", "", 0, `{"status":"ready"}`},
			{"PUT", path, `{"port":0}`, 0, `{"type":"urn:dnsreg:problem:invalid","title":"A rule is broken","status":422,"detail":"port \"0\": must be 1 to 65535",` +
				`"errors":[{"field":"port","value":"0","rule":"must be 1 to 65535"}]}`},
			{"PUT", path, `{"prot":0}`, 0, `{"type":"about:blank","title":"Malformed request","status":400,` +
				`"detail":"prot is not a field of this call: it must be one of service, id, host, addresses, port, priority, weight, txt, subtypes, ttl",` +
				`"errors":[{"field":"prot","value":"","rule":"is not a field of this call: it must be one of service, id, host, addresses, port, priority, weight, txt, subtypes, ttl"}]}`},
			{"GET", "/nothing", "", 0, `{"type":"about:blank","title":"Not Found","status":404,"detail":"there is nothing at \"/nothing\""}`},
		}
		first := s.View().Revision()
		in := store.Instance{ID: "Web 1", Host: "web-1-lphtza", Port: 8080, Weight: 1, TTL: 30 * time.Second, TXT: []string{"version=1.2", "b"}, Subtypes: []string{"blue"}}
		in.Addresses = addrs("10.0.0.5", "2001:db8::1")
		fill := []string{"ETAG", in.ETag()}
		for i := range 5 {
			fill = append(fill, fmt.Sprintf("REV+%d", i), fmt.Sprint(first+store.Revision(i)))
		}
		expand := strings.NewReplacer(fill...)
		for _, c := range calls {
			time.Sleep(c.wait)
			got := a.call(t, c.method, c.path, expand.Replace(c.body))
			if diff := cmp.Diff(expand.Replace(c.want)+"\n", got.body); diff != "" {
				t.Errorf("%s %s (-want +got):\n%s", c.method, c.path, diff)
			}
		}
	})
}

func TestServicesAreSorted(t *testing.T) {
	a := newAPI(t, config(newStore(t, memstore.Config{})))
	for _, service := range []string{"web", "_dns._udp", "api", "_web._udp", "_dns._tcp"} {
		a.must(t, 201, "PUT", "/v1/services/"+service+"/instances/x", body)
	}
	var list heartbeat.Services
	a.must(t, 200, "GET", "/v1/services", "").decode(t, &list)
	var names []store.Service
	for _, s := range list.Services {
		names = append(names, s.Service)
	}
	want := []store.Service{"_api._tcp", "_dns._tcp", "_dns._udp", "_web._tcp", "_web._udp"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
}

// TestEntityTags holds that a reply's tag is its revision, changes with the content and not with a renewal.
func TestEntityTags(t *testing.T) {
	s := newStore(t, memstore.Config{})
	a := newAPI(t, config(s))
	a.must(t, 201, "PUT", web1, body)
	for _, path := range []string{"/v1/services", web, web1} {
		tag := a.must(t, 200, "GET", path, "").header.Get("ETag")
		if want := fmt.Sprintf(`W/"%d"`, s.View().Revision()); tag != want {
			t.Errorf("%s: tag %s, want %s", path, tag, want)
		}
		a.must(t, 200, "POST", web1+"/heartbeat", "")
		a.must(t, 200, "PUT", web1, body)
		for header, want := range map[string]int{
			tag: 304, strings.TrimPrefix(tag, "W/"): 304, `"0", ` + tag: 304, "*": 304,
			`W/"0"`: 200, strings.Trim(tag, `W/"`): 200, "": 200, "W/": 200, ",": 200,
		} {
			got := a.call(t, "GET", path, "", "If-None-Match", header)
			if got.status != want || got.header.Get("ETag") != tag || got.header.Get("Cache-Control") != "no-cache" {
				t.Errorf("%s, If-None-Match %s: status %d, want %d, %v", path, header, got.status, want, got.header)
			}
		}
		if got := a.call(t, "GET", path, "", "If-None-Match", `"0"`, "If-None-Match", tag); got.status != 304 {
			t.Errorf("%s: tag in a second header: status %d", path, got.status)
		}
		a.must(t, 200, "PATCH", web1, fmt.Sprintf(`{"weight":%d}`, len(path)))
		if got := a.call(t, "GET", path, "", "If-None-Match", tag); got.status != 200 {
			t.Errorf("%s: status %d although the content has changed", path, got.status)
		}
	}
}

// TestHead holds that HEAD is GET without the body.
func TestHead(t *testing.T) {
	cfg := config(newStore(t, memstore.Config{}))
	cfg.Listen = []string{"127.0.0.1:0"}
	server := newServer(t, cfg)
	if err := server.Listen(); err != nil {
		t.Fatal(err)
	}
	start(t, server.Run)
	(&api{Handler: server.Handler(), peer: "192.0.2.1:1"}).must(t, 201, "PUT", web1, body)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]int{"/v1/services": 200, web: 200, web1: 200, "/livez": 200, "/readyz": 200, "/nothing": 404, "/v1/heartbeats": 405} {
		resp, err := client.Head(server.URL() + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want || resp.ContentLength < 3 || !strings.HasSuffix(resp.Header.Get("Content-Type"), "json") {
			t.Errorf("HEAD %s: status %d, %d octets, header %v", path, resp.StatusCode, resp.ContentLength, resp.Header)
		}
	}
}

// TestUnknownSaysWhat holds that a reply names what is not there: a service, or an instance of one.
func TestUnknownSaysWhat(t *testing.T) {
	a := newAPI(t, config(newStore(t, memstore.Config{})))
	for path, want := range map[string]string{
		web:  "_web._tcp: the service has no live instance",
		web1: `_web._tcp "web-1": no such instance`,
	} {
		if p := a.call(t, "GET", path, "").problem(t); p.Detail != want {
			t.Errorf("GET %s: %q, want %q", path, p.Detail, want)
		}
	}
}

// TestLeaseEndsDuringReply holds that an instance whose lease is gone already is shown without one.
func TestLeaseEndsDuringReply(t *testing.T) {
	live := newStore(t, memstore.Config{})
	newAPI(t, config(live)).must(t, 201, "PUT", web1, body)
	a := newAPI(t, config(faulty{Store: live})) // its Leases are empty
	var service heartbeat.Service
	a.must(t, 200, "GET", web, "").decode(t, &service)
	if len(service.Instances) != 1 || service.Instances[0].Lease != nil {
		t.Errorf("service %+v", service)
	}
}
