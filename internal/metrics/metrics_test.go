package metrics_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/heartbeat/endpoint"
	"github.com/dnsreg/dnsreg/internal/metrics"
	"github.com/dnsreg/dnsreg/store"
)

// times is three queries over UDP in the first bucket and one in the second, and one over TCP that took longest.
func times() (t [2]dnsserver.Times) {
	t[dnsserver.UDP].Buckets[0], t[dnsserver.UDP].Buckets[1], t[dnsserver.UDP].Sum = 3, 1, 6*time.Microsecond
	t[dnsserver.TCP].Buckets[dnsserver.TimeBuckets-1], t[dnsserver.TCP].Sum = 1, 3*time.Second
	return t
}

// histogram is how times shows.
func histogram() string {
	var b strings.Builder
	b.WriteString("# HELP dnsreg_dns_query_seconds Time from taking DNS queries from the kernel until it had their replies, " +
		"for each query that of all it was taken with.\n# TYPE dnsreg_dns_query_seconds histogram\n")
	show := func(transport string, first, rest, all int, sum string) {
		for i, le := 0, 2.048e-6; le < 3; i, le = i+1, 2*le {
			n := rest
			if i == 0 {
				n = first
			}
			fmt.Fprintf(&b, "dnsreg_dns_query_seconds_bucket{transport=%q,le=\"%g\"} %d\n", transport, le, n)
		}
		fmt.Fprintf(&b, "dnsreg_dns_query_seconds_bucket{transport=%q,le=\"+Inf\"} %d\n", transport, all)
		fmt.Fprintf(&b, "dnsreg_dns_query_seconds_sum{transport=%q} %s\ndnsreg_dns_query_seconds_count{transport=%q} %d\n", transport, sum, transport, all)
	}
	show("tcp", 0, 0, 1, "3")
	show("udp", 3, 4, 4, "6e-06")
	return b.String()
}

// sources returns parts that have counted something of everything.
func sources(s metrics.Store) metrics.Sources {
	return metrics.Sources{
		Version: "v1.2.3",
		DNS: func() dnsserver.Stats {
			return dnsserver.Stats{
				Requests: []dnsserver.RequestCount{
					{Transport: dnsserver.UDP, Type: "SRV", Rcode: "NOERROR", Count: 7},
					{Transport: dnsserver.TCP, Type: "other", Rcode: "REFUSED", Count: 1},
				},
				Dropped: 2, Truncated: 3, Limited: 23, Slipped: 24, SendErrors: 4, Times: times(), TCPOpen: 5, TCPAccepted: 6, TCPEvicted: 8, TCPRefused: 9,
				Signatures: dnsserver.SignatureStats{Good: 51, BadKey: 52, BadSig: 53, BadTime: 54, BadTrunc: 55},
				Transfers: dnsserver.TransferStats{
					Full: 61, Incremental: 62, Unchanged: 63, Refused: 64, Crowded: 65, Broken: 66, Octets: 67, JournalSteps: 68, JournalOctets: 69,
				},
				Notifies: dnsserver.NotifyStats{Sent: 71, Acknowledged: 72, Refused: 73, Failed: 74},
			}
		},
		HTTP: func() endpoint.Stats {
			return endpoint.Stats{
				Registrations: map[string]uint64{"created": 10, "invalid": 0},
				Heartbeats:    map[string]uint64{"renewed": 11},
				Requests:      map[endpoint.Request]uint64{{Route: "GET /v1/services", Status: 200}: 12},
			}
		},
		Stores: func() []metrics.Store { return []metrics.Store{s} },
	}
}

// counted is a store that has counted something of what every kind counts.
func counted() metrics.Store {
	return metrics.Store{
		Zone: "svc.internal.", Registrations: 21, Renewals: 22, Expiries: 13, Deregistrations: 14, Instances: 15, Services: 16, Revision: 18, Freshness: store.Synced,
	}
}

// inMemory is a store in memory.
func inMemory() metrics.Store {
	s := counted()
	s.Memory = &metrics.Memory{Tombstones: 17, Saves: 19, SaveErrors: 20}
	return s
}

// ours is every metric of dnsreg's own for a server with a store in memory, but for the build's.
const ours = `
# HELP dnsreg_deregistrations_total Instances that were deregistered.
# TYPE dnsreg_deregistrations_total counter
dnsreg_deregistrations_total{zone="svc.internal."} 14
# HELP dnsreg_dns_dropped_total DNS messages that got no reply: too short, or no queries.
# TYPE dnsreg_dns_dropped_total counter
dnsreg_dns_dropped_total 2
# HELP dnsreg_dns_journal_bytes Size of the changes that are kept for incremental transfers.
# TYPE dnsreg_dns_journal_bytes gauge
dnsreg_dns_journal_bytes 69
# HELP dnsreg_dns_journal_steps Changes that are kept for incremental transfers.
# TYPE dnsreg_dns_journal_steps gauge
dnsreg_dns_journal_steps 68
# HELP dnsreg_dns_notifies_total Changes that secondaries were to be told of, by what they answered.
# TYPE dnsreg_dns_notifies_total counter
dnsreg_dns_notifies_total{result="acknowledged"} 72
dnsreg_dns_notifies_total{result="refused"} 73
dnsreg_dns_notifies_total{result="unanswered"} 74
# HELP dnsreg_dns_notify_messages_total Messages that told secondaries of changes, repeated ones too.
# TYPE dnsreg_dns_notify_messages_total counter
dnsreg_dns_notify_messages_total 71
# HELP dnsreg_dns_rate_limited_total DNS queries beyond the rate limit, by what they got instead of an answer.
# TYPE dnsreg_dns_rate_limited_total counter
dnsreg_dns_rate_limited_total{reply="none"} 23
dnsreg_dns_rate_limited_total{reply="truncated"} 24
# HELP dnsreg_dns_requests_total DNS queries that were replied to.
# TYPE dnsreg_dns_requests_total counter
dnsreg_dns_requests_total{rcode="NOERROR",transport="udp",type="SRV"} 7
dnsreg_dns_requests_total{rcode="REFUSED",transport="tcp",type="other"} 1
# HELP dnsreg_dns_send_errors_total DNS replies that could not be sent.
# TYPE dnsreg_dns_send_errors_total counter
dnsreg_dns_send_errors_total 4
# HELP dnsreg_dns_signatures_total DNS queries with a TSIG record, by what came of checking it.
# TYPE dnsreg_dns_signatures_total counter
dnsreg_dns_signatures_total{result="badkey"} 52
dnsreg_dns_signatures_total{result="badsig"} 53
dnsreg_dns_signatures_total{result="badtime"} 54
dnsreg_dns_signatures_total{result="badtrunc"} 55
dnsreg_dns_signatures_total{result="good"} 51
# HELP dnsreg_dns_transfer_bytes_total Size of the messages of zone transfers.
# TYPE dnsreg_dns_transfer_bytes_total counter
dnsreg_dns_transfer_bytes_total 67
# HELP dnsreg_dns_transfers_total Zone transfers that were asked for, by what was answered.
# TYPE dnsreg_dns_transfers_total counter
dnsreg_dns_transfers_total{result="broken"} 66
dnsreg_dns_transfers_total{result="crowded"} 65
dnsreg_dns_transfers_total{result="full"} 61
dnsreg_dns_transfers_total{result="incremental"} 62
dnsreg_dns_transfers_total{result="refused"} 64
dnsreg_dns_transfers_total{result="unchanged"} 63
# HELP dnsreg_dns_tcp_accepted_total DNS connections that were accepted.
# TYPE dnsreg_dns_tcp_accepted_total counter
dnsreg_dns_tcp_accepted_total 6
# HELP dnsreg_dns_tcp_connections DNS connections that are open.
# TYPE dnsreg_dns_tcp_connections gauge
dnsreg_dns_tcp_connections 5
# HELP dnsreg_dns_tcp_evicted_total Idle DNS connections that were closed to make room.
# TYPE dnsreg_dns_tcp_evicted_total counter
dnsreg_dns_tcp_evicted_total 8
# HELP dnsreg_dns_tcp_refused_total DNS connections that were closed at once for want of room.
# TYPE dnsreg_dns_tcp_refused_total counter
dnsreg_dns_tcp_refused_total 9
# HELP dnsreg_dns_truncated_total DNS replies with TC set.
# TYPE dnsreg_dns_truncated_total counter
dnsreg_dns_truncated_total 3
# HELP dnsreg_expiries_total Leases that ended for want of a heartbeat.
# TYPE dnsreg_expiries_total counter
dnsreg_expiries_total{zone="svc.internal."} 13
# HELP dnsreg_heartbeats_total Heartbeats over HTTP, those of a batch one by one.
# TYPE dnsreg_heartbeats_total counter
dnsreg_heartbeats_total{result="renewed"} 11
# HELP dnsreg_http_requests_total HTTP requests.
# TYPE dnsreg_http_requests_total counter
dnsreg_http_requests_total{code="200",route="GET /v1/services"} 12
# HELP dnsreg_instances Live instances, draining ones included.
# TYPE dnsreg_instances gauge
dnsreg_instances{zone="svc.internal."} 15
# HELP dnsreg_registrations_total Registrations over HTTP.
# TYPE dnsreg_registrations_total counter
dnsreg_registrations_total{result="created"} 10
dnsreg_registrations_total{result="invalid"} 0
# HELP dnsreg_revision Revision of the zone, whose SOA serial it is modulo 2^32.
# TYPE dnsreg_revision gauge
dnsreg_revision{zone="svc.internal."} 18
# HELP dnsreg_services Services that have a live instance.
# TYPE dnsreg_services gauge
dnsreg_services{zone="svc.internal."} 16
# HELP dnsreg_store_registrations_total Registrations that the store accepted.
# TYPE dnsreg_store_registrations_total counter
dnsreg_store_registrations_total{zone="svc.internal."} 21
# HELP dnsreg_store_renewals_total Leases that were renewed.
# TYPE dnsreg_store_renewals_total counter
dnsreg_store_renewals_total{zone="svc.internal."} 22
# HELP dnsreg_store_snapshots_total Writes of the snapshot file.
# TYPE dnsreg_store_snapshots_total counter
dnsreg_store_snapshots_total{result="failed",zone="svc.internal."} 20
dnsreg_store_snapshots_total{result="written",zone="svc.internal."} 19
# HELP dnsreg_store_state 1 for the state that the view is in: synced; stale and answered; lost and not answered.
# TYPE dnsreg_store_state gauge
dnsreg_store_state{state="lost",zone="svc.internal."} 0
dnsreg_store_state{state="stale",zone="svc.internal."} 0
dnsreg_store_state{state="synced",zone="svc.internal."} 1
# HELP dnsreg_store_synced 1 if the view is the store's content, 0 if it is older.
# TYPE dnsreg_store_synced gauge
dnsreg_store_synced{zone="svc.internal."} 1
# HELP dnsreg_tombstones Deregistered ids that are remembered.
# TYPE dnsreg_tombstones gauge
dnsreg_tombstones{zone="svc.internal."} 17
`

// names returns the names of the metrics that a text has help for.
func names(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[1] == "HELP" {
			all = append(all, fields[2])
		}
	}
	return all
}

func TestMetrics(t *testing.T) {
	registry, err := metrics.NewRegistry(sources(inMemory()))
	if err != nil {
		t.Fatal(err)
	}
	if err := testutil.GatherAndCompare(registry, strings.NewReader(ours+histogram()), names(ours+histogram())...); err != nil {
		t.Error(err)
	}
	gathered, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, family := range gathered {
		if strings.HasPrefix(family.GetName(), "dnsreg_") {
			count++
		}
	}
	if want := len(names(ours+histogram())) + 1; count != want { // and dnsreg_build_info
		t.Errorf("%d metrics of dnsreg's own, want %d", count, want)
	}
}

func TestNamesFollowTheConventions(t *testing.T) {
	for _, s := range []metrics.Store{inMemory(), inRedis()} {
		registry, err := metrics.NewRegistry(sources(s))
		if err != nil {
			t.Fatal(err)
		}
		problems, err := testutil.GatherAndLint(registry)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestHandler(t *testing.T) {
	page := scrape(t, sources(inMemory()))
	for _, want := range []string{
		`dnsreg_build_info{goversion="go1.`, `version="v1.2.3"} 1`, "\ngo_goroutines ", "\nprocess_start_time_seconds ",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
}

// TestHandlerReadsNothingBefore holds that a handler can be made before the parts are.
func TestHandlerReadsNothingBefore(t *testing.T) {
	if _, err := metrics.Handler(metrics.Sources{}); err != nil {
		t.Error(err)
	}
}

// scrape returns the page of sources.
func scrape(t testing.TB, s metrics.Sources) string {
	t.Helper()
	handler, err := metrics.Handler(s)
	if err != nil {
		t.Fatal(err)
	}
	reply := httptest.NewRecorder()
	handler.ServeHTTP(reply, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	body, err := io.ReadAll(reply.Body)
	if err != nil || reply.Code != http.StatusOK {
		t.Fatalf("status %d, %v", reply.Code, err)
	}
	return string(body)
}
