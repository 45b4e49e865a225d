package resolverclient

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/miekg/dns"
)

const (
	// snapshotHead is the first line of a snapshot: the version of the form, the CRC-32C of what follows, and its length.
	snapshotHead = "dnsreg-resolver-snapshot 1 crc32c=%08x length=%d\n"
	// maxSnapshot bounds what follows, in octets.
	maxSnapshot = 16 << 20
)

// errDamaged says that a file is not a snapshot, or not a whole one.
var errDamaged = errors.New("damaged snapshot")

// savedAnswer is one answer in a snapshot.
type savedAnswer struct {
	Name      string          `json:"name"`
	Type      string          `json:"type"` // SRV or PTR
	Seen      time.Time       `json:"seen"` // when a server said so last, or later by its TTL at most
	Endpoints []savedEndpoint `json:"endpoints"`
}

// savedEndpoint is an [Endpoint]. Octets that need not be text are in base64.
type savedEndpoint struct {
	Target    string       `json:"target"`
	Port      uint16       `json:"port"`
	Priority  uint16       `json:"priority"`
	Weight    uint16       `json:"weight"`
	Addresses []netip.Addr `json:"addresses"`
	Instance  []byte       `json:"instance,omitempty"`
	TXT       [][]byte     `json:"txt,omitempty"`
}

func saveAnswer(q question, s *set, seen time.Time) savedAnswer {
	a := savedAnswer{Name: q.name, Type: dns.TypeToString[q.kind], Seen: seen}
	for _, e := range s.endpoints {
		saved := savedEndpoint{e.Target, e.Port, e.Priority, e.Weight, e.Addresses, []byte(e.Instance), nil}
		for _, text := range e.TXT {
			saved.TXT = append(saved.TXT, []byte(text))
		}
		a.Endpoints = append(a.Endpoints, saved)
	}
	return a
}

// question returns what the answer answers.
func (a *savedAnswer) question() question { return question{a.Name, dns.StringToType[a.Type]} }

// clockSkew is how far ahead of the clock an answer may have been seen: the clock was set back a little. Of an older one
// nobody knows its age.
const clockSkew = time.Minute

// check returns an error where no server can have given the answer.
func (a *savedAnswer) check(now time.Time) error {
	switch kind := a.question().kind; {
	case kind != dns.TypeSRV && kind != dns.TypePTR:
		return fmt.Errorf("type %q: must be SRV or PTR", a.Type)
	case a.Seen.After(now.Add(clockSkew)):
		return fmt.Errorf("seen %s: is in the future", a.Seen.Format(time.RFC3339))
	case len(a.Endpoints) == 0 || len(a.Endpoints) > maxEndpoints:
		return fmt.Errorf("%d endpoints: must be from 1 to %d", len(a.Endpoints), maxEndpoints)
	}
	if err := checkName(a.Name); err != nil {
		return err
	}
	for _, e := range a.Endpoints {
		if err := e.check(); err != nil {
			return fmt.Errorf("target %q: %w", e.Target, err)
		}
	}
	return nil
}

// checkName returns an error for what is not an absolute name in small letters, in the escapes of package dns.
func checkName(name string) error {
	canonical, err := absoluteName(name)
	if err == nil && canonical != name {
		err = fmt.Errorf("name %q: must be written as %q", name, canonical)
	}
	return err
}

// check returns an error where the endpoint cannot come from DNS.
func (e *savedEndpoint) check() error {
	const maxLabel, maxString = 63, 255
	if len(e.Instance) > maxLabel {
		return fmt.Errorf("instance of %d octets: must be at most %d", len(e.Instance), maxLabel)
	}
	for _, text := range e.TXT {
		if len(text) > maxString {
			return fmt.Errorf("txt of %d octets: must be at most %d", len(text), maxString)
		}
	}
	for _, addr := range e.Addresses {
		if !addr.IsValid() || addr.Zone() != "" {
			return fmt.Errorf("address %q: must be one without a zone", addr)
		}
	}
	return checkName(e.Target)
}

func (a *savedAnswer) set() *set {
	s := new(set)
	for _, e := range a.Endpoints {
		endpoint := Endpoint{e.Target, e.Port, e.Priority, e.Weight, e.Addresses, string(e.Instance), nil}
		for _, text := range e.TXT {
			endpoint.TXT = append(endpoint.TXT, string(text))
		}
		s.endpoints = append(s.endpoints, endpoint)
	}
	s.normalize()
	return s
}

// encodeSnapshot returns a snapshot of the answers, of as many of the first as there is room for.
func encodeSnapshot(answers []savedAnswer) (wire []byte, written int, err error) {
	body := []byte("[")
	for i, a := range answers {
		text, err := json.Marshal(a)
		if err != nil {
			return nil, 0, fmt.Errorf("encode %s: %w", a.Name, err)
		}
		if len(body)+len(text)+2 > maxSnapshot {
			break
		}
		if i > 0 {
			body = append(body, ",\n"...)
		}
		body = append(body, text...)
		written++
	}
	body = append(body, "]\n"...)
	head := fmt.Appendf(nil, snapshotHead, checksum(body), len(body))
	return append(head, body...), written, nil
}

// decodeSnapshot reads what encodeSnapshot wrote, or fails with errDamaged.
func decodeSnapshot(wire []byte) (answers []savedAnswer, err error) {
	head, body, _ := bytes.Cut(wire, []byte("\n"))
	var sum uint32
	var length int
	if _, err := fmt.Sscanf(string(head)+"\n", snapshotHead, &sum, &length); err != nil {
		return nil, fmt.Errorf("%w: first line: %w", errDamaged, err)
	}
	switch {
	case length != len(body):
		return nil, fmt.Errorf("%w: %d octets instead of %d", errDamaged, len(body), length)
	case checksum(body) != sum:
		return nil, fmt.Errorf("%w: checksum %08x instead of %08x", errDamaged, checksum(body), sum)
	}
	if err := json.Unmarshal(body, &answers); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return answers, nil
}

func checksum(body []byte) uint32 { return crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) }

// readSnapshot reads a file. One that is not there has no answers; a damaged one is moved aside, to path.damaged.
func readSnapshot(path string) ([]savedAnswer, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", path) // opening a pipe would wait for its other end
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const room = maxSnapshot + 1024 // with the first line
	wire, err := io.ReadAll(io.LimitReader(f, room+1))
	if err != nil {
		return nil, err
	}
	var answers []savedAnswer
	if len(wire) > room {
		err = fmt.Errorf("%w: more than %d octets", errDamaged, room)
	} else {
		answers, err = decodeSnapshot(wire)
	}
	if err != nil {
		return nil, errors.Join(err, os.Rename(path, path+".damaged"))
	}
	return answers, nil
}

// writeSnapshot replaces a file as a whole: whatever happens, either the old one or the new one is there.
func writeSnapshot(path string, wire []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(wire)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(dir)
}

// syncDir makes a rename in a directory last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
