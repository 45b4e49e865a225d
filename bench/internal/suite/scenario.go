// Package suite is what is measured: which servers, asked for what, in which order, and how the figures are to compare.
package suite

import (
	"cmp"
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
	Rate     int // queries a second, 0 for as many as are answered
	Window   int // queries that wait for their reply at a time where the server is saturated
	Cores    int // that the server may use; with 2 the load shares them
	Subjects []Subject
}

// How many queries wait for their reply at a time, by default, over TCP, and where NSD takes a millisecond for each.
const (
	window      = 1000
	tcpWindow   = 200
	smallWindow = 50
)

// All returns every scenario. large is how many services the largest zone has.
func All(large int) []Scenario {
	return slices.Concat(oneCore(), twoCores(), sizes(), growth(large), changes())
}

var peers = [...]Subject{DNSReg, Knot, NSD}

// oneCore is what is asked of 1,000 services of 5 instances.
func oneCore() []Scenario {
	with := func(more ...Subject) []Subject { return append(slices.Clone(peers[:]), more...) }
	list := []Scenario{
		{Name: "srv", Title: "SRV", Query: zone.Query{Kind: zone.SRV}, Subjects: with(Echo, EchoBatches)},
		{Name: "edns", Title: "SRV, EDNS", Query: zone.Query{Kind: zone.SRV, EDNS: true}, Subjects: with()},
		{Name: "cookie", Title: "SRV, EDNS, cookie", Query: zone.Query{Kind: zone.SRV, EDNS: true}, Cookies: true, Subjects: []Subject{DNSReg, KnotCookies, NSD}},
		{Name: "a", Title: "A", Query: zone.Query{Kind: zone.A}, Subjects: with()},
		{Name: "ptr", Title: "PTR", Query: zone.Query{Kind: zone.PTR}, Subjects: with()},
		{Name: "txt", Title: "TXT", Query: zone.Query{Kind: zone.TXT}, Subjects: with()},
		{Name: "nxdomain", Title: "NXDOMAIN, random names", Query: zone.Query{Kind: zone.Missing}, Subjects: with()},
		{Name: "rate-1k", Title: "SRV, 1,000 qps", Query: zone.Query{Kind: zone.SRV}, Rate: 1000, Subjects: with(Echo)},
		{Name: "rate-20k", Title: "SRV, 20,000 qps", Query: zone.Query{Kind: zone.SRV}, Rate: 20_000, Subjects: with(Echo)},
		{Name: "rate-50k", Title: "SRV, 50,000 qps", Query: zone.Query{Kind: zone.SRV}, Rate: 50_000, Subjects: with(Echo)},
		{Name: "rate-100k", Title: "SRV, 100,000 qps", Query: zone.Query{Kind: zone.SRV}, Rate: 100_000, Subjects: with(Echo)},
		{Name: "tcp", Title: "SRV, TCP", Query: zone.Query{Kind: zone.SRV}, TCP: true, Subjects: with()},
	}
	return in("core", 1, zone.Zone{Services: 1000, Instances: 5}, list...)
}

// twoCores is what the server reaches when it has every core, and the load too.
func twoCores() []Scenario {
	return in("two", 2, zone.Zone{Services: 1000, Instances: 5},
		Scenario{Name: "two-udp", Title: "SRV, two cores", Query: zone.Query{Kind: zone.SRV}, Subjects: peers[:]},
		Scenario{Name: "two-tcp", Title: "SRV, TCP, two cores", Query: zone.Query{Kind: zone.SRV}, TCP: true, Subjects: peers[:]},
	)
}

// sizes is larger services: over UDP their replies are truncated.
func sizes() []Scenario {
	udp := Scenario{Query: zone.Query{Kind: zone.SRV, EDNS: true}, Subjects: peers[:]}
	tcp := Scenario{Query: zone.Query{Kind: zone.SRV}, TCP: true, Subjects: peers[:]}
	slow := udp
	slow.Window = smallWindow
	named := func(s Scenario, name, title string) Scenario {
		s.Name, s.Title = name, title
		return s
	}
	return slices.Concat(
		in("sizes", 1, zone.Zone{Services: 1000, Instances: 50},
			named(udp, "udp-50", "SRV, 50 instances, truncated"), named(tcp, "tcp-50", "SRV, 50 instances, TCP")),
		in("sizes", 1, zone.Zone{Services: 50, Instances: 1000},
			named(slow, "udp-1000", "SRV, 1,000 instances, truncated")), // dnsperf takes no reply of 50 KiB over TCP
	)
}

// growth is many services beside few.
func growth(large int) []Scenario {
	few := Scenario{Name: "few", Title: "SRV, 1,000 services of 10", Query: zone.Query{Kind: zone.SRV}, Subjects: peers[:]}
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
		Scenario{Name: "changes", Title: "SRV, 1,000 changes/s", Query: zone.Query{Kind: zone.SRV}, Subjects: []Subject{Quiet, Changing}})
}

// in gives scenarios their group, cores, zone and, where they have none, window.
func in(group string, cores int, z zone.Zone, list ...Scenario) []Scenario {
	for i := range list {
		list[i].Group, list[i].Cores, list[i].Zone = group, cores, z
		list[i].Window = cmp.Or(list[i].Window, window)
	}
	return list
}
