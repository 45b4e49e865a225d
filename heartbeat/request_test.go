package heartbeat_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/store"
)

// broken are bodies that are not of the form of a registration.
var broken = []struct {
	name, in    string
	field, rule string // rule is a part of it
}{
	{"empty", ``, "body", "must not be empty"},
	{"blank", " \r\n\t", "body", "must not be empty"},
	{"not JSON", `port=80`, "body", "must be JSON"},
	{"byte order mark", "\ufeff{\"port\":80}", "body", "must be JSON"},
	{"array", `[{"port":80}]`, "body", "must be an object"},
	{"string", `"port"`, "body", "must be an object"},
	{"null", `null`, "body", "must be an object"},
	{"number", `80`, "body", "must be an object"},
	{"truncated in name", `{"po`, "body", "cut off"},
	{"truncated behind name", `{"port"`, "port", "cut off"},
	{"truncated behind colon", `{"port":`, "port", "cut off"},
	{"truncated in text", `{"port":80,"host":"ab`, "host", "cut off"},
	{"truncated in array", `{"port":80,"txt":["a=1",`, "txt[1]", "cut off"},
	{"truncated behind element", `{"port":80,"txt":["a=1"`, "txt", "cut off"},
	{"truncated before the end", `{"port":80`, "body", "cut off"},
	{"no colon", `{"port" 80}`, "port", "must be JSON"},
	{"no comma", `{"port":80 "host":"a"}`, "body", "must be JSON"},
	{"comma at the end", `{"port":80,}`, "body", "must be JSON"},
	{"comma at the end of an array", `{"txt":["a",]}`, "txt[1]", "must be JSON"},
	{"comma first", `{,"port":80}`, "body", "must be JSON"},
	{"wrong bracket", `{"txt":["a"}}`, "txt", "must be JSON"},
	{"single quotes", `{'port':80}`, "body", "must be JSON"},
	{"comment", `{"port":80/*http*/}`, "body", "must be JSON"},
	{"leading zero", `{"port":080}`, "body", "must be JSON"},
	{"plus", `{"port":+80}`, "port", "must be JSON"},
	{"NaN", `{"port":NaN}`, "port", "must be JSON"},
	{"control character in text", "{\"port\":80,\"host\":\"a\nb\"}", "host", "must be JSON"},
	{"unknown escape", `{"port":80,"host":"\x41"}`, "host", "must be JSON"},
	{"trailing object", `{"port":80}{}`, "body", "must end after"},
	{"trailing brace", `{"port":80}}`, "body", "must end after"},
	{"trailing text", `{"port":80} x`, "body", "must end after"},
	{"unknown field", `{"port":80,"prot":1}`, "prot", "must be one of service, id, host"},
	{"empty field name", `{"":1}`, "body", "is not a field"},
	{"field of the reply", `{"port":80,"state":"up"}`, "state", "is not a field"},
	{"nested unknown field", `{"port":80,"meta":{"a":{"b":1}}}`, "meta", "is not a field"},
	{"wrong case", `{"Port":80}`, "Port", `must be written "port"`},
	{"all capitals", `{"port":80,"TTL":"30s"}`, "TTL", `must be written "ttl"`},
	{"folded by Unicode", `{"port":80,"hoſt":"a"}`, "hoſt", `must be written "host"`},
	{"duplicate", `{"port":80,"port":80}`, "port", "must not be given twice"},
	{"duplicate by escape", `{"port":80,"\u0070ort":81}`, "port", "must not be given twice"},
	{"port as text", `{"port":"80"}`, "port", "must be a number"},
	{"port null", `{"port":null}`, "port", "must be a number"},
	{"port boolean", `{"port":true}`, "port", "must be a number"},
	{"port array", `{"port":[80]}`, "port", "must be a number"},
	{"host number", `{"port":80,"host":5}`, "host", "must be a string"},
	{"host null", `{"port":80,"host":null}`, "host", "must be a string"},
	{"ttl number", `{"port":80,"ttl":30}`, "ttl", "must be a string"},
	{"ttl object", `{"port":80,"ttl":{}}`, "ttl", "must be a string"},
	{"txt text", `{"port":80,"txt":"a=1"}`, "txt", "must be an array"},
	{"txt object", `{"port":80,"txt":{"a":"1"}}`, "txt", "must be an array"},
	{"txt null", `{"port":80,"txt":null}`, "txt", "must be an array"},
	{"txt of numbers", `{"port":80,"txt":["a=1",2]}`, "txt[1]", "must be a string"},
	{"txt of arrays", `{"port":80,"txt":[[]]}`, "txt[0]", "must be a string"},
	{"addresses text", `{"port":80,"addresses":"10.0.0.1"}`, "addresses", "must be an array"},
	{"address number", `{"port":80,"addresses":[1]}`, "addresses[0]", "must be a string"},
	{"invalid UTF-8 in text", "{\"port\":80,\"host\":\"a\xff\"}", "host", "must be valid UTF-8"},
	{"invalid UTF-8 in name", "{\"port\":80,\"ho\xc3st\":\"a\"}", "body", "must be valid UTF-8"},
	{"surrogate in UTF-8", "{\"port\":80,\"txt\":[\"\xed\xa0\x80\"]}", "txt[0]", "must be valid UTF-8"},
	{"overlong UTF-8", "{\"port\":80,\"txt\":[\"\xc0\xaf\"]}", "txt[0]", "must be valid UTF-8"},
	{"lone high surrogate", `{"port":80,"host":"a\ud83d"}`, "host", "half of a surrogate pair"},
	{"lone low surrogate", `{"port":80,"host":"\uDE00a"}`, "host", "half of a surrogate pair"},
	{"swapped surrogates", `{"port":80,"host":"\ude00\ud83d"}`, "host", "half of a surrogate pair"},
	{"two high surrogates", `{"port":80,"host":"\ud83d\ud83d\ude00"}`, "host", "half of a surrogate pair"},
	{"lone surrogate behind escapes", `{"port":80,"host":"\\\u0041\n\ud800\\"}`, "host", "half of a surrogate pair"},
	{"lone surrogate in name", `{"port":80,"\ud800":1}`, "body", "half of a surrogate pair"},
	{"deep nesting", strings.Repeat(`[`, 60000), "body", "must be an object"},
	{"deep nesting in a field", `{"txt":` + strings.Repeat(`[`, 60000), "txt[0]", "must be a string"},
}

func TestParseRecordSyntax(t *testing.T) {
	for _, tt := range broken {
		t.Run(tt.name, func(t *testing.T) {
			_, err := heartbeat.ParseRecord([]byte(tt.in))
			wantSyntax(t, err, tt.field, tt.rule)
		})
	}
}

func wantSyntax(t testing.TB, err error, field, rule string) {
	t.Helper()
	var syntax *heartbeat.SyntaxError
	if !errors.As(err, &syntax) {
		t.Fatalf("error %v, want a syntax error of %q", err, field)
	}
	if syntax.Field != field || !strings.Contains(syntax.Rule, rule) {
		t.Errorf("%q: %q, want %q: … %q …", syntax.Field, syntax.Rule, field, rule)
	}
	want := syntax.Field + " " + syntax.Rule
	if syntax.Value != "" {
		want = syntax.Field + " " + syntax.Value + ": " + syntax.Rule
	}
	if syntax.Error() != want {
		t.Errorf("text %q, want %q", syntax, want)
	}
}

// TestSyntaxErrorShowsTheValue holds that a value of the wrong type is shown as the body has it.
func TestSyntaxErrorShowsTheValue(t *testing.T) {
	for in, want := range map[string]string{
		`{"port":"80"}`:                  `"80"`,
		`{ "port" : true }`:              `true`,
		`{"port":null}`:                  `null`,
		`{"port":[80]}`:                  `[…]`,
		`{"ttl":{"s":30}}`:               `{…}`,
		`{"ttl":30}`:                     `30`,
		`{"txt":["a", 2]}`:               `2`,
		`{"txt":"a=\"1\""}`:              `"a=\"1\""`,
		`[{"port":80}]`:                  `[…]`,
		`"port"`:                         `"port"`,
		"{\"host\":\"a\xff\"}":           `"a\xff"`,
		`{"host":"a\ud800"}`:             `"a\ud800"`,
		`{"port":80,"port":81}`:          ``,
		`{"ttl":` + long("9", 100):       long("9", 64) + "…",
		`{"txt":"` + long("x", 70) + `"`: `"` + long("x", 63) + "…",
	} {
		_, err := heartbeat.ParseRecord([]byte(in))
		var syntax *heartbeat.SyntaxError
		if !errors.As(err, &syntax) || syntax.Value != want {
			t.Errorf("%s: error %v, want the value %s", in, err, want)
		}
	}
}

func long(s string, n int) string { return strings.Repeat(s, n) }

func TestSyntaxErrorIsShort(t *testing.T) {
	_, err := heartbeat.ParseRecord([]byte(`{"` + strings.Repeat("x", 60000) + `":1}`))
	if err == nil || len(err.Error()) > 300 {
		t.Errorf("error %.400v", err)
	}
}

func TestParseRecordRules(t *testing.T) {
	const whole = "must be a whole number, 1 to 65535"
	tests := []struct {
		name, in string
		want     []store.FieldError
	}{
		{"no port", `{}`, []store.FieldError{wrong("port", "", "must be given")}},
		{"port 0", `{"port":0}`, []store.FieldError{wrong("port", "0", "must be 1 to 65535")}},
		{"port -0", `{"port":-0}`, []store.FieldError{wrong("port", "-0", "must be 1 to 65535")}},
		{"port -1", `{"port":-1}`, []store.FieldError{wrong("port", "-1", "must be 1 to 65535")}},
		{"port 65536", `{"port":65536}`, []store.FieldError{wrong("port", "65536", "must be 1 to 65535")}},
		{"port 70000", `{"port":70000}`, []store.FieldError{wrong("port", "70000", "must be 1 to 65535")}},
		{"port beyond 64 bits", `{"port":99999999999999999999}`, []store.FieldError{wrong("port", "99999999999999999999", "must be 1 to 65535")}},
		{"port 1.5", `{"port":1.5}`, []store.FieldError{wrong("port", "1.5", whole)}},
		{"port 80.0", `{"port":80.0}`, []store.FieldError{wrong("port", "80.0", whole)}},
		{"port 1e3", `{"port":1e3}`, []store.FieldError{wrong("port", "1e3", whole)}},
		{"priority", `{"port":1,"priority":-1}`, []store.FieldError{wrong("priority", "-1", "must be 0 to 65535")}},
		{"weight", `{"port":1,"weight":65536}`, []store.FieldError{wrong("weight", "65536", "must be 0 to 65535")}},
		{"ttl text", `{"port":1,"ttl":"soon"}`, []store.FieldError{wrong("ttl", "soon", `must be a duration such as "30s"`)}},
		{"ttl without unit", `{"port":1,"ttl":"30"}`, []store.FieldError{wrong("ttl", "30", `must be a duration such as "30s"`)}},
		{"ttl empty", `{"port":1,"ttl":""}`, []store.FieldError{wrong("ttl", "", `must be a duration such as "30s"`)}},
		{"ttl 0", `{"port":1,"ttl":"0s"}`, []store.FieldError{wrong("ttl", "0s", "must be 1s to 24h")}},
		{"address", `{"port":1,"addresses":["10.0.0.1","10.0.0.256"]}`, []store.FieldError{wrong("addresses[1]", "10.0.0.256", "must be an IP address")}},
		{"address with a port", `{"port":1,"addresses":["10.0.0.1:80"]}`, []store.FieldError{wrong("addresses[0]", "10.0.0.1:80", "must be an IP address")}},
		{"all at once", `{"port":0,"weight":-1,"ttl":"x","addresses":["a","b"]}`, []store.FieldError{
			wrong("port", "0", "must be 1 to 65535"),
			wrong("weight", "-1", "must be 0 to 65535"),
			wrong("ttl", "x", `must be a duration such as "30s"`),
			wrong("addresses[0]", "a", "must be an IP address"),
			wrong("addresses[1]", "b", "must be an IP address"),
		}},
		{"long value", `{"port":` + strings.Repeat("9", 100) + `}`, []store.FieldError{{Field: "port", Value: strings.Repeat("9", 64) + "…", Rule: "must be 1 to 65535"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := heartbeat.ParseRecord([]byte(tt.in))
			wantInvalid(t, err, tt.want...)
		})
	}
}

func wantInvalid(t testing.TB, err error, want ...store.FieldError) {
	t.Helper()
	var invalid *store.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("error %v, want an InvalidError", err)
	}
	if diff := cmp.Diff(want, invalid.Fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

func TestParseRecord(t *testing.T) {
	full := heartbeat.Record{Service: "web", Instance: store.Instance{
		ID: "a", Host: "h", Addresses: addrs("10.0.0.5", "2001:db8::1"), Port: 8080, Priority: 1, Weight: 2,
		TXT: []string{"v=1", "b"}, Subtypes: []string{"s"}, TTL: 90 * time.Second,
	}}
	tests := []struct {
		name, in string
		want     heartbeat.Record
	}{
		{"port alone", `{"port":80}`, heartbeat.Record{Instance: store.Instance{Port: 80, Weight: store.DefaultWeight}}},
		{"weight 0", `{"port":80,"weight":0}`, heartbeat.Record{Instance: store.Instance{Port: 80}}},
		{"least and greatest", `{"port":1,"priority":65535,"weight":65535}`, heartbeat.Record{Instance: store.Instance{Port: 1, Priority: 65535, Weight: 65535}}},
		{"everything", `{"service":"web","id":"a","host":"h","addresses":["10.0.0.5","2001:db8::1"],"port":8080,"priority":1,"weight":2,
			"txt":["v=1","b"],"subtypes":["s"],"ttl":"1m30s"}`, full},
		{"white space around", " \n{ \"port\" :\t80 } \r\n", heartbeat.Record{Instance: store.Instance{Port: 80, Weight: 1}}},
		{"empty arrays", `{"port":80,"txt":[],"addresses":[]}`, heartbeat.Record{Instance: store.Instance{Port: 80, Weight: 1}}},
		{"escapes", `{"port":80,"id":"b\u00fcro \ud83d\ude00 \\ud800 \"\/"}`, heartbeat.Record{Instance: store.Instance{ID: `büro 😀 \ud800 "/`, Port: 80, Weight: 1}}},
		{"replacement character", `{"port":80,"id":"\ufffd�"}`, heartbeat.Record{Instance: store.Instance{ID: "\ufffd\ufffd", Port: 80, Weight: 1}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := heartbeat.ParseRecord([]byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			wantRecord(t, got, tt.want)
			body, err := got.Encode()
			if err != nil {
				t.Fatal(err)
			}
			again, err := heartbeat.ParseRecord(body)
			if err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			wantRecord(t, again, tt.want)
		})
	}
}

func wantRecord(t testing.TB, got, want heartbeat.Record) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

func wrong(field, value, rule string) store.FieldError {
	return store.FieldError{Field: field, Value: value, Rule: rule}
}

func addrs(texts ...string) []netip.Addr {
	out := make([]netip.Addr, len(texts))
	for i, s := range texts {
		out[i] = netip.MustParseAddr(s)
	}
	return out
}

func TestParseRecordKeepsTheRest(t *testing.T) {
	got, err := heartbeat.ParseRecord([]byte(`{"port":0,"host":"h","addresses":["x","10.0.0.1"],"ttl":"5s"}`))
	wantInvalid(t, err, wrong("port", "0", "must be 1 to 65535"), wrong("addresses[0]", "x", "must be an IP address"))
	wantRecord(t, got, heartbeat.Record{Instance: store.Instance{Host: "h", Addresses: addrs("10.0.0.1"), Weight: 1, TTL: 5 * time.Second}})
}

func TestEncodeRefusesWhatJSONWouldChange(t *testing.T) {
	record := heartbeat.Record{Instance: store.Instance{ID: "a\xff", Port: 80, TXT: []string{"k=v", "k2=\xc3"}, Subtypes: []string{"\x80"}}}
	_, err := record.Encode()
	wantInvalid(t, err,
		wrong("id", "a\xff", "must be valid UTF-8"),
		wrong("txt[1]", "k2=\xc3", "must be valid UTF-8"),
		wrong("subtypes[0]", "\x80", "must be valid UTF-8"),
	)
	if text := `id "a\xff": must be valid UTF-8`; !strings.HasPrefix(err.Error(), text) {
		t.Errorf("text %s, want %s", err, text)
	}
}

func TestParseOverlay(t *testing.T) {
	draining, up, weight, none := store.Draining, store.Up, uint16(5), uint16(0)
	tests := []struct {
		in   string
		want store.Overlay
	}{
		{`{"state":"draining"}`, store.Overlay{State: &draining}},
		{`{"state":"up"}`, store.Overlay{State: &up}},
		{`{"weight":5}`, store.Overlay{Weight: &weight}},
		{`{"weight":0}`, store.Overlay{Weight: &none}},
		{`{"state":"up","weight":5}`, store.Overlay{State: &up, Weight: &weight}},
	}
	for _, tt := range tests {
		got, err := heartbeat.ParseOverlay([]byte(tt.in))
		if err != nil || !got.Equal(tt.want) {
			t.Errorf("%s: %+v, %v", tt.in, got, err)
		}
	}
}

func TestParseOverlayRefuses(t *testing.T) {
	rules := []struct {
		in   string
		want store.FieldError
	}{
		{`{}`, wrong("state", "", "must be given, or weight")},
		{`{"state":"paused"}`, wrong("state", "paused", `must be "up" or "draining"`)},
		{`{"state":"Up"}`, wrong("state", "Up", `must be "up" or "draining"`)},
		{`{"weight":-1}`, wrong("weight", "-1", "must be 0 to 65535")},
		{`{"weight":0.5}`, wrong("weight", "0.5", "must be a whole number, 0 to 65535")},
	}
	for _, tt := range rules {
		_, err := heartbeat.ParseOverlay([]byte(tt.in))
		wantInvalid(t, err, tt.want)
	}
	syntax := []struct{ in, field, rule string }{
		{``, "body", "must not be empty"},
		{`{"state":1}`, "state", "must be a string"},
		{`{"weight":null}`, "weight", "must be a number"},
		{`{"state":"up","state":"up"}`, "state", "must not be given twice"},
		{`{"port":80}`, "port", "must be one of state, weight"},
	}
	for _, tt := range syntax {
		_, err := heartbeat.ParseOverlay([]byte(tt.in))
		wantSyntax(t, err, tt.field, tt.rule)
	}
}

func TestParseBatch(t *testing.T) {
	got, err := heartbeat.ParseBatch([]byte(`{"instances":[{"service":"web","id":"a b","etag":"e"},{"id":"c","service":"_dns._udp"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []store.Renewal{{Service: "_web._tcp", ID: "a b", ETag: "e"}, {Service: "_dns._udp", ID: "c"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("renewals (-want +got):\n%s", diff)
	}
	if got, err := heartbeat.ParseBatch([]byte(`{"instances":[]}`)); err != nil || len(got) != 0 {
		t.Errorf("empty batch: %v, %v", got, err)
	}
}

func TestParseBatchRefuses(t *testing.T) {
	_, err := heartbeat.ParseBatch([]byte(`{"instances":[{"service":"web","id":"a"},{"service":"a b","id":"_x"},{}]}`))
	var invalid *store.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("error %v", err)
	}
	var fields []string
	for _, f := range invalid.Fields {
		fields = append(fields, f.Field)
	}
	want := []string{"instances[1].service", "instances[1].id", "instances[2].service", "instances[2].id"}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	_, err = heartbeat.ParseBatch([]byte(`{}`))
	wantInvalid(t, err, wrong("instances", "", "must be given"))
	syntax := []struct{ in, field, rule string }{
		{`{"instances":{}}`, "instances", "must be an array"},
		{`{"instances":[1]}`, "instances[0]", "must be an object"},
		{`{"instances":[{"service":"web","id":"a","ETag":""}]}`, "instances[0].ETag", `must be written "etag"`},
		{`{"instances":[{"id":"a","id":"a"}]}`, "instances[0].id", "must not be given twice"},
		{`{"instances":[{"id":"a"}`, "instances", "cut off"},
	}
	for _, tt := range syntax {
		_, err := heartbeat.ParseBatch([]byte(tt.in))
		wantSyntax(t, err, tt.field, tt.rule)
	}
}

func TestParseBatchLimit(t *testing.T) {
	body := func(n int) []byte {
		item := `{"service":"web","id":"a"}`
		return fmt.Appendf(nil, `{"instances":[%s]}`, strings.TrimSuffix(strings.Repeat(item+",", n), ","))
	}
	if got, err := heartbeat.ParseBatch(body(heartbeat.MaxBatch)); err != nil || len(got) != heartbeat.MaxBatch {
		t.Errorf("%d items: %d, %v", heartbeat.MaxBatch, len(got), err)
	}
	_, err := heartbeat.ParseBatch(body(heartbeat.MaxBatch + 1))
	wantInvalid(t, err, wrong("instances", "more than 10000", "must be at most 10000"))
}

func TestDuration(t *testing.T) {
	for _, text := range []string{"30s", "1m30s", "27.4s", "0s", "24h0m0s", "333ms"} {
		var d heartbeat.Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.String() != text {
			t.Errorf("%s: %v, %v", text, d, err)
		}
	}
	var d heartbeat.Duration
	if err := d.UnmarshalText([]byte("30")); err == nil || !strings.Contains(err.Error(), "read duration") {
		t.Errorf("30: %v", err)
	}
}
