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
	"slices"
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

// question returns what the answer answers, and whether it can be one of ours.
func (a *savedAnswer) question() (question, bool) {
	q := question{a.Name, dns.StringToType[a.Type]}
	return q, (q.kind == dns.TypeSRV || q.kind == dns.TypePTR) && dns.IsFqdn(q.name) && len(a.Endpoints) > 0
}

func (a *savedAnswer) set() *set {
	s := new(set)
	for _, e := range a.Endpoints {
		valid := slices.DeleteFunc(slices.Clone(e.Addresses), func(addr netip.Addr) bool { return !addr.IsValid() })
		endpoint := Endpoint{e.Target, e.Port, e.Priority, e.Weight, valid, string(e.Instance), nil}
		for _, text := range e.TXT {
			endpoint.TXT = append(endpoint.TXT, string(text))
		}
		s.endpoints = append(s.endpoints, endpoint)
	}
	slices.SortStableFunc(s.endpoints, compareEndpoints)
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
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
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
