package memstore

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

// The snapshot file is lines of text:
//
//	dnsreg-snapshot 1 "svc.internal." 17953549625      version of the form, zone, revision
//	s _web._tcp 17953549625                            a service and its revision
//	i {"weight":5} {"v":1,"id":"web-1",…}              an instance of it: overlay, canonical form
//	t _web._tcp 599000 600000 "web-2"                  a tombstone: what is left of its life and its life in ms, key
//	end 0a1b…                                          SHA-256 of all lines above
//	clean                                              nothing has changed since; there only after a clean stop
const (
	snapshotHead  = "dnsreg-snapshot"
	snapshotForm  = 1
	snapshotEnd   = "end"
	snapshotClean = "clean\n"
)

// savedOverlay is the form of an overlay in the snapshot file.
type savedOverlay struct {
	State  *store.State `json:"state,omitempty"`
	Weight *uint16      `json:"weight,omitempty"`
}

// savedTomb is a tombstone as it is saved.
type savedTomb struct {
	name       name
	left, life time.Duration
}

// cut is the content of a store at one instant, but for the deadlines of leases.
type cut struct {
	view  *store.View
	tombs []savedTomb
}

func (s *Store) cut() cut {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now().at
	c := cut{view: s.View(), tombs: make([]savedTomb, 0, len(s.tombs.queue))}
	for _, stone := range s.tombs.queue {
		if stone.due > now {
			c.tombs = append(c.tombs, savedTomb{stone.name, stone.due - now, stone.life})
		}
	}
	return c
}

// sum tells contents apart well enough to know when there is nothing new to save: every new tombstone ends later than
// the one that it replaces.
type sum struct {
	revision store.Revision
	tombs    int
	ends     time.Duration
}

func (s *Store) sum() sum {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := sum{revision: s.View().Revision(), tombs: len(s.tombs.queue)}
	for _, stone := range s.tombs.queue {
		now.ends += stone.due
	}
	return now
}

// snapshots keeps the snapshot file of a store. It belongs to Restore, then to Run.
type snapshots struct {
	path    string // empty: no file is kept
	every   time.Duration
	clean   bool // the file says so
	saved   sum  // what the file holds
	failing bool // the last save failed
}

// keep begins to save the store to its file, until the returned function is called, which saves it for the last time.
func (s *Store) keep(ctx context.Context) (stop func()) {
	if s.snapshots.path == "" {
		return func() {}
	}
	if err := s.snapshots.taint(); err != nil {
		s.logger.Error("snapshot file not marked as in use", "error", err)
	}
	var saving sync.WaitGroup
	saving.Go(func() { s.saveEvery(ctx) })
	return func() {
		saving.Wait()
		s.save(snapshotClean)
	}
}

func (s *Store) saveEvery(ctx context.Context) {
	tick := time.NewTicker(s.snapshots.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s.snapshots.failing || s.sum() != s.snapshots.saved {
			s.save("")
		}
	}
}

// save writes the file anew, with mark behind its end, and tells of it when that begins or ceases to fail.
func (s *Store) save(mark string) {
	keeper := &s.snapshots
	sum := s.sum() // before the cut: what changes between the two is saved once more
	err := replaceFile(keeper.path, func(w io.Writer) error { return s.cut().write(w, s.rules.Zone, mark) })
	switch {
	case err != nil && !keeper.failing:
		s.logger.Error("snapshot not saved", "error", err)
	case err == nil && keeper.failing:
		s.logger.Info("snapshot saved again", "file", keeper.path)
	}
	keeper.failing = err != nil
	if err == nil {
		keeper.saved, keeper.clean = sum, mark == snapshotClean
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.counters.SaveErrors++
	} else {
		s.counters.Saves++
	}
}

// taint takes the mark of a clean stop off the file, and returns when that is on disk.
func (k *snapshots) taint() error {
	if !k.clean {
		return nil
	}
	f, err := os.OpenFile(k.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		err = f.Truncate(info.Size() - int64(len(snapshotClean)))
	}
	k.clean = err != nil
	return errors.Join(err, f.Sync(), f.Close())
}

// replaceFile has write make the file at path anew: whoever reads it, now or after a crash, sees all of the old one or
// all of the new one. What write writes is buffered.
func replaceFile(path string, write func(io.Writer) error) error {
	temporary := path + ".tmp"
	f, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(f, 1<<16)
	err = write(buffered)
	if err == nil {
		err = buffered.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes a rename in a folder last.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// write writes the file's lines, and mark behind them.
func (c cut) write(w io.Writer, zone, mark string) error {
	hash := sha256.New()
	lines := io.MultiWriter(w, hash)
	_, err := fmt.Fprintf(lines, "%s %d %q %d\n", snapshotHead, snapshotForm, zone, c.view.Revision())
	if err != nil {
		return err
	}
	for _, snapshot := range slices.SortedFunc(c.view.All(), byRevision) {
		if err := writeService(lines, snapshot); err != nil {
			return err
		}
	}
	for _, t := range c.tombs {
		_, err := fmt.Fprintf(lines, "t %s %d %d %q\n", t.name.service, t.left.Milliseconds(), t.life.Milliseconds(), t.name.key)
		if err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(w, "%s %x\n%s", snapshotEnd, hash.Sum(nil), mark)
	return err
}

func byRevision(a, b *store.Snapshot) int { return cmp.Compare(a.Revision, b.Revision) }

func writeService(w io.Writer, snapshot *store.Snapshot) error {
	if _, err := fmt.Fprintf(w, "s %s %d\n", snapshot.Service, snapshot.Revision); err != nil {
		return err
	}
	for i := range snapshot.Instances {
		live := &snapshot.Instances[i]
		overlay, err := json.Marshal(savedOverlay(live.Overlay))
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "i %s %s\n", overlay, live.Canonical()); err != nil {
			return err
		}
	}
	return nil
}
