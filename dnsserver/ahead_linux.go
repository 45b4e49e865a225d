//go:build linux && (amd64 || arm64)

package dnsserver

import "slices"

// loadedAtOnce is the octets that a processor loads at once, of the pair that cacheLine counts.
const loadedAtOnce = 64

// ahead is what the answers to the queries of a batch are found by, and copied from.
type ahead struct {
	slots  [batchSize]*slot
	pairs  [batchSize]*pair
	forms  [batchSize]*form
	loaded byte // a sum of what was read, so that the compiler leaves no reading out
}

// fetch reads the packed answers to a batch of queries, as far as there are any, and decides nothing. In a large zone
// each look-up waits for memory three times, for the slot, the pair and the form. Here the waits of all queries
// overlap, and those of the look-ups that follow are over. It keeps nothing: a slot would keep its whole table.
func (a *ahead) fetch(batch []query) {
	for i := range batch {
		a.slots[i] = batch[i].slot()
	}
	for i, s := range a.slots[:len(batch)] {
		if s != nil {
			a.pairs[i] = s.pair.Load()
		}
	}
	for i, f := range a.pairs[:len(batch)] {
		if f != nil {
			a.forms[i] = f.packed(&batch[i])
		}
	}
	for _, f := range a.forms[:len(batch)] {
		if f != nil && f.size <= maxMaxUDPSize {
			a.loaded += f.read()
		}
	}
	clear(a.slots[:len(batch)])
	clear(a.pairs[:len(batch)])
	clear(a.forms[:len(batch)])
}

// slot returns where the search for the services begins that the question is about, nil if it is about none.
func (q *query) slot() *slot {
	if q.zone == nil || q.depth == 0 {
		return nil
	}
	label := q.below(1)
	if proto := string(label); q.depth > 1 && (proto == "_tcp" || proto == "_udp") {
		label = q.below(2)[1:]
	}
	return q.zone.index.first(label)
}

// packed returns the answer to a question of a service's name, nil if it is not packed or the question is of another.
func (f *pair) packed(q *query) *form {
	i := slices.Index(serviceTypes[:], q.qtype)
	switch {
	case i < 0 || q.depth != 2:
		return nil
	case string(q.below(1)) == "_udp":
		return f.services[protoUDP].forms[i].Load()
	default:
		return f.services[protoTCP].forms[i].Load()
	}
}

// read reads an octet of each line of a form, of its beginning alone where a reply can have no more of it: what may be
// added to a long answer is many times as long.
func (f *form) read() (sum byte) {
	for _, part := range [...][]byte{f.tables, f.wire} {
		part = part[:min(len(part), maxMaxUDPSize)]
		for i := 0; i < len(part); i += loadedAtOnce {
			sum += part[i]
		}
	}
	return sum
}
