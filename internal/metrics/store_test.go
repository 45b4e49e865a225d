package metrics_test

import (
	"strings"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/internal/metrics"
	"github.com/dnsreg/dnsreg/store"
)

// inRedis is a store in Redis.
func inRedis() metrics.Store {
	s := counted()
	s.Redis = &metrics.Redis{
		Age: 250 * time.Millisecond, Failures: 31, Recovering: true, ReadOnly: true, Broken: 32,
		Bell: "down", Bells: 33, Missed: 34, Visible: 1500 * time.Microsecond,
		Polls: 35, Troubles: 42, Loads: 36, Compares: 37, Recoveries: 38,
		Reaper: "standby", Watched: 39, Checked: 40, Clamped: 41,
	}
	return s
}

// shows reports whether a page has a sample of the zone's store, which is given without the zone.
func shows(page, sample string) bool {
	name, value, _ := strings.Cut(sample, " ")
	labels, braced := strings.CutSuffix(name, "}")
	if braced {
		return strings.Contains(page, "\ndnsreg_"+labels+`,zone="svc.internal."} `+value+"\n")
	}
	return strings.Contains(page, "\ndnsreg_"+name+`{zone="svc.internal."} `+value+"\n")
}

func TestRedis(t *testing.T) {
	page := scrape(t, sources(inRedis()))
	for _, want := range []string{
		"store_registrations_total 21", "store_renewals_total 22", "expiries_total 13", "deregistrations_total 14",
		"instances 15", "services 16", "revision 18", "store_synced 1",
		"store_last_sync_age_seconds 0.25", "store_failures_total 31", "store_recovering 1", "store_read_only 1",
		"store_broken_records_total 32", "store_bells_total 33", "store_missed_bells_total 34",
		"store_change_visible_seconds 0.0015", "store_polls_total 35", "store_poll_failures_total 42", "store_loads_total 36", "store_compares_total 37",
		"store_recoveries_total 38", "store_watched_services 39", "store_leases_checked_total 40", "store_leases_clamped_total 41",
		`store_bell{state="off"} 0`, `store_bell{state="down"} 1`, `store_bell{state="up"} 0`,
		`store_reaper{state="off"} 0`, `store_reaper{state="standby"} 1`, `store_reaper{state="active"} 0`,
	} {
		if !shows(page, want) {
			t.Errorf("the page does not show dnsreg_%s", want)
		}
	}
	for _, not := range []string{"dnsreg_tombstones", "dnsreg_store_snapshots_total"} {
		if strings.Contains(page, not) {
			t.Errorf("the page shows %s, which a store in Redis has not", not)
		}
	}
}

// TestMemoryShowsNothingOfRedis holds that nobody is alarmed about a bell that the store does not have.
func TestMemoryShowsNothingOfRedis(t *testing.T) {
	page := scrape(t, sources(inMemory()))
	for _, not := range []string{"store_bell", "store_reaper", "store_polls", "store_last_sync", "store_recovering"} {
		if strings.Contains(page, "dnsreg_"+not) {
			t.Errorf("the page shows dnsreg_%s", not)
		}
	}
}

// TestZonesAreToldApart holds that each zone's store has its samples, also where they are of different kinds.
func TestZonesAreToldApart(t *testing.T) {
	other := inRedis()
	other.Zone, other.Instances = "lab.internal.", 99
	all := sources(inMemory())
	all.Stores = func() []metrics.Store { return []metrics.Store{inMemory(), other} }
	page := scrape(t, all)
	for _, want := range []string{
		`instances{zone="svc.internal."} 15`, `instances{zone="lab.internal."} 99`, `tombstones{zone="svc.internal."} 17`,
		`store_bell{state="down",zone="lab.internal."} 1`, `store_state{state="synced",zone="lab.internal."} 1`,
	} {
		if !strings.Contains(page, "\ndnsreg_"+want+"\n") {
			t.Errorf("the page does not show dnsreg_%s", want)
		}
	}
	for _, not := range []string{`tombstones{zone="lab`, `store_bell{state="down",zone="svc`} {
		if strings.Contains(page, not) {
			t.Errorf("the page shows %s", not)
		}
	}
}

func TestNeverLooked(t *testing.T) {
	s := inRedis()
	s.Redis.Age = -1
	if page := scrape(t, sources(s)); strings.Contains(page, "store_last_sync_age_seconds") {
		t.Error("the page shows an age of what has never been")
	}
}

func TestStoreStates(t *testing.T) {
	for freshness, synced := range map[store.Freshness]string{store.Synced: "1", store.Stale: "0", store.Lost: "0"} {
		s := inMemory()
		s.Freshness = freshness
		page := scrape(t, sources(s))
		for _, want := range []string{"store_synced " + synced, `store_state{state="` + freshness.String() + `"} 1`} {
			if !shows(page, want) {
				t.Errorf("%v: the page does not show dnsreg_%s", freshness, want)
			}
		}
		if n := strings.Count(page, "\ndnsreg_store_state{"); n != 3 {
			t.Errorf("%v: %d states are shown, want 3", freshness, n)
		}
	}
}
