// Package zone is the zone that every server under test serves: so many services of so many instances, as registrations,
// as a master file and as queries.
package zone

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// Name is the zone's name in presentation form.
const Name = "svc.internal."

// TTL is the time to live of every instance's record, in seconds: the default of dnsreg.
const TTL = 5

// maxInstances is how many addresses 10.0.0.0/8 has.
const maxInstances = 1 << 24

// Zone says how many services there are and how many instances each of them has.
type Zone struct {
	Services, Instances int
}

// String returns both figures.
func (z Zone) String() string { return fmt.Sprintf("%d x %d", z.Services, z.Instances) }

// Validate reports figures that a zone cannot have.
func (z Zone) Validate() error {
	if z.Services < 1 || z.Instances < 1 || z.Services > 100_000 || z.Instances > 1000 || z.Services*z.Instances > maxInstances {
		return fmt.Errorf("zone of %s: 1 to 100000 services of 1 to 1000 instances, at most %d in all", z, maxInstances)
	}
	return nil
}

// Service returns the type of the i-th service. All have the same length.
func (z Zone) Service(i int) store.Service {
	return store.Service("_" + bare(i) + "._tcp")
}

// bare returns the i-th service's name without protocol, under which its hosts are.
func bare(i int) string { return fmt.Sprintf("s%05d", i) }

// id returns the j-th instance's id, which is its host label too.
func id(j int) string { return fmt.Sprintf("n%03d", j) }

// Instance returns the j-th instance of the i-th service, with an address of its own and a lease of a day.
func (z Zone) Instance(i, j int) store.Instance {
	n := i*z.Instances + j
	return store.Instance{
		ID:        id(j),
		Host:      id(j),
		Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})},
		Port:      8080,
		Weight:    store.DefaultWeight,
		TXT:       []string{fmt.Sprintf("node=%d", j)},
		TTL:       24 * time.Hour,
	}
}
