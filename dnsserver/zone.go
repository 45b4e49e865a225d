package dnsserver

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// TTL of the records that are configured rather than registered, and the SOA's timers for secondaries.
const (
	staticTTL = 300 * time.Second
	refresh   = 5 * time.Minute
	retry     = time.Minute
	expire    = 24 * time.Hour
)

// host is the addresses of one host name; a family without addresses is nil.
type host struct {
	a, aaaa *rrset
}

// size returns the octets of all its records in a reply.
func (h *host) size() int {
	n := 0
	for _, set := range [...]*rrset{h.a, h.aaaa} {
		if set != nil {
			n += set.size
		}
	}
	return n
}

// zone is the part of a zone that does not depend on what is registered. It is immutable.
type zone struct {
	name     string // canonical, in presentation form
	wire     []byte
	labels   int
	soa      *rrset            // as an answer
	negative *form             // the SOA in the authority section of a negative answer (RFC 2308 section 3)
	ns       *rrset            // its references count nameServers
	browse   map[string]*rrset // by label: PTR to the zone itself (RFC 6763 section 11)

	cuts        []*zone          // that the server has within this one, for transfers
	nameServers []host           // in the order of the NS records; outside the zone: without addresses
	hosts       map[string]*host // name servers in the zone, by their one label
}

// newZone builds a zone whose config has been completed and checked.
func newZone(c Zone, negativeTTL time.Duration) (*zone, error) {
	wire, err := wireName(c.Name)
	if err != nil {
		return nil, err
	}
	z := &zone{name: c.Name, wire: wire, labels: strings.Count(c.Name, "."), hosts: make(map[string]*host), browse: make(map[string]*rrset)}
	for _, label := range []string{"b", "db", "lb"} {
		set := newRRset(dns.TypePTR, staticTTL)
		set.add(record{tail: uint8(len(wire)), ref: noReference}, staticTTL)
		z.browse[label] = set
	}
	if err := z.addNameServers(c.NameServers); err != nil {
		return nil, err
	}
	return z, z.addSOA(c, negativeTTL)
}

func (z *zone) addNameServers(servers []NameServer) error {
	z.ns = newRRset(dns.TypeNS, staticTTL)
	z.nameServers = make([]host, len(servers))
	for i, server := range servers {
		rec, err := z.nameRecord(server.Name)
		if err != nil {
			return err
		}
		rec.ref = int32(i)
		z.ns.add(rec, staticTTL)
		if label, ok := z.hostLabel(server.Name); ok {
			z.nameServers[i] = newHost(server.Addresses)
			z.hosts[label] = &z.nameServers[i]
		}
	}
	return nil
}

// hostLabel returns the label that stands in front of the zone's name in the name of a host below it.
func (z *zone) hostLabel(name string) (string, bool) {
	labels, err := dnssd.Split(name)
	if err != nil || len(labels) != z.labels+1 || !dnssd.InZone(z.name, name) {
		return "", false
	}
	return labels[0], true
}

func newHost(addresses []netip.Addr) host {
	f := newFamilies(staticTTL)
	for _, address := range addresses {
		f.of(address).add(addressRecord(address), staticTTL)
	}
	return f.host()
}

func (z *zone) addSOA(c Zone, negativeTTL time.Duration) error {
	primary, err := z.nameRecord(c.NameServers[0].Name)
	if err != nil {
		return err
	}
	mailbox, err := z.nameRecord(c.Mailbox)
	if err != nil {
		return err
	}
	var timers []byte
	for _, d := range []time.Duration{refresh, retry, expire, negativeTTL} {
		timers = binary.BigEndian.AppendUint32(timers, seconds(d))
	}
	data := &soa{primary: primary, mailbox: mailbox, timers: timers}
	z.soa = newSOA(data, seconds(staticTTL))
	z.negative = newForm(newSOA(data, seconds(min(staticTTL, negativeTTL))), len(z.wire))
	return nil
}

// nameRecord returns a name as a record's data, the zone at its end left to a pointer.
func (z *zone) nameRecord(name string) (record, error) {
	wire, err := wireName(name)
	if err != nil {
		return record{}, err
	}
	labels, err := dnssd.Split(name)
	if err != nil {
		return record{}, err
	}
	if n := len(labels) - z.labels; n >= 0 && bytes.HasSuffix(wire, z.wire) {
		front := dnssd.WireLen(labels[:n]...) - 1
		if front+len(z.wire) == len(wire) { // else the zone's octets begin within a label
			return record{data: wire[:front], tail: uint8(len(z.wire)), ref: noReference}, nil
		}
	}
	return record{data: wire, ref: noReference}, nil
}
