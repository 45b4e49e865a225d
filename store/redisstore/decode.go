package redisstore

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// decode makes the snapshot of a service. What cannot be read is left out, counted and logged: the rest is good.
func (m *mirror) decode(c change) *store.Snapshot {
	snapshot := &store.Snapshot{Service: c.service, Revision: c.revision}
	if canonical, err := dnssd.ParseService(string(c.service)); err != nil || canonical != string(c.service) {
		m.broken(c.service, "", fmt.Errorf("not a service in canonical form"))
		return snapshot
	}
	if len(c.records) == 0 {
		return snapshot
	}
	overlays := make(map[string]string, len(c.overlay)/2)
	for pair := range slices.Chunk(c.overlay, 2) {
		overlays[text(pair, 0)] = text(pair, 1)
	}
	snapshot.Instances = make([]store.Live, 0, len(c.records)/2)
	for pair := range slices.Chunk(c.records, 2) {
		key := text(pair, 0)
		live, err := decodeLive(key, text(pair, 1), overlays[key])
		if err != nil {
			m.broken(c.service, key, err)
			continue
		}
		snapshot.Instances = append(snapshot.Instances, live)
	}
	slices.SortFunc(snapshot.Instances, func(a, b store.Live) int { return strings.Compare(a.Key(), b.Key()) })
	return snapshot
}

func decodeLive(key, record, overlay string) (store.Live, error) {
	in, err := decodeStored(key, record)
	if err != nil || overlay == "" {
		return store.Live{Instance: in}, err
	}
	o, err := decodeOverlay(overlay)
	return store.Live{Instance: in, Overlay: o}, err
}

func (m *mirror) broken(service store.Service, key string, err error) {
	m.store.stats.broken.Add(1)
	m.store.logger.Error("a record cannot be read", "service", service, "id", key, "error", err)
}
