package memstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/dnsreg/dnsreg/store"
)

// lostChanges is how many changes may have been served after a snapshot that was not the last: 30,000 a second for half
// a minute, and some.
const lostChanges = 1 << 20

// Restore fills a store that nobody has used yet from Config.SnapshotFile, if there is one: instances with their
// overlays, each with a whole ttl from now on, tombstones with what was left of them, and a revision above all that were
// ever served, or that of the file if nothing has changed since. Instances that the rules no longer allow are left out.
//
// A file that is damaged, or another zone's or version's, is renamed to end in .damaged and the store stays empty; the
// log says so. An error is returned where the file cannot be kept at all.
func (s *Store) Restore() error {
	path := s.snapshots.path
	if path == "" {
		return nil
	}
	if s.View().Instances() > 0 {
		return errors.New("memstore: restore: the store is in use")
	}
	if err := checkWritable(path); err != nil {
		return fmt.Errorf("keep snapshots: %w", err)
	}
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("restore snapshot: %w", err)
	}
	saved, err := readSnapshot(f, s.rules.Zone)
	err = errors.Join(err, f.Close())
	if err != nil {
		aside := path + ".damaged"
		s.logger.Error("snapshot set aside: starting empty", "file", aside, "error", err)
		return os.Rename(path, aside)
	}
	s.snapshots.clean = saved.clean
	left := s.adopt(saved)
	view := s.View()
	s.logger.Info("snapshot restored", "file", path, "services", view.Services(), "instances", view.Instances(),
		"tombstones", len(saved.tombs), "refused", left, "revision", view.Revision(), "clean", saved.clean)
	return s.snapshots.taint()
}

// checkWritable returns an error where replaceFile could not work.
func checkWritable(path string) error {
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// adopt makes what was saved the store's content and returns how many instances the rules refused.
func (s *Store) adopt(saved *saved) (refused int) {
	services, refused := s.allow(saved.services)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.adoptTombs(saved.tombs, now)
	revision := saved.revision
	if !saved.clean || refused > 0 {
		revision = max(s.View().Revision(), saved.revision+lostChanges)
	}
	snapshots, instances := make([]*store.Snapshot, 0, len(services)), 0
	for _, service := range services {
		instances += len(service.Instances)
	}
	s.leases = make(map[name]*lease, instances)
	for _, service := range services {
		for i, live := range service.Instances {
			s.open(nameOf(service.Service, live.ID), service.etags[i], live.TTL, now)
		}
		if revision != saved.revision {
			service.Revision = revision
		}
		snapshots = append(snapshots, service.Snapshot)
	}
	slices.SortFunc(snapshots, byRevision)
	s.log.floor = revision // what changed before is known to nobody
	s.publish(revision, now, snapshots...)
	return refused
}

func (s *Store) adoptTombs(tombs []savedTomb, now moment) {
	for _, t := range tombs {
		s.tombs.set(t.name, now.at, t.life)
		s.tombs.queue.move(s.tombs.byName[t.name], now.at+t.left)
	}
	s.wakeBy(s.tombs.queue.first())
}

// allowed is a service with the etags of its instances.
type allowed struct {
	*store.Snapshot
	etags []string
}

// allow returns the services with the instances that the rules allow, but for those that have none, and how many
// instances the rules refuse. It uses all processors: it takes most of the time of a start.
func (s *Store) allow(services []*store.Snapshot) (all []allowed, refused int) {
	all = make([]allowed, len(services))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, snapshot := range services {
		group.Go(func() error {
			all[i] = s.allowService(snapshot)
			return nil
		})
	}
	_ = group.Wait() // none of them fails
	for i, snapshot := range services {
		refused += len(snapshot.Instances) - len(all[i].Instances)
	}
	return slices.DeleteFunc(all, func(a allowed) bool { return len(a.Instances) == 0 }), refused
}

func (s *Store) allowService(snapshot *store.Snapshot) allowed {
	a := allowed{Snapshot: &store.Snapshot{Service: snapshot.Service, Revision: snapshot.Revision}}
	a.Instances = make([]store.Live, 0, len(snapshot.Instances))
	for _, live := range snapshot.Instances {
		in, _, err := s.rules.Normalize(snapshot.Service, live.Instance)
		if err != nil {
			s.logger.Warn("saved instance refused", "service", snapshot.Service, "id", live.ID, "error", err)
			continue
		}
		a.Instances = append(a.Instances, store.Live{Instance: in, Overlay: live.Overlay})
		a.etags = append(a.etags, in.ETag())
	}
	return a
}
