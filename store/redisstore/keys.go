package redisstore

import (
	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// format is the version of the keys, the records' canonical form, the hash in a lease and the folding of ids.
const format = "1"

// keys are the names of a zone's keys. They share one hash tag, so that they lie in one slot of a Cluster and a script
// may change them together.
type keys struct {
	base string
	meta string // HASH: format, epoch, home, rev, base, tick, hold_since, restored, restoring, slots, retention, reaper, reaper_until
	log  string // ZSET: service → revision of its last change
}

func newKeys(prefix, zone string) keys {
	base := prefix + ":{" + zone + "}:"
	return keys{base: base, meta: base + "meta", log: base + "log"}
}

// rec names the HASH of a service's records: key → canonical form.
func (k keys) rec(service store.Service) string { return k.base + "rec:" + string(service) }

// ops names the HASH of a service's overlays: key → overlay text.
func (k keys) ops(service store.Service) string { return k.base + "ops:" + string(service) }

// lease names the STRING that is an instance's lease, its expiry the lease's end.
func (k keys) lease(n name) string { return k.base + "lease:" + string(n.service) + ":" + n.key }

// tomb names the STRING that says that an instance was deregistered.
func (k keys) tomb(n name) string { return k.base + "tomb:" + string(n.service) + ":" + n.key }

// name tells instances apart: the service and the id's key.
type name struct {
	service store.Service
	key     string
}

func nameOf(service store.Service, id string) name { return name{service, dnssd.Fold(id)} }
