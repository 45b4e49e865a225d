package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dnsreg/dnsreg/store"
)

// Store is what the store of a zone has counted and the state that it is in, whatever its kind. Counters count since its
// start.
type Store struct {
	Zone            string // canonical
	Registrations   uint64
	Renewals        uint64
	Deregistrations uint64
	Expiries        uint64

	Instances int
	Services  int
	Revision  store.Revision
	Freshness store.Freshness

	Memory *Memory // of a store in memory, else nil
	Redis  *Redis  // of a store in Redis, else nil
}

// Memory is what only a store in memory has.
type Memory struct {
	Tombstones int
	Saves      uint64 // of the snapshot file
	SaveErrors uint64
}

// Redis is what only a store in Redis has.
type Redis struct {
	Age        time.Duration // since the last good look at Redis; negative before the first
	Failures   uint64        // calls that ended because Redis was out of reach
	Recovering bool
	ReadOnly   bool
	Broken     uint64 // records that could not be read

	Bell    string // one of BellStates
	Bells   uint64
	Missed  uint64
	Visible time.Duration // from the last bell to the view that shows the change

	Polls      uint64
	Troubles   uint64 // looks at Redis that failed
	Loads      uint64
	Compares   uint64
	Recoveries uint64

	Reaper  string // one of ReaperStates
	Watched int    // services whose leases this server watches
	Checked uint64
	Clamped uint64
}

// BellStates returns the states of a Redis store's bell.
func BellStates() []string { return []string{"off", "down", "up"} }

// ReaperStates returns the states of a Redis store's reaper.
func ReaperStates() []string { return []string{"off", "standby", "active"} }

func storeFamilies() []family {
	return []family{
		count("store_registrations_total", "Registrations that the store accepted.", func(s scrape) uint64 { return s.store.Registrations }),
		count("store_renewals_total", "Leases that were renewed.", func(s scrape) uint64 { return s.store.Renewals }),
		count("expiries_total", "Leases that ended for want of a heartbeat.", func(s scrape) uint64 { return s.store.Expiries }),
		count("deregistrations_total", "Instances that were deregistered.", func(s scrape) uint64 { return s.store.Deregistrations }),
		gauge("instances", "Live instances, draining ones included.", func(s scrape) float64 { return float64(s.store.Instances) }),
		gauge("services", "Services that have a live instance.", func(s scrape) float64 { return float64(s.store.Services) }),
		gauge("revision", "Revision of the zone, whose SOA serial it is modulo 2^32.", func(s scrape) float64 { return float64(s.store.Revision) }),
		gauge("store_synced", "1 if the view is the store's content, 0 if it is older.", func(s scrape) float64 {
			return truth(s.store.Freshness == store.Synced)
		}),
		states("store_state", "1 for the state that the view is in: synced; stale and answered; lost and not answered.", func(s scrape) (string, []string) {
			return s.store.Freshness.String(), []string{store.Synced.String(), store.Stale.String(), store.Lost.String()}
		}),
		only(memory, counts("store_snapshots_total", "Writes of the snapshot file.", func(s scrape, emit func(float64, ...string)) {
			emit(float64(s.store.Memory.Saves), "written")
			emit(float64(s.store.Memory.SaveErrors), "failed")
		}, "result")),
		only(memory, gauge("tombstones", "Deregistered ids that are remembered.", func(s scrape) float64 { return float64(s.store.Memory.Tombstones) })),
	}
}

// redisFamilies are shown for a store in Redis alone.
func redisFamilies() []family {
	families := append(linkFamilies(), append(bellFamilies(), reaperFamilies()...)...)
	for i, f := range families {
		families[i] = only(redis, f)
	}
	return families
}

// linkFamilies are about Redis and the data in it.
func linkFamilies() []family {
	return []family{
		only(looked, gauge("store_last_sync_age_seconds", "Time since the last good look at Redis; not there before the first.", func(s scrape) float64 {
			return s.store.Redis.Age.Seconds()
		})),
		count("store_failures_total", "Calls that ended because Redis was out of reach.", func(s scrape) uint64 { return s.store.Redis.Failures }),
		gauge("store_recovering", "1 while a loss of Redis' data is made good.", func(s scrape) float64 { return truth(s.store.Redis.Recovering) }),
		gauge("store_read_only", "1 if Redis denies this server to write.", func(s scrape) float64 { return truth(s.store.Redis.ReadOnly) }),
		count("store_broken_records_total", "Records in Redis that could not be read.", func(s scrape) uint64 { return s.store.Redis.Broken }),
		count("store_polls_total", "Looks at Redis' revision.", func(s scrape) uint64 { return s.store.Redis.Polls }),
		count("store_poll_failures_total", "Looks at Redis that failed.", func(s scrape) uint64 { return s.store.Redis.Troubles }),
		count("store_loads_total", "Loads of the whole zone.", func(s scrape) uint64 { return s.store.Redis.Loads }),
		count("store_compares_total", "Comparisons of the view with the whole change log.", func(s scrape) uint64 { return s.store.Redis.Compares }),
		count("store_recoveries_total", "Losses of Redis' data that were noticed.", func(s scrape) uint64 { return s.store.Redis.Recoveries }),
	}
}

func bellFamilies() []family {
	return []family{
		states("store_bell", "1 for the state of the bell, which tells of changes before the next look: off by configuration, down, up.", func(s scrape) (string, []string) {
			return s.store.Redis.Bell, BellStates()
		}),
		count("store_bells_total", "Notifications of changes that were heard.", func(s scrape) uint64 { return s.store.Redis.Bells }),
		count("store_missed_bells_total", "Changes that a look found and no bell had told.", func(s scrape) uint64 { return s.store.Redis.Missed }),
		gauge("store_change_visible_seconds", "Time from the last bell to the view that showed the change.", func(s scrape) float64 {
			return s.store.Redis.Visible.Seconds()
		}),
	}
}

func reaperFamilies() []family {
	return []family{
		states("store_reaper", "1 for the state of this server's reaper, which removes what has expired: off for want of rights, standby, active.", func(s scrape) (string, []string) {
			return s.store.Redis.Reaper, ReaperStates()
		}),
		gauge("store_watched_services", "Services whose leases this server watches as reaper.", func(s scrape) float64 { return float64(s.store.Redis.Watched) }),
		count("store_leases_checked_total", "Leases that this server looked at as reaper.", func(s scrape) uint64 { return s.store.Redis.Checked }),
		count("store_leases_clamped_total", "Leases that Redis' clock had made too long and that were shortened.", func(s scrape) uint64 { return s.store.Redis.Clamped }),
	}
}

// Whether a scrape has what a metric is about.
func memory(s scrape) bool { return s.store.Memory != nil }
func redis(s scrape) bool  { return s.store.Redis != nil }
func looked(s scrape) bool { return redis(s) && s.store.Redis.Age >= 0 }

// only returns a metric that has samples where has says so.
func only(has func(scrape) bool, f family) family {
	read := f.read
	f.read = func(s scrape, emit func(float64, ...string)) {
		if has(s) {
			read(s, emit)
		}
	}
	return f
}

// states returns a metric with one sample for each state that there is: 1 for the one that read returns, else 0.
func states(name, help string, read func(scrape) (state string, all []string)) family {
	f := counts(name, help, func(s scrape, emit func(float64, ...string)) {
		current, all := read(s)
		for _, state := range all {
			emit(truth(state == current), state)
		}
	}, "state")
	f.kind = prometheus.GaugeValue
	return f
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
