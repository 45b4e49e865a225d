// Package suite is what is measured: which servers, asked for what, in which order, and how the figures are to compare.
package suite

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/dnsreg/dnsreg/bench/internal/zone"
)

// Subject is a kind of server under test.
type Subject string

// The subjects.
const (
	DNSReg      Subject = "dnsreg"
	Knot        Subject = "Knot"
	KnotCookies Subject = "Knot with cookies" // its module for them costs something even without one
	NSD         Subject = "NSD"
	Echo        Subject = "Go echo"            // plain ReadFromUDPAddrPort and WriteToUDPAddrPort, no DNS
	EchoBatches Subject = "Go batches"         // recvmmsg and sendmmsg of 343 octets, no DNS
	Quiet       Subject = "embedded"           // store, server and profiles in one process
	Changing    Subject = "embedded, changing" // the same under changes
)

// ChangeRate is how often a second content changes in Changing.
const ChangeRate = 1000

// Scenario is one way to ask some subjects.
type Scenario struct {
	Name  string // for -only
	Group string // the scenarios of a group are measured in turn, those of different groups one after another
	Title string

	Zone     zone.Zone
	Query    zone.Query
	Cookies  bool // the query has the client's cookie and the one that the server gave it
	TCP      bool
	Dnsperf  bool // asked by dnsperf
	Rate     int  // queries a second, 0 for as many as are answered
	Window   int  // queries that wait for their reply at a time where the server is saturated
	Cores    int  // that the server may use; with 2 the load shares them
	Subjects []Subject
}

// Saturates reports whether the load is to keep the server busy all the time.
func (s Scenario) Saturates() bool { return s.Rate == 0 }

// How many queries wait for their reply at a time: what fits into the receive buffer that Linux gives a socket by
// default, which is what Knot has; the window that is to lose nothing; one for two cores; and one for where NSD takes a
// millisecond for each query.
const (
	window      = 224
	wideWindow  = 1000
	twoWindow   = 500
	smallWindow = 50
)

// All returns every scenario. large is how many services the largest zone has.
func All(large int) []Scenario {
	return slices.Concat(oneCore(), twoCores(), sizes(), growth(large), changes())
}

// against returns the servers of DNS, and more.
func against(more ...Subject) []Subject { return append([]Subject{DNSReg, Knot, NSD}, more...) }

// Queries for the addresses of a service, as most are asked.
func srv() zone.Query     { return zone.Query{Kind: zone.SRV} }
func srvEDNS() zone.Query { return zone.Query{Kind: zone.SRV, EDNS: true} }

// oneCore is what is asked of 1,000 services of 5 instances.
func oneCore() []Scenario {
	list := []Scenario{
		{Name: "srv", Title: "SRV", Query: srv(), Subjects: against(Echo, EchoBatches)},
		{Name: "edns", Title: "SRV, EDNS", Query: srvEDNS(), Subjects: against()},
		{Name: "cookie", Title: "SRV, EDNS, cookie", Query: srvEDNS(), Cookies: true, Subjects: []Subject{DNSReg, KnotCookies, NSD}},
		{Name: "a", Title: "A", Query: zone.Query{Kind: zone.A}, Subjects: against()},
		{Name: "ptr", Title: "PTR", Query: zone.Query{Kind: zone.PTR}, Subjects: against()},
		{Name: "txt", Title: "TXT", Query: zone.Query{Kind: zone.TXT}, Subjects: against()},
		{Name: "nxdomain", Title: "NXDOMAIN, random names", Query: zone.Query{Kind: zone.Missing}, Subjects: against()},
		{Name: "tcp", Title: "SRV, TCP", Query: srv(), TCP: true, Subjects: against()},
		{Name: "window", Title: "SRV, window of 1,000", Query: srv(), Window: wideWindow, Subjects: against()},
		{Name: "dnsperf", Title: "SRV, dnsperf", Query: srv(), Dnsperf: true, Subjects: against()},
		{Name: "dnsperf-tcp", Title: "SRV, TCP, dnsperf", Query: srv(), Dnsperf: true, TCP: true, Subjects: against()},
	}
	for _, rate := range []int{1000, 20_000, 50_000, 100_000} {
		list = append(list, Scenario{
			Name: fmt.Sprintf("rate-%dk", rate/1000), Title: "SRV, " + count(rate) + " qps",
			Query: srv(), Rate: rate, Subjects: against(Echo),
		})
	}
	return in("core", 1, zone.Zone{Services: 1000, Instances: 5}, list...)
}

// twoCores is what the server reaches when it has every core, and the load too.
func twoCores() []Scenario {
	return in("two", 2, zone.Zone{Services: 1000, Instances: 5},
		Scenario{Name: "two-udp", Title: "SRV, two cores", Query: srv(), Window: twoWindow, Subjects: against()},
		Scenario{Name: "two-tcp", Title: "SRV, TCP, two cores", Query: srv(), TCP: true, Subjects: against()},
	)
}

// sizes is larger services: over UDP their replies are truncated.
func sizes() []Scenario {
	return slices.Concat(
		in("sizes", 1, zone.Zone{Services: 1000, Instances: 50},
			Scenario{Name: "udp-50", Title: "SRV, 50 instances", Query: srvEDNS(), Subjects: against()},
			Scenario{Name: "tcp-50", Title: "SRV, 50 instances, TCP", Query: srv(), TCP: true, Subjects: against()}),
		in("sizes", 1, zone.Zone{Services: 50, Instances: 1000},
			Scenario{Name: "udp-1000", Title: "SRV, 1,000 instances", Query: srvEDNS(), Window: smallWindow, Subjects: against()},
			Scenario{Name: "tcp-1000", Title: "SRV, 1,000 instances, TCP", Query: srv(), TCP: true, Window: smallWindow, Subjects: against()}),
	)
}

// growth is many services beside few.
func growth(large int) []Scenario {
	few := Scenario{Name: "few", Title: "SRV, 1,000 services of 10", Query: srv(), Subjects: against()}
	many := few
	many.Name, many.Title = "many", "SRV, "+count(large)+" services of 10"
	return slices.Concat(
		in("growth", 1, zone.Zone{Services: 1000, Instances: 10}, few),
		in("growth", 1, zone.Zone{Services: large, Instances: 10}, many),
	)
}

// changes is the same server, quiet and under changes of content.
func changes() []Scenario {
	return in("changes", 1, zone.Zone{Services: 1000, Instances: 5},
		Scenario{Name: "changes", Title: "SRV, quiet or changing", Query: srv(), Subjects: []Subject{Quiet, Changing}})
}

// in gives scenarios their group, cores, zone and, where they have none, window.
func in(group string, cores int, z zone.Zone, list ...Scenario) []Scenario {
	for i := range list {
		list[i].Group, list[i].Cores, list[i].Zone = group, cores, z
		list[i].Window = cmp.Or(list[i].Window, window)
	}
	return list
}
