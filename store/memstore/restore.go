package memstore

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

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
	snapshots := make([]*store.Snapshot, 0, len(services))
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

// saved is what a snapshot file holds.
type saved struct {
	revision store.Revision
	services []*store.Snapshot
	tombs    []savedTomb
	clean    bool
}

var errSnapshot = errors.New("not a whole snapshot of this zone")

// maxLine bounds a line: a canonical form is at most some tens of thousands of octets.
const maxLine = 1 << 20

// readSnapshot reads a whole file, or returns why it is none.
func readSnapshot(r io.Reader, zone string) (*saved, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	in := reader{hash: sha256.New(), known: make(map[store.Service]bool)}
	for n := 1; lines.Scan(); n++ {
		var err error
		switch line := lines.Text(); {
		case n == 1:
			err = in.head(line, zone)
		case in.ended:
			err = in.mark(line)
		default:
			err = in.line(line)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if !in.ended {
		return nil, fmt.Errorf("%w: it has no end", errSnapshot)
	}
	return &in.saved, nil
}

// reader reads the lines of a snapshot file.
type reader struct {
	saved
	hash  hash.Hash // of the lines so far
	known map[store.Service]bool
	ended bool
}

func (r *reader) take(line string) {
	_, _ = io.WriteString(r.hash, line+"\n") // a hash takes whatever there is
}

func (r *reader) head(line, zone string) error {
	want := fmt.Sprintf("%s %d %q ", snapshotHead, snapshotForm, zone)
	revision, ok := strings.CutPrefix(line, want)
	if !ok {
		return fmt.Errorf("%w: it begins with %.80q, not with %q", errSnapshot, line, want)
	}
	r.take(line)
	return r.number(revision, (*uint64)(&r.revision))
}

// line reads a line between the first and the last.
func (r *reader) line(line string) error {
	kind, rest, _ := strings.Cut(line, " ")
	var err error
	switch kind {
	case "s":
		err = r.service(rest)
	case "i":
		err = r.instance(rest)
	case "t":
		err = r.tomb(rest)
	case snapshotEnd:
		r.ended = true
		if rest != hex.EncodeToString(r.hash.Sum(nil)) {
			err = fmt.Errorf("%w: its checksum is wrong", errSnapshot)
		}
	default:
		err = fmt.Errorf("%w: %.20q is unknown", errSnapshot, kind)
	}
	r.take(line)
	return err
}

func (r *reader) mark(line string) error {
	if line+"\n" != snapshotClean || r.clean {
		return fmt.Errorf("%w: there is more behind its end", errSnapshot)
	}
	r.clean = true
	return nil
}

func (r *reader) service(s string) error {
	text, revision, _ := strings.Cut(s, " ")
	service, err := store.ParseService(text)
	if err != nil || string(service) != text || r.known[service] {
		return fmt.Errorf("%w: service %.80q", errSnapshot, text)
	}
	r.known[service] = true
	snapshot := &store.Snapshot{Service: service}
	r.services = append(r.services, snapshot)
	err = r.number(revision, (*uint64)(&snapshot.Revision))
	if err == nil && snapshot.Revision > r.revision {
		err = fmt.Errorf("%w: service %q is newer than the whole", errSnapshot, text)
	}
	return err
}

func (r *reader) instance(s string) error {
	overlay, record, _ := strings.Cut(s, " ")
	if len(r.services) == 0 {
		return fmt.Errorf("%w: an instance without a service", errSnapshot)
	}
	in, err := store.ParseCanonical(record)
	if err != nil {
		return err
	}
	live := store.Live{Instance: in}
	var form savedOverlay
	if err := json.Unmarshal([]byte(overlay), &form); err != nil {
		return fmt.Errorf("overlay of %q: %w", in.ID, err)
	}
	live.Overlay = store.Overlay(form)
	snapshot := r.services[len(r.services)-1]
	if err := checkOverlay(snapshot.Service, in.ID, live.Overlay); err != nil {
		return err
	}
	if n := len(snapshot.Instances); n > 0 && cmp.Compare(snapshot.Instances[n-1].Key(), live.Key()) >= 0 {
		return fmt.Errorf("%w: %q is out of order", errSnapshot, in.ID)
	}
	snapshot.Instances = append(snapshot.Instances, live)
	return nil
}

func (r *reader) tomb(s string) error {
	fields := strings.SplitN(s, " ", 4)
	if len(fields) != 4 {
		return fmt.Errorf("%w: a tombstone needs four fields", errSnapshot)
	}
	var left, life uint64
	key, err := strconv.Unquote(fields[3])
	err = errors.Join(err, r.number(fields[1], &left), r.number(fields[2], &life))
	if err == nil {
		err = store.CheckName(store.Service(fields[0]), key)
	}
	const most = uint64(idle / time.Millisecond / 2) // which still is a time.Duration
	if err != nil || left > life || life > most {
		return errors.Join(fmt.Errorf("%w: tombstone %.80q", errSnapshot, s), err)
	}
	r.tombs = append(r.tombs, savedTomb{
		name: nameOf(store.Service(fields[0]), key),
		left: time.Duration(left) * time.Millisecond,
		life: time.Duration(life) * time.Millisecond,
	})
	return nil
}

// number reads what was written with %d.
func (r *reader) number(s string, value *uint64) error {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return fmt.Errorf("%w: number %.30q", errSnapshot, s)
	}
	*value = n
	return nil
}
