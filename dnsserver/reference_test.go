package dnsserver_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// reference writes the sections of replies record by record from a view, as plainly as it can be done: what the server
// packs, keeps and copies has to be the same, octet for octet.
type reference struct {
	tb     testing.TB
	view   *store.View
	id     int    // of the query
	name   string // that it asks for, in small letters
	buf    []byte
	limit  int
	counts [3]uint16
	full   bool // a set of the additional section did not fit
	added  map[string]bool
}

// refSet is the records of one type at one name.
type refSet struct {
	typ  uint16
	ttl  uint32
	recs []refRec
	seen map[string]bool // by data
}

// refRec is one record: data, with a pointer to the question's tail behind it where there is a tail.
type refRec struct {
	data []byte
	tail string
	live *store.Live // of which there is more to say; nil for none
}

// write writes the sections behind the question and returns the reply's code and flags.
func (w *reference) write(qtype uint16) (rcode int, aa, tc bool) {
	sets, exists := w.sets()
	set := choose(sets, qtype)
	if set == nil {
		if !exists {
			rcode = dns.RcodeNameError
		}
		return rcode, true, !w.put(1, w.tailOf(zone), w.soa(5))
	}
	first := len(w.buf)
	if !w.put(0, 12, *set) {
		return 0, true, true
	}
	w.additional(*set, first)
	return 0, true, false
}

// choose returns the set of a type; for ANY the smallest, of equal ones the first.
func choose(sets []refSet, qtype uint16) *refSet {
	var best *refSet
	for i := range sets {
		switch {
		case sets[i].typ == qtype:
			return &sets[i]
		case qtype == dns.TypeANY && (best == nil || sets[i].size() < best.size()):
			best = &sets[i]
		}
	}
	return best
}

func (r *refRec) len() int {
	if r.tail != "" {
		return len(r.data) + 2
	}
	return len(r.data)
}

func (s *refSet) size() int {
	n := 0
	for i := range s.recs {
		n += 12 + s.recs[i].len()
	}
	return n
}

// tailOf returns where in the question a name is that it ends in.
func (w *reference) tailOf(name string) int {
	return 12 + len(wireName(w.tb, w.name)) - len(wireName(w.tb, name))
}

// put writes a whole set, rotated by the query's id, if it fits and its owner is in reach.
func (w *reference) put(section, owner int, set refSet) bool {
	if len(w.buf)+set.size() > w.limit || owner > 0x3fff {
		return false
	}
	for i := range set.recs {
		rec := set.recs[(i+w.id)%len(set.recs)]
		w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(0xc000|owner))
		w.buf = binary.BigEndian.AppendUint16(w.buf, set.typ)
		w.buf = binary.BigEndian.AppendUint16(w.buf, dns.ClassINET)
		w.buf = binary.BigEndian.AppendUint32(w.buf, set.ttl)
		w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(rec.len()))
		w.buf = append(w.buf, rec.data...)
		if rec.tail != "" {
			w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(0xc000|w.tailOf(rec.tail)))
		}
		w.counts[section]++
	}
	return true
}

// add is put for the additional section, which ends with the first set that does not fit.
func (w *reference) add(owner int, set refSet) {
	if len(set.recs) > 0 && !w.full {
		w.full = !w.put(2, owner, set)
	}
}

// additional writes what belongs to an answer whose first record is at an offset.
func (w *reference) additional(set refSet, at int) {
	w.added = map[string]bool{}
	for i := range set.recs {
		rec := set.recs[(i+w.id)%len(set.recs)]
		if w.full {
			return
		}
		switch {
		case set.typ == dns.TypeNS:
			w.add(at+12, addressSet(dns.TypeA, []store.Live{{Instance: store.Instance{Addresses: addrs("127.0.0.1"), TTL: time.Hour}}}, 300))
		case rec.live == nil:
		case set.typ == dns.TypeSRV:
			w.addTarget(at+12+6, rec.live)
		case set.typ == dns.TypePTR:
			srv := len(w.buf)
			w.add(at+12, w.srvSet(*rec.live))
			w.add(at+12, txtSet(*rec.live))
			w.addTarget(srv+12+6, rec.live)
		}
		at += 12 + rec.len()
	}
}

// addTarget adds the addresses of an instance's host, once.
func (w *reference) addTarget(owner int, live *store.Live) {
	if dnssd.IsExternal(live.Host) || w.added[live.Host] {
		return
	}
	w.added[live.Host] = true
	same := slices.DeleteFunc(w.bare(), func(l store.Live) bool { return l.Host != live.Host })
	w.add(owner, addressSet(dns.TypeA, same, 5))
	w.add(owner, addressSet(dns.TypeAAAA, same, 5))
}

// labels returns the labels in front of the zone, false for a name outside of it.
func (w *reference) labels() ([]string, bool) {
	labels, err := dnssd.Split(w.name)
	if err != nil {
		w.tb.Fatal(err)
	}
	n := len(labels) - strings.Count(zone, ".")
	return labels[:max(n, 0)], dns.IsSubDomain(zone, w.name)
}

// sets returns the sets at the name asked for, and whether it exists.
func (w *reference) sets() (sets []refSet, exists bool) {
	labels, _ := w.labels()
	slices.Reverse(labels)
	for i := len(labels); i < 5; i++ {
		labels = append(labels, "")
	}
	service := store.Service(labels[1] + "." + labels[0])
	switch {
	case labels[4] != "":
		return nil, false
	case labels[0] == "":
		return []refSet{w.soa(300), static(dns.TypeNS, wireLabel("ns1"), zone)}, true
	case labels[0] == "_udp" && labels[1] == "_dns-sd":
		return w.discovery(labels[2:])
	case labels[0] != "_tcp" && labels[0] != "_udp":
		return w.addresses(labels)
	case labels[1] == "":
		return nil, labels[0] == "_udp" || w.view.Answered(labels[0]) > 0
	case labels[2] == "_sub":
		return w.subtype(service, labels[3])
	default:
		return w.service(service, labels[2:])
	}
}

func static(typ uint16, data []byte, tail string) refSet {
	return refSet{typ: typ, ttl: 300, recs: []refRec{{data: data, tail: tail}}}
}

func wireLabel(label string) []byte { return append([]byte{byte(len(label))}, label...) }

func (w *reference) discovery(labels []string) ([]refSet, bool) {
	switch {
	case labels[0] == "":
		return nil, true
	case labels[1] != "":
		return nil, false
	case strings.Contains(" b db lb ", " "+labels[0]+" "):
		return []refSet{static(dns.TypePTR, nil, zone)}, true
	case labels[0] == "_services":
		set := refSet{typ: dns.TypePTR, ttl: 5}
		for s := range w.view.All() {
			for live := range s.Up() {
				set.ttl = min(set.ttl, max(uint32(live.TTL/time.Second), 1))
			}
			if s.Answered() {
				name, proto, _ := strings.Cut(string(s.Service), ".")
				set.recs = append(set.recs, refRec{data: append(wireLabel(name), wireLabel(proto)...), tail: zone})
			}
		}
		return whole(set)
	}
	return nil, false
}

// whole returns the sets that have records.
func whole(sets ...refSet) ([]refSet, bool) {
	sets = slices.DeleteFunc(sets, func(s refSet) bool { return len(s.recs) == 0 })
	return sets, len(sets) > 0
}

func (w *reference) up(service store.Service) []store.Live {
	var all []store.Live
	for live := range w.view.Service(service).Up() {
		all = append(all, *live)
	}
	return all
}

// bare returns the instances of both services of the name asked for.
func (w *reference) bare() []store.Live {
	labels, _ := w.labels()
	name := labels[len(labels)-1]
	if strings.HasPrefix(name, "_") {
		name = labels[len(labels)-2][1:]
	}
	return append(w.up(store.Service("_"+name+"._tcp")), w.up(store.Service("_"+name+"._udp"))...)
}

func (w *reference) addresses(labels []string) ([]refSet, bool) {
	if labels[0] == "ns1" && labels[1] == "" {
		return []refSet{static(dns.TypeA, []byte{127, 0, 0, 1}, "")}, true
	}
	all := slices.DeleteFunc(w.bare(), func(l store.Live) bool { return labels[1] != "" && l.Host != labels[1] })
	if labels[2] != "" {
		return nil, false
	}
	return whole(addressSet(dns.TypeA, all, 5), addressSet(dns.TypeAAAA, all, 5))
}

func (w *reference) service(service store.Service, labels []string) ([]refSet, bool) {
	all := w.up(service)
	if labels[0] != "" {
		all = slices.DeleteFunc(all, func(l store.Live) bool { return l.Key() != labels[0] })
		if labels[1] != "" {
			return nil, false
		}
		return whole(w.srvSet(all...), txtSet(all...))
	}
	return whole(w.srvSet(all...), w.ptrSet(string(service)+"."+zone, all...), txtSet(all...))
}

func (w *reference) subtype(service store.Service, label string) ([]refSet, bool) {
	exists := false
	all := slices.DeleteFunc(w.up(service), func(l store.Live) bool {
		exists = exists || len(l.Subtypes) > 0
		return !slices.ContainsFunc(l.Subtypes, func(sub string) bool { return dnssd.Fold(sub) == label })
	})
	if label == "" {
		return nil, exists
	}
	return whole(w.ptrSet(string(service)+"."+zone, all...))
}

// add adds a record unless it is there, and makes the TTL of all the least one.
func (s *refSet) add(rec refRec, ttl time.Duration) {
	s.ttl = min(s.ttl, max(uint32(ttl/time.Second), 1))
	if s.seen == nil {
		s.seen = make(map[string]bool)
	}
	if !s.seen[string(rec.data)] {
		s.seen[string(rec.data)] = true
		s.recs = append(s.recs, rec)
	}
}

func (w *reference) srvSet(all ...store.Live) refSet {
	set := refSet{typ: dns.TypeSRV, ttl: 5}
	labels, _ := w.labels()
	service := labels[len(labels)-2] + "." + labels[len(labels)-1]
	for _, live := range all {
		data := binary.BigEndian.AppendUint16(nil, live.Priority)
		data = binary.BigEndian.AppendUint16(data, live.EffectiveWeight())
		data = binary.BigEndian.AppendUint16(data, live.Port)
		data = append(data, wireName(w.tb, dnssd.TargetName(zone, service, live.Host))...)
		set.add(refRec{data: data, live: &live}, live.TTL)
	}
	return set
}

func (w *reference) ptrSet(tail string, all ...store.Live) refSet {
	set := refSet{typ: dns.TypePTR, ttl: 5}
	for _, live := range all {
		set.add(refRec{data: wireLabel(live.ID), tail: tail, live: &live}, live.TTL)
	}
	return set
}

func txtSet(all ...store.Live) refSet {
	set := refSet{typ: dns.TypeTXT, ttl: 5}
	for _, live := range all {
		set.add(refRec{data: dnssd.AppendTXT(nil, live.TXT)}, live.TTL)
	}
	return set
}

func addressSet(typ uint16, all []store.Live, ttl uint32) refSet {
	set := refSet{typ: typ, ttl: ttl}
	for _, live := range all {
		for _, a := range live.Addresses {
			if !dnssd.IsExternal(live.Host) && a.Is4() == (typ == dns.TypeA) {
				set.add(refRec{data: a.AsSlice()}, live.TTL)
			}
		}
	}
	return set
}

// soa returns the SOA record of the default configuration.
func (w *reference) soa(ttl uint32) refSet {
	// As one record cannot have two tails, the first is written out.
	data := binary.BigEndian.AppendUint16(wireLabel("ns1"), uint16(0xc000|w.tailOf(zone)))
	data = binary.BigEndian.AppendUint16(append(data, wireLabel("hostmaster")...), uint16(0xc000|w.tailOf(zone)))
	for _, n := range []uint32{w.view.Revision().Serial(), 300, 60, 86400, 5} {
		data = binary.BigEndian.AppendUint32(data, n)
	}
	return refSet{typ: dns.TypeSOA, ttl: ttl, recs: []refRec{{data: data}}}
}

// reply returns the whole reply to a query of one question in the zone. The OPT record is that of the server's reply,
// which other tests hold; room is what it has of the message.
func (w *reference) reply(query []byte, qtype uint16, opt []byte) []byte {
	end := 12 + len(wireName(w.tb, w.name)) + 4
	w.buf = bytes.Clone(query[:end])
	rcode, aa, tc := w.write(qtype)
	if tc {
		w.buf, w.counts = w.buf[:end], [3]uint16{}
	}
	if len(opt) > 0 {
		w.buf = append(w.buf, opt...)
		w.counts[2]++
	}
	flags := 0x8000 | uint16(rcode) | binary.BigEndian.Uint16(query[2:])&0x0100
	if aa {
		flags |= 0x0400
	}
	if tc {
		flags |= 0x0200
	}
	binary.BigEndian.PutUint16(w.buf[2:], flags)
	for i, n := range w.counts {
		binary.BigEndian.PutUint16(w.buf[6+2*i:], n)
	}
	return w.buf
}
