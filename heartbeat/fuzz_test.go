package heartbeat_test

import (
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/store"
)

// FuzzParseRecord holds that whatever is accepted is JSON that encoding/json accepts too, and is read back the same
// from what it is written as.
func FuzzParseRecord(f *testing.F) {
	for _, tt := range broken {
		f.Add([]byte(tt.in))
	}
	f.Add([]byte(`{"service":"web","id":"a","host":"h","addresses":["10.0.0.5","fe80::1%eth0"],"port":8080,"priority":1,"weight":2,"txt":["v=1","b"],"subtypes":["s"],"ttl":"1m30s"}`))
	f.Add([]byte(`{"port":80,"id":"b\u00fcro \ud83d\ude00 \\ud800"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		record, err := heartbeat.ParseRecord(data)
		if err != nil {
			wantExplained(t, err)
			return
		}
		if !json.Valid(data) || !utf8.Valid(data) {
			t.Errorf("accepted what is not JSON in UTF-8: %q", data)
		}
		body, err := record.Encode()
		if err != nil {
			t.Fatalf("encode %+v: %v", record, err)
		}
		again, err := heartbeat.ParseRecord(body)
		if err != nil {
			t.Fatalf("read back %s: %v", body, err)
		}
		wantRecord(t, again, record)
	})
}

// FuzzParseBatch holds that a batch's errors are explained, and that what is accepted is canonical.
func FuzzParseBatch(f *testing.F) {
	f.Add([]byte(`{"instances":[{"service":"web","id":"a","etag":"e"},{"service":"_a._udp","id":"b"}]}`))
	f.Add([]byte(`{"instances":[{"service":"a b","id":"_x"},{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		renewals, err := heartbeat.ParseBatch(data)
		if err != nil {
			wantExplained(t, err)
			return
		}
		for _, r := range renewals {
			if service, err := store.ParseService(string(r.Service)); err != nil || service != r.Service || !utf8.ValidString(r.ID) {
				t.Errorf("accepted %+v", r)
			}
		}
	})
}

// FuzzParseOverlay holds that an overlay's errors are explained, and that what is accepted sets something valid.
func FuzzParseOverlay(f *testing.F) {
	f.Add([]byte(`{"state":"draining","weight":5}`))
	f.Add([]byte(`{"state":"paused"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := heartbeat.ParseOverlay(data)
		switch {
		case err != nil:
			wantExplained(t, err)
		case o.State == nil && o.Weight == nil, o.State != nil && *o.State != store.Up && *o.State != store.Draining:
			t.Errorf("accepted %q", data)
		}
	})
}

// wantExplained checks that an error names a field and a rule, and stays short whatever the input.
func wantExplained(t testing.TB, err error) {
	t.Helper()
	var syntax *heartbeat.SyntaxError
	var invalid *store.InvalidError
	switch {
	case errors.As(err, &syntax):
		if syntax.Field == "" || syntax.Rule == "" || len(syntax.Error()) > 400 {
			t.Errorf("syntax error %q", syntax)
		}
	case errors.As(err, &invalid):
		for _, f := range invalid.Fields {
			if f.Field == "" || f.Rule == "" || len(f.Value) > 80 {
				t.Errorf("field error %+v", f)
			}
		}
	default:
		t.Errorf("error of another kind: %v", err)
	}
}
