package dnsserver_test

import (
	"fmt"
	"testing"

	"github.com/dnsreg/dnsreg/store"
)

// BenchmarkTransfer takes a zone of 10,000 instances as a whole.
func BenchmarkTransfer(b *testing.B) {
	var snapshots []*store.Snapshot
	for i := range 1000 {
		snapshots = append(snapshots, many(b, store.Service(fmt.Sprintf("_service-%d._tcp", i)), 10))
	}
	s := newServer(b, newSource(snapshots...), transfers())
	query := pack(b, axfr())
	octets := 0
	b.ReportAllocs()
	for b.Loop() {
		octets = 0
		err := s.StreamTo(from(secondary), query, func(msg []byte) error {
			octets += len(msg)
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(octets)/10_000, "B/instance")
}

// BenchmarkJournal compares two views between which one instance of a service changed.
func BenchmarkJournal(b *testing.B) {
	for _, n := range []int{1, 10, 100, 800} {
		b.Run(fmt.Sprintf("instances=%d", n), func(b *testing.B) {
			src := newSource()
			s := newServer(b, src, transfers())
			states := []*store.Snapshot{many(b, "_big._tcp", n), many(b, "_big._tcp", n-1)}
			s.Look()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				src.set(states[i%2])
				s.Look()
				i++
			}
			steps, octets := s.Journal()
			b.ReportMetric(float64(octets)/float64(steps), "B/step")
		})
	}
}
