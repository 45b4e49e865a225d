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
	"strconv"
	"strings"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

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
	in := reader{hash: sha256.New(), newline: []byte("\n"), known: make(map[store.Service]bool)}
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
		in.take(lines.Bytes())
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
	hash    hash.Hash // of the lines so far
	newline []byte    // for hash: a conversion for each line would be an allocation for each line
	known   map[store.Service]bool
	ended   bool
}

// take adds a line to the hash, which takes whatever there is.
func (r *reader) take(line []byte) {
	_, _ = r.hash.Write(line)
	_, _ = r.hash.Write(r.newline)
}

func (r *reader) head(line, zone string) error {
	want := fmt.Sprintf("%s %d %q ", snapshotHead, snapshotForm, zone)
	revision, ok := strings.CutPrefix(line, want)
	if !ok {
		return fmt.Errorf("%w: it begins with %.80q, not with %q", errSnapshot, line, want)
	}
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
	snapshot := r.services[len(r.services)-1]
	if overlay != noOverlay {
		if live.Overlay, err = parseOverlay(snapshot.Service, in.ID, overlay); err != nil {
			return err
		}
	}
	if n := len(snapshot.Instances); n > 0 && cmp.Compare(snapshot.Instances[n-1].Key(), live.Key()) >= 0 {
		return fmt.Errorf("%w: %q is out of order", errSnapshot, in.ID)
	}
	snapshot.Instances = append(snapshot.Instances, live)
	return nil
}

// noOverlay is the form of an overlay that sets nothing, as that of nearly every instance.
const noOverlay = "{}"

func parseOverlay(service store.Service, id, text string) (store.Overlay, error) {
	var form savedOverlay
	if err := json.Unmarshal([]byte(text), &form); err != nil {
		return store.Overlay{}, fmt.Errorf("overlay of %q: %w", id, err)
	}
	return store.Overlay(form), checkOverlay(service, id, store.Overlay(form))
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
