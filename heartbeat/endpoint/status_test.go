package endpoint_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/heartbeat/endpoint"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// exchanges has every status of every call that the store and the request decide; web-1 is live, gone-1 was
// deregistered, and of web-2 nothing is known.
var exchanges = []struct {
	name         string
	method, path string
	body         string
	header       []string
	status       int
	kind         string // of the problem
}{
	{"create", "PUT", web + "/instances/web-2", body, nil, 201, ""},
	{"create after deregistration", "PUT", web + "/instances/gone-1", body, nil, 201, ""},
	{"renew by registering", "PUT", web1, body, nil, 200, ""},
	{"replace", "PUT", web1, `{"addresses":["10.0.0.5"],"port":81}`, nil, 200, ""},
	{"register the malformed", "PUT", web1, `{"port":`, nil, 400, heartbeat.TypeBlank},
	{"register without a body", "PUT", web1, ``, nil, 400, heartbeat.TypeBlank},
	{"register one too many", "PUT", web + "/instances/web-3", body, nil, 409, heartbeat.TypeFull},
	{"register too much", "PUT", web1, strings.Repeat(" ", heartbeat.MaxBody+1), nil, 413, heartbeat.TypeBlank},
	{"register in a coding", "PUT", web1, body, []string{"Content-Encoding", "gzip"}, 415, heartbeat.TypeBlank},
	{"register in two codings", "PUT", web1, body, []string{"Content-Encoding", "identity", "Content-Encoding", "gzip"}, 415, heartbeat.TypeBlank},
	{"register in no coding", "PUT", web1, body, []string{"Content-Encoding", "Identity"}, 200, ""},
	{"register the wrong", "PUT", web1, `{"port":0}`, nil, 422, heartbeat.TypeInvalid},

	{"heartbeat", "POST", web1 + "/heartbeat", ``, nil, 200, ""},
	{"heartbeat with a body", "POST", web1 + "/heartbeat", `{}`, nil, 200, ""},
	{"heartbeat if anything", "POST", web1 + "/heartbeat", ``, []string{"If-Match", "*"}, 200, ""},
	{"heartbeat of the unknown", "POST", web + "/instances/web-2/heartbeat", ``, nil, 404, heartbeat.TypeGone},
	{"heartbeat of the deregistered", "POST", web + "/instances/gone-1/heartbeat", ``, nil, 410, heartbeat.TypeDeregistered},
	{"heartbeat of another content", "POST", web1 + "/heartbeat", ``, []string{"If-Match", `"00"`}, 412, heartbeat.TypeConflict},
	{"heartbeat of two contents", "POST", web1 + "/heartbeat", ``, []string{"If-Match", `"00"`, "If-Match", `"01"`}, 400, heartbeat.TypeBlank},
	{"heartbeat of an impossible id", "POST", web + "/instances/_x/heartbeat", ``, nil, 422, heartbeat.TypeInvalid},

	{"batch", "POST", "/v1/heartbeats", `{"instances":[{"service":"web","id":"web-1"}]}`, nil, 200, ""},
	{"empty batch", "POST", "/v1/heartbeats", `{"instances":[]}`, nil, 200, ""},
	{"malformed batch", "POST", "/v1/heartbeats", `{"instances":[`, nil, 400, heartbeat.TypeBlank},
	{"batch of too much", "POST", "/v1/heartbeats", strings.Repeat(" ", heartbeat.MaxBatchBody+1), nil, 413, heartbeat.TypeBlank},
	{"batch of the wrong", "POST", "/v1/heartbeats", `{"instances":[{}]}`, nil, 422, heartbeat.TypeInvalid},

	{"drain", "PATCH", web1, `{"state":"draining"}`, nil, 200, ""},
	{"malformed change", "PATCH", web1, `{"state":null}`, nil, 400, heartbeat.TypeBlank},
	{"change the unknown", "PATCH", web + "/instances/web-2", `{"weight":5}`, nil, 404, heartbeat.TypeUnknown},
	{"change too much", "PATCH", web1, strings.Repeat(" ", heartbeat.MaxBody+1), nil, 413, heartbeat.TypeBlank},
	{"change nothing", "PATCH", web1, `{}`, nil, 422, heartbeat.TypeInvalid},
	{"change an impossible service", "PATCH", "/v1/services/a%20b/instances/x", `{"weight":5}`, nil, 422, heartbeat.TypeInvalid},

	{"deregister", "DELETE", web1, ``, nil, 200, ""},
	{"deregister the unknown", "DELETE", web + "/instances/web-2", ``, nil, 404, heartbeat.TypeUnknown},
	{"deregister twice", "DELETE", web + "/instances/gone-1", ``, nil, 404, heartbeat.TypeUnknown},
	{"deregister an impossible id", "DELETE", web + "/instances/%00", ``, nil, 422, heartbeat.TypeInvalid},

	{"list", "GET", "/v1/services", ``, nil, 200, ""},
	{"list unless anything", "GET", "/v1/services", ``, []string{"If-None-Match", "*"}, 304, ""},
	{"service", "GET", web, ``, nil, 200, ""},
	{"service by its type", "GET", "/v1/services/_Web._tcp", ``, nil, 200, ""},
	{"service of the other protocol", "GET", "/v1/services/_web._udp", ``, nil, 404, heartbeat.TypeUnknown},
	{"impossible service", "GET", "/v1/services/_web._sctp", ``, nil, 422, heartbeat.TypeInvalid},
	{"service unless anything", "GET", web, ``, []string{"If-None-Match", "*"}, 304, ""},
	{"instance", "GET", web1, ``, nil, 200, ""},
	{"instance in capitals", "GET", web + "/instances/WEB-1", ``, nil, 200, ""},
	{"unknown instance", "GET", web + "/instances/web-2", ``, nil, 404, heartbeat.TypeUnknown},
	{"instance of an unknown service", "GET", "/v1/services/mail/instances/web-1", ``, nil, 404, heartbeat.TypeUnknown},
	{"impossible instance", "GET", web + "/instances/..", ``, nil, 422, heartbeat.TypeInvalid},
	{"instance unless anything", "GET", web1, ``, []string{"If-None-Match", "*"}, 304, ""},

	{"alive", "GET", "/livez", ``, nil, 200, ""},
	{"ready", "GET", "/readyz", ``, nil, 200, ""},
	{"metrics", "GET", "/metrics", ``, nil, 200, ""},
}

func TestStatus(t *testing.T) {
	for _, tt := range exchanges {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config(newStore(t, memstore.Config{MaxInstances: 2}))
			cfg.Metrics = http.NotFoundHandler()
			cfg.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "dnsreg_up 1") })
			a := newAPI(t, cfg)
			a.must(t, 201, "PUT", web+"/instances/gone-1", body)
			a.must(t, 200, "DELETE", web+"/instances/gone-1", "")
			a.must(t, 201, "PUT", web1, body)
			if tt.status == http.StatusConflict {
				a.must(t, 201, "PUT", web+"/instances/web-2", body)
			}
			got := a.call(t, tt.method, tt.path, tt.body, tt.header...)
			if got.status != tt.status {
				t.Fatalf("status %d, want %d: %s", got.status, tt.status, got.body)
			}
			switch {
			case tt.kind != "":
				if kind := got.problem(t).Type; kind != tt.kind {
					t.Errorf("problem %q, want %q", kind, tt.kind)
				}
			case tt.status == http.StatusNotModified && got.body != "":
				t.Errorf("304 with a body %q", got.body)
			}
		})
	}
}

// storeCalls are the calls that need the store to succeed.
var storeCalls = []struct{ method, path, body string }{
	{"PUT", web1, body},
	{"POST", web1 + "/heartbeat", ""},
	{"POST", "/v1/heartbeats", `{"instances":[{"service":"web","id":"web-1"}]}`},
	{"PATCH", web1, `{"weight":5}`},
	{"DELETE", web1, ""},
	{"GET", web, ""},
	{"GET", web1, ""},
}

// TestStoreFails has every call on a store that fails in every way it can.
func TestStoreFails(t *testing.T) {
	tests := []struct {
		err    error
		status int
		detail string
	}{
		{fmt.Errorf("dial tcp: refused: %w", store.ErrUnavailable), 503, "refused"},
		{context.DeadlineExceeded, 503, "deadline"},
		{context.Canceled, 503, "canceled"},
		{errors.New("a secret of the store"), 500, "the server's log says more"},
	}
	live := newStore(t, memstore.Config{})
	newAPI(t, config(live)).must(t, 201, "PUT", web1, body)
	for _, tt := range tests {
		a := newAPI(t, config(faulty{Store: live, err: tt.err}))
		for _, c := range storeCalls {
			got := a.call(t, c.method, c.path, c.body)
			if got.status != tt.status {
				t.Errorf("%s %s, %v: status %d, want %d", c.method, c.path, tt.err, got.status, tt.status)
			}
			if detail := got.problem(t).Detail; !strings.Contains(detail, tt.detail) || strings.Contains(detail, "secret") {
				t.Errorf("%s %s, %v: detail %q", c.method, c.path, tt.err, detail)
			}
		}
	}
}

// TestStoreLost holds that what is not known is not shown as empty.
func TestStoreLost(t *testing.T) {
	live := newStore(t, memstore.Config{})
	newAPI(t, config(live)).must(t, 201, "PUT", web1, body)
	for freshness, want := range map[store.Freshness]int{store.Synced: 200, store.Stale: 200, store.Lost: 503} {
		a := newAPI(t, config(staleStore{Store: live, freshness: freshness}))
		for _, path := range []string{"/v1/services", web, web1} {
			if got := a.call(t, "GET", path, ""); got.status != want {
				t.Errorf("GET %s, %s: status %d, want %d", path, freshness, got.status, want)
			}
		}
	}
}

// staleStore is a store of another freshness.
type staleStore struct {
	endpoint.Store
	freshness store.Freshness
}

func (s staleStore) Freshness() store.Freshness { return s.freshness }

// TestStoreHangs holds that no call waits for the store for longer than Config.Timeout.
func TestStoreHangs(t *testing.T) {
	cfg := config(hanging{newStore(t, memstore.Config{})})
	cfg.Timeout = time.Millisecond
	a := newAPI(t, cfg)
	for _, c := range storeCalls[:3] {
		if got := a.call(t, c.method, c.path, c.body); got.status != 503 {
			t.Errorf("%s %s: status %d: %s", c.method, c.path, got.status, got.body)
		}
	}
}

// hanging is a store that answers no sooner than its caller gives up.
type hanging struct{ endpoint.Store }

func (hanging) Register(ctx context.Context, _ store.Service, _ store.Instance) (store.Registration, error) {
	<-ctx.Done()
	return store.Registration{}, ctx.Err()
}

func (hanging) RenewAll(ctx context.Context, _ []store.Renewal) ([]store.Renewed, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestStoreBreaksItsContract holds that a store's nonsense is a 500 and no panic.
func TestStoreBreaksItsContract(t *testing.T) {
	live := newStore(t, memstore.Config{})
	short := newAPI(t, config(renewing{live, nil}))
	odd := newAPI(t, config(renewing{live, []store.Renewed{{Err: errors.New("odd")}}}))
	for _, a := range []*api{short, odd} {
		for _, c := range storeCalls[1:3] {
			if got := a.call(t, c.method, c.path, c.body); got.status != 500 {
				t.Errorf("%s %s: status %d: %s", c.method, c.path, got.status, got.body)
			}
		}
	}
}

// renewing is a store with one result for every renewal.
type renewing struct {
	endpoint.Store
	results []store.Renewed
}

func (r renewing) RenewAll(context.Context, []store.Renewal) ([]store.Renewed, error) {
	return r.results, nil
}
