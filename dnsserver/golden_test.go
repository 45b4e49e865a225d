package dnsserver_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/store"
)

// golden are packets in testdata: NAME.hex has the query, a line "reply", and the reply, each octet in hex with comments
// behind "#".
func golden(tb testing.TB, name string) (query, reply []byte) {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
	if err != nil {
		tb.Fatal(err)
	}
	parts := [][]byte{nil}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		if strings.TrimSpace(line) == "reply" {
			parts = append(parts, nil)
			continue
		}
		b, err := hex.DecodeString(strings.Join(strings.Fields(line), ""))
		if err != nil {
			tb.Fatalf("%s: %q: %v", name, line, err)
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], b...)
	}
	if len(parts) != 2 {
		tb.Fatalf("%s: %d parts", name, len(parts))
	}
	return parts[0], parts[1]
}

// goldenSource is the zone of the golden packets, at revision 7.
func goldenSource(tb testing.TB) *source {
	src := newSource()
	src.view.Store((&store.View{}).With(7,
		snapshot("_web._tcp",
			instance(tb, "_web._tcp", "a", with("10.0.0.1", "2001:db8::1"), txt("v=1", "flag"), subtypes("admin")),
			instance(tb, "_web._tcp", "B two", with("10.0.0.2"), ttl(3*time.Second), port(81)),
		),
		many(tb, "_big._tcp", 50),
	))
	return src
}

var goldenNames = []string{"srv", "ptr", "txt", "a", "ns", "nxdomain", "nodata", "truncated", "badvers", "refused", "notimp", "stale", "lost"}

func TestGoldenPackets(t *testing.T) {
	for _, name := range goldenNames {
		t.Run(name, func(t *testing.T) {
			src := goldenSource(t)
			switch name {
			case "stale":
				src.freshness.Store(int32(store.Stale))
			case "lost":
				src.freshness.Store(int32(store.Lost))
			}
			query, want := golden(t, name)
			got := newServer(t, src).Answer(query, nil, dnsserver.UDP)
			if diff := cmp.Diff(hex.Dump(want), hex.Dump(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if err := new(dns.Msg).Unpack(want); err != nil {
				t.Errorf("the golden packet itself: %v", err)
			}
		})
	}
}

// TestGoldenSignatures holds that what is signed, and what is answered to an unknown key, stays the same octet for octet.
func TestGoldenSignatures(t *testing.T) {
	for _, name := range []string{"ixfr-signed", "ixfr-badkey"} {
		synctest.Test(t, func(t *testing.T) { // whose time begins when the packets were signed
			query, want := golden(t, name)
			s := newServer(t, goldenSource(t), withKey("hmac-sha256"), transfers())
			for _, got := range [][]byte{s.AnswerTo(from(secondary), query, nil), streamed(t, s, query)} {
				if diff := cmp.Diff(hex.Dump(want), hex.Dump(got)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

// streamed returns the one message of a reply over TCP.
func streamed(tb testing.TB, s *dnsserver.Server, query []byte) []byte {
	tb.Helper()
	wires, err := s.Stream(from(secondary), query)
	if err != nil || len(wires) != 1 {
		tb.Fatalf("%d messages, %v", len(wires), err)
	}
	return wires[0]
}
