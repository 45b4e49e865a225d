package endpoint_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/memstore"
)

// with returns a registration with one more field.
func with(field string) string {
	return `{"addresses":["10.0.0.5"],"port":80,` + field + `}`
}

func id(escaped string) string { return web + "/instances/" + escaped }

// txt returns n strings of a size, each with a key of its own, as a field.
func txt(n, size int) string {
	strs := make([]string, n)
	for i := range strs {
		key := fmt.Sprintf("k%02d=", i)
		strs[i] = `"` + key + strings.Repeat("x", size-len(key)) + `"`
	}
	return `"txt":[` + strings.Join(strs, ",") + `]`
}

const tooLong = "must leave every derived name within 255 octets"

// refusals are registrations that are refused, each with the field, value and rule that the reply names.
var refusals = []struct {
	name, path, body   string
	status             int
	field, value, rule string // rule is a part of it
}{
	{"malformed", web1, `{port:80}`, 400, "body", "", "must be JSON"},
	{"truncated", web1, `{"port":80,"txt":["a=1`, 400, "txt[0]", "", "cut off"},
	{"unknown field", web1, with(`"wieght":5`), 400, "wieght", "", "is not a field"},
	{"duplicate field", web1, with(`"port":81`), 400, "port", "", "must not be given twice"},
	{"wrongly cased field", web1, with(`"Weight":5`), 400, "Weight", "", `must be written "weight"`},
	{"invalid UTF-8", web1, with("\"txt\":[\"a=\xff\"]"), 400, "txt[0]", `"a=\xff"`, "must be valid UTF-8"},
	{"lone surrogate", web1, with(`"txt":["a=\ud800"]`), 400, "txt[0]", `"a=\ud800"`, "must be valid UTF-8"},
	{"trailing data", web1, body + `{}`, 400, "body", "", "must end after"},
	{"wrong type", web1, with(`"ttl":30`), 400, "ttl", "30", "must be a string"},
	{"port as text", web1, `{"port":"80"}`, 400, "port", `"80"`, "must be a number"},
	{"port null", web1, `{"port":null}`, 400, "port", "null", "must be a number"},
	{"too deep", web1, with(`"txt":` + strings.Repeat("[", 10_000)), 400, "txt[0]", "[…]", "must be a string"},

	{"no port", web1, `{}`, 422, "port", "", "must be given"},
	{"port 0", web1, `{"port":0}`, 422, "port", "0", "must be 1 to 65535"},
	{"port -1", web1, `{"port":-1}`, 422, "port", "-1", "must be 1 to 65535"},
	{"port 65536", web1, `{"port":65536}`, 422, "port", "65536", "must be 1 to 65535"},
	{"port 70000", web1, `{"port":70000}`, 422, "port", "70000", "must be 1 to 65535"},
	{"port 1.5", web1, `{"port":1.5}`, 422, "port", "1.5", "must be a whole number, 1 to 65535"},
	{"port 1e3", web1, `{"port":1e3}`, 422, "port", "1e3", "must be a whole number, 1 to 65535"},

	{"id with NUL", id("a%00"), body, 422, "id", "a\x00", "must not contain control characters"},
	{"id with a line end", id("a%0Ab"), body, 422, "id", "a\nb", "must not contain control characters"},
	{"id with DEL", id("a%7F"), body, 422, "id", "a\x7f", "must not contain control characters"},
	{"id with C1", id("a%C2%85"), body, 422, "id", "a\u0085", "must not contain control characters"},
	{"id not NFC", id("bu%CC%88ro"), body, 422, "id", "bu\u0308ro", "must be in Unicode normalization form NFC"},
	{"id not UTF-8", id("a%FF"), body, 422, "id", "a\ufffd", "must be valid UTF-8"},
	{"id .", id("%2E"), body, 422, "id", ".", `must not be "." or ".."`},
	{"id ..", id("%2e%2e"), body, 422, "id", "..", `must not be "." or ".."`},
	{"id . as it is", id("."), body, 422, "id", ".", `must not be "." or ".."`},
	{"id .. as it is", id(".."), body, 422, "id", "..", `must not be "." or ".."`},
	{"id with an underscore", id("_web"), body, 422, "id", "_web", "must not begin with an underscore"},
	{"id of 64 octets", id(strings.Repeat("a", 64)), body, 422, "id", strings.Repeat("a", 64), "must be at most 63 octets"},
	{"id of 32 letters in 64 octets", id(strings.Repeat("%C3%BC", 32)), body, 422, "id", strings.Repeat("ü", 32), "must be at most 63 octets"},
	{"another id in the body", web1, with(`"id":"web-2"`), 422, "id", "web-2", `must be left out or be the path's, "web-1"`},
	{"another case in the body", web1, with(`"id":"Web-1"`), 422, "id", "Web-1", `must be left out or be the path's, "web-1"`},

	{"service with a space", "/v1/services/a%20b/instances/x", body, 422, "service", "a b", "must be 1 to 62 letters"},
	{"service of another protocol", "/v1/services/_web._sctp/instances/x", body, 422, "service", "_web._sctp", "must be a name, _name._tcp or _name._udp"},
	{"service of digits", "/v1/services/80/instances/x", body, 422, "service", "80", "with at least one letter"},
	{"service of 63 octets", "/v1/services/" + strings.Repeat("a", 63) + "/instances/x", body, 422, "service", strings.Repeat("a", 63), "must be 1 to 62 letters"},
	{"service that is reserved", "/v1/services/dns-sd/instances/x", body, 422, "service", "dns-sd", "reserved"},
	{"service like a host of the zone", "/v1/services/ns1/instances/x", body, 422, "service", "_ns1._tcp", "must not be the name of a host"},
	{"another service in the body", web1, with(`"service":"_web._udp"`), 422, "service", "_web._udp", `must be left out or be the path's, "_web._tcp"`},

	{"host of two labels", web1, with(`"host":"a.b"`), 422, "host", "a.b", "must be one label"},
	{"host of 64 octets", web1, with(`"host":"` + strings.Repeat("a", 64) + `"`), 422, "host", strings.Repeat("a", 64), "must be one label"},
	{"host in the zone", web1, `{"port":80,"host":"a.svc.internal."}`, 422, "host", "a.svc.internal.", "must be outside the zone"},
	{"external host with addresses", web1, with(`"host":"db.example.org."`), 422, "addresses", "[10.0.0.5]", "must be empty for an external host"},
	{"external host over 255 octets", web1, `{"port":80,"host":"` + strings.Repeat("h.", 128) + `"}`, 422, "host", strings.Repeat("h.", 32) + "…", "must be one label"},

	{"address", web1, `{"port":80,"addresses":["10.0.0.5","10.0.0.300"]}`, 422, "addresses[1]", "10.0.0.300", "must be an IP address"},
	{"multicast address", web1, `{"port":80,"addresses":["224.0.0.251"]}`, 422, "addresses[0]", "224.0.0.251", "must be a unicast address"},
	{"address with a zone", web1, `{"port":80,"addresses":["fe80::1%eth0"]}`, 422, "addresses[0]", "fe80::1%eth0", "without a zone index"},
	{"17 addresses", web1, `{"port":80,"addresses":["10.0.0.1` + addresses(17) + `"]}`, 422, "addresses", "17", "must be at most 16"},

	{"txt string over 255", web1, with(txt(1, 256)), 422, "txt[0]", "k00=" + strings.Repeat("x", 60) + "…", "must be at most 255 octets"},
	{"txt over 1300", web1, with(txt(6, 216)), 422, "txt", "1302 octets", "must be at most 1300 octets in all"},
	{"65 txt strings", web1, with(txt(65, 4)), 422, "txt", "65", "must be at most 64 strings"},
	{"duplicate txt keys", web1, with(`"txt":["v=1","V=2"]`), 422, "txt", "V=2", "must not repeat a key"},
	{"txt without a key", web1, with(`"txt":["=1"]`), 422, "txt[0]", "=1", "with a key of printable ASCII"},
	{"subtype", web1, with(`"subtypes":[""]`), 422, "subtypes[0]", "", "must not be empty"},

	{"ttl under 1s", web1, with(`"ttl":"999ms"`), 422, "ttl", "999ms", "must be 1s to 24h"},
	{"ttl over 24h", web1, with(`"ttl":"24h0m1s"`), 422, "ttl", "24h0m1s", "must be 1s to 24h"},
	{"ttl negative", web1, with(`"ttl":"-30s"`), 422, "ttl", "-30s", "must be 1s to 24h"},
	{"ttl 0", web1, with(`"ttl":"0s"`), 422, "ttl", "0s", "must be 1s to 24h"},
	{"ttl that is none", web1, with(`"ttl":"soon"`), 422, "ttl", "soon", `must be a duration such as "30s"`},
	{"ttl of microseconds", web1, with(`"ttl":"1.0001s"`), 422, "ttl", "1.0001s", "must be whole milliseconds"},
}

// addresses returns the JSON of the second to nth address of 10.0.0.0/24.
func addresses(n int) string {
	var b strings.Builder
	for i := 2; i <= n; i++ {
		fmt.Fprintf(&b, `","10.0.0.%d`, i)
	}
	return b.String()
}

// TestRefusals holds that bad input is answered with what is wrong, and that nothing of it is stored.
func TestRefusals(t *testing.T) {
	s := newStore(t, memstore.Config{})
	a := newAPI(t, config(s))
	a.must(t, 201, "PUT", web1, body)
	leases, err := s.Leases(t.Context(), "_web._tcp")
	if err != nil {
		t.Fatal(err)
	}
	view := s.View()
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			got := a.call(t, "PUT", tt.path, tt.body)
			if got.status != tt.status {
				t.Fatalf("status %d, want %d: %s", got.status, tt.status, got.body)
			}
			p := got.problem(t)
			if len(p.Errors) != 1 {
				t.Fatalf("%d errors: %s", len(p.Errors), got.body)
			}
			e := p.Errors[0]
			if e.Field != tt.field || e.Value != tt.value || !strings.Contains(e.Rule, tt.rule) {
				t.Errorf("field %q, value %q, rule %q;\nwant  %q,       %q,      %q", e.Field, e.Value, e.Rule, tt.field, tt.value, tt.rule)
			}
			if !strings.Contains(p.Detail, tt.field) || !strings.Contains(p.Detail, tt.rule) {
				t.Errorf("detail %q names not both field and rule", p.Detail)
			}
			after, err := s.Leases(t.Context(), "_web._tcp")
			if err != nil {
				t.Fatal(err)
			}
			if s.View() != view || after["web-1"].ExpiresAt.Sub(leases["web-1"].ExpiresAt).Abs() > 0 {
				t.Error("the store has changed")
			}
		})
	}
}

// TestDerivedNames holds the limit of 255 octets at its edge: each derived name is within it, or none is registered.
func TestDerivedNames(t *testing.T) {
	long := store.Rules{Zone: strings.Repeat(strings.Repeat("z", 38)+".", 4)} // 157 octets on the wire
	s, err := memstore.New(memstore.Config{Rules: long})
	if err != nil {
		t.Fatal(err)
	}
	start(t, s.Run)
	cfg := config(s)
	cfg.Zones[0].Rules = long
	a := newAPI(t, cfg)
	// <id>._<service>._tcp.<zone>: 1 + id + 2 + service + 5 + 157.
	for size, want := range map[int]int{63: 201, 64: 422} {
		service := strings.Repeat("s", size-63+27)
		got := a.call(t, "PUT", "/v1/services/"+service+"/instances/"+strings.Repeat("i", 63), body)
		if got.status != want {
			t.Errorf("%d octets: status %d: %s", 1+63+2+len(service)+5+157, got.status, got.body)
		}
		if want == 422 && !strings.Contains(got.problem(t).Errors[0].Rule, tooLong) {
			t.Errorf("reply %s", got.body)
		}
	}
}

func TestEveryProblemAtOnce(t *testing.T) {
	a := newAPI(t, config(newStore(t, memstore.Config{})))
	got := a.call(t, "PUT", "/v1/services/a%20b/instances/_x",
		`{"id":"y","port":70000,"addresses":["x","0.0.0.0"],"txt":["=1","a","A"],"ttl":"1h","weight":-1,"subtypes":[""]}`)
	var fields []string
	for _, e := range got.problem(t).Errors {
		fields = append(fields, e.Field)
	}
	want := []string{"port", "addresses[0]", "weight", "id", "service", "txt[0]", "txt", "subtypes[0]"}
	if diff := cmp.Diff(want, fields); diff != "" || got.status != 422 {
		t.Errorf("status %d, fields (-want +got):\n%s", got.status, diff)
	}
}

func TestRepliesStayShort(t *testing.T) {
	a := newAPI(t, config(newStore(t, memstore.Config{})))
	many := strings.TrimSuffix(strings.Repeat(`"x",`, 15_000), ",")
	for _, body := range []string{
		`{"port":80,"addresses":[` + many + `]}`,
		`{"port":80,"txt":[` + many + `]}`,
		`{"port":80,"` + strings.Repeat("x", 60_000) + `":1}`,
		`{"port":` + strings.Repeat("9", 60_000) + `}`,
	} {
		if got := a.call(t, "PUT", web1, body); len(got.body) > 16<<10 || got.status < 400 {
			t.Errorf("%.30s…: status %d, %d octets", body, got.status, len(got.body))
		}
	}
	got := a.call(t, "PUT", web+"/instances/"+strings.Repeat("i", 10_000), body)
	if p := got.problem(t); len(got.body) > 1024 || p.Errors[0].Value != strings.Repeat("i", 64)+"…" {
		t.Errorf("status %d, %d octets", got.status, len(got.body))
	}
}

// TestBodySize holds the limits of bodies at their edges.
func TestBodySize(t *testing.T) {
	a := newAPI(t, config(newStore(t, memstore.Config{})))
	a.must(t, 201, "PUT", web1, body)
	pad := func(json string, size int) string { return json + strings.Repeat(" ", size-len(json)) }
	batch := `{"instances":[]}`
	for _, tt := range []struct {
		method, path, body string
		limit              int
	}{
		{"PUT", web1, body, heartbeat.MaxBody},
		{"PATCH", web1, `{"weight":1}`, heartbeat.MaxBody},
		{"POST", "/v1/heartbeats", batch, heartbeat.MaxBatchBody},
	} {
		if got := a.call(t, tt.method, tt.path, pad(tt.body, tt.limit)); got.status != 200 {
			t.Errorf("%s %s, %d octets: status %d: %s", tt.method, tt.path, tt.limit, got.status, got.body)
		}
		if got := a.call(t, tt.method, tt.path, pad(tt.body, tt.limit+1)); got.status != 413 {
			t.Errorf("%s %s, %d octets: status %d: %s", tt.method, tt.path, tt.limit+1, got.status, got.body)
		}
	}
}
