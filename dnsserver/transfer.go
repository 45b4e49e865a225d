package dnsserver

import (
	"encoding/binary"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/store"
)

// Bounds of transfers.
const (
	defaultMaxTransfers    = 8
	defaultTransferTimeout = 10 * time.Minute
)

// Transfer says who may have a zone as a whole, and who is told that it changed. Without rules nobody may.
type Transfer struct {
	Allow       []TransferRule // up to 256
	Notify      []NotifyTarget // up to 64
	JournalSize int            // octets of changes kept for IXFR, up to 1 GiB; default 16 MiB; negative: none
}

// transferPool is what all zones of a server have in common for transfers.
type transferPool struct {
	keys   tsigKeys
	places chan struct{} // taken by each transfer that runs
	limit  time.Duration // of each
	logger *slog.Logger

	signatures signatureCounts
	counts     transferCounts
	notifies   notifyCounts
}

// newTransferPool returns the pool of a config that has been checked.
func newTransferPool(c Config) (*transferPool, error) {
	keys, err := newTSIGKeys(c.Keys)
	return &transferPool{
		keys:   keys,
		places: make(chan struct{}, c.MaxTransfers),
		limit:  c.TransferTimeout,
		logger: c.Logger,
	}, err
}

// transfers is what one zone has for its secondaries.
type transfers struct {
	*transferPool
	grants    grants
	journal   *journal
	notifiers []*notifier
}

// newTransfers returns what a zone has for its secondaries, as it is configured.
func (p *transferPool) newTransfers(a *authority, c Config, config Transfer) transfers {
	t := transfers{transferPool: p, journal: &journal{
		source:   a.source,
		contents: contents{zone: a.zone, types: &a.types, ttl: c.TTL},
		max:      config.JournalSize,
	}}
	if len(config.Allow) == 0 { // who is told only asks for what there is
		t.journal.max = -1
	}
	for _, rule := range config.Allow {
		t.grants = append(t.grants, grant{prefix: rule.Prefix, key: p.keys.named(rule.Key)})
	}
	for _, target := range config.Notify {
		t.notifiers = append(t.notifiers, &notifier{
			zone: a.zone, source: a.source, target: target, key: p.keys.named(target.Key),
			counts: &p.notifies, logger: p.logger, wake: make(chan struct{}, 1),
		})
	}
	return t
}

// transfer is a reply of many messages that is to be written to a connection (RFC 5936, RFC 1995). It has a place among
// those that may run, which run gives back.
type transfer struct {
	*transferPool
	head    [headerLen]byte
	asked   []byte // the question section
	opt     []byte // OPT record of the first message, nil for none
	records iter.Seq[rr]
	signer  *signer        // nil: the messages are not signed
	done    *atomic.Uint64 // counts it when it is whole
}

// transfer answers AXFR and IXFR: with an error, with the SOA record alone, with changes that fit into one message over
// UDP, or by leaving a stream in r. The checks are the same for all of them.
func (a *authority) transfer(q *query, r *reply) {
	serial, known := uint32(0), true
	if q.qtype == dns.TypeIXFR {
		serial, known = q.serial()
	}
	switch {
	case !a.transfers.grants.allow(q):
		a.transfers.counts.refused.Add(1)
		r.rcode = dns.RcodeRefused
		r.extended(dns.ExtendedErrorCodeProhibited, "")
	case q.depth > 0: // there is no such zone here
		r.rcode = dns.RcodeNotAuth
		r.extended(dns.ExtendedErrorCodeNotAuthoritative, "")
	case !known:
		r.rcode = dns.RcodeFormatError
	case a.source.Freshness() == store.Lost:
		r.unavailable(a.source.View())
	case q.qtype == dns.TypeIXFR:
		a.incremental(q, r, serial)
	case !q.from.streams: // RFC 5936 section 4.2
		r.rcode = dns.RcodeRefused
		r.extended(dns.ExtendedErrorCodeNotSupported, "zone transfers are for TCP")
	default:
		view, _ := a.transfers.journal.look()
		a.full(q, r, view)
	}
}

// serial returns the serial of the SOA record in the authority section of a query that was read (RFC 1995 section 3).
func (q *query) serial() (uint32, bool) {
	off := headerLen + q.question
	for range q.count(1) {
		off = q.skipRecord(off)
	}
	if q.count(2) == 0 {
		return 0, false
	}
	end := q.skipRecord(off)
	off, _ = skipName(q.msg, off)
	if binary.BigEndian.Uint16(q.msg[off:]) != dns.TypeSOA {
		return 0, false
	}
	off, ok := skipName(q.msg[:end], off+recordFixed)
	if ok {
		off, ok = skipName(q.msg[:end], off)
	}
	const numbers = 5 * 4 // serial, refresh, retry, expire, minimum
	if !ok || off+numbers != end {
		return 0, false
	}
	return binary.BigEndian.Uint32(q.msg[off:]), true
}

// skipRecord returns where a record ends that is known to be whole.
func (q *query) skipRecord(off int) int {
	off, _ = skipName(q.msg, off)
	return off + recordFixed + int(binary.BigEndian.Uint16(q.msg[off+8:]))
}

// incremental answers IXFR. A client that is up to date, or ahead, gets the SOA record, and so does one over UDP that
// must come back over TCP (RFC 1995 sections 2 and 4); one whose serial is not known gets the whole zone.
func (a *authority) incremental(q *query, r *reply, serial uint32) {
	view := a.source.View()
	var steps []step
	known := false
	if q.from.streams {
		view, steps, known = a.transfers.journal.since(serial)
		known = known && worthwhile(steps, view)
	} else {
		steps, known = a.transfers.journal.sinceNow(serial, view)
	}
	current := view.Revision().Serial()
	switch {
	case !newer(current, serial):
		a.transfers.counts.unchanged.Add(1)
		r.onlySOA(a.zone, current)
	case !q.from.streams:
		if !known || !r.putSteps(a.zone, steps) {
			r.onlySOA(a.zone, current)
			return
		}
		a.transfers.counts.incremental.Add(1)
	case known:
		a.stream(q, r, changes(a.zone, steps), &a.transfers.counts.incremental)
	default:
		a.full(q, r, view)
	}
}

// Changes beyond alwaysSteps octets are sent only where they are not larger than the whole zone, of which an instance has
// about sizeOfInstance (RFC 1995 section 5).
const (
	alwaysSteps    = 1 << 20
	sizeOfInstance = 512
)

func worthwhile(steps []step, view *store.View) bool {
	size := 0
	for i := range steps {
		size += steps[i].size()
	}
	return size <= max(alwaysSteps, sizeOfInstance*view.Instances())
}

// onlySOA answers with the SOA record at a serial.
func (r *reply) onlySOA(z *zone, serial uint32) {
	r.serial = serial
	r.answer(newForm(z.soa, len(z.wire)))
}

// putSteps writes changes behind the question, or nothing if they do not fit.
func (r *reply) putSteps(z *zone, steps []step) bool {
	p := packer{max: r.limit}
	p.start(r.buf[r.base:], true)
	for record := range changes(z, steps) {
		if !p.put(record) {
			return false
		}
	}
	r.aa = true
	r.buf = append(r.buf[:r.base], p.buf...)
	r.counts[answerSection] = p.count
	return true
}

// full leaves the whole zone in r.
func (a *authority) full(q *query, r *reply, view *store.View) {
	a.stream(q, r, whole(a.transfers.journal.contents, view), &a.transfers.counts.full)
}

// whole is every record of a view between two of its SOA (RFC 5936 section 2.2).
func whole(c contents, view *store.View) iter.Seq[rr] {
	return func(yield func(rr) bool) {
		soa := c.zone.soaRecord(view.Revision().Serial())
		if !yield(soa) {
			return
		}
		for p := range c.all(view) {
			for r := range p.records() {
				if !yield(r) {
					return
				}
			}
		}
		yield(soa)
	}
}

// changes is the records of steps, each what is removed and what is added, behind the SOA records of the versions that
// these belong to (RFC 1995 section 4).
func changes(z *zone, steps []step) iter.Seq[rr] {
	return func(yield func(rr) bool) {
		last := z.soaRecord(steps[len(steps)-1].to)
		if !yield(last) {
			return
		}
		for _, s := range steps {
			more := yield(z.soaRecord(s.from)) && s.removed.each(yield) && yield(z.soaRecord(s.to)) && s.added.each(yield)
			if !more {
				return
			}
		}
		yield(last)
	}
}

func (p packed) each(yield func(rr) bool) bool {
	for len(p) > 0 {
		var r rr
		if r, p = p.next(); !yield(r) {
			return false
		}
	}
	return true
}

// stream leaves a transfer in r if there is a place for one more.
func (a *authority) stream(q *query, r *reply, records iter.Seq[rr], done *atomic.Uint64) {
	pool := a.transfers.transferPool
	select {
	case pool.places <- struct{}{}:
	default:
		pool.counts.crowded.Add(1)
		r.fail(dns.ExtendedErrorCodeOther, "too many zone transfers")
		return
	}
	t := &transfer{transferPool: pool, asked: q.msg[headerLen : headerLen+q.question], records: records, signer: r.signer, done: done}
	binary.BigEndian.PutUint16(t.head[:], q.id)
	t.head[2] = 0x84 // QR and AA
	if q.rd {
		t.head[2] |= 0x01
	}
	if r.opt {
		start := len(r.buf)
		r.putOPT()
		t.opt, r.buf = slices.Clone(r.buf[start:]), r.buf[:start]
	}
	r.transfer = t
}

var (
	errTransferTimeout = errors.New("the transfer takes too long")
	errRecordSize      = errors.New("a record does not fit into a message")
)

// run hands the messages of the transfer to send, one after another, in one buffer. The question and the OPT record are
// in the first alone (RFC 5936 section 2.2).
func (t *transfer) run(send func([]byte) error) error {
	defer func() { <-t.places }()
	err := t.pack(send)
	if err != nil {
		t.counts.broken.Add(1)
		return err
	}
	t.done.Add(1)
	return nil
}

func (t *transfer) pack(send func([]byte) error) error {
	deadline := time.Now().Add(t.limit)
	p := packer{max: maxTransferMessage - t.signer.size() - len(t.opt)}
	p.start(append(t.head[:], t.asked...), true)
	for r := range t.records {
		if p.put(r) {
			continue
		}
		if err := t.send(&p, send); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return errTransferTimeout
		}
		if p.start(t.head[:], false); !p.put(r) {
			return errRecordSize
		}
	}
	return t.send(&p, send)
}

// send completes a message and sends it.
func (t *transfer) send(p *packer, send func([]byte) error) error {
	msg := p.finish()
	if t.opt != nil {
		msg = append(msg, t.opt...)
		msg[11]++
		t.opt = nil
	}
	msg = t.signer.sign(msg, 0)
	t.counts.octets.Add(uint64(len(msg)))
	return send(msg)
}
