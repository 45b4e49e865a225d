package dnsserver

import (
	"bytes"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// service is the record sets of one service, made of the instances of one snapshot that are answered. It is immutable.
type service struct {
	snapshot  *store.Snapshot
	wire      []byte // its name
	srv       *rrset // its references count hosts
	ptr       *rrset // its references count instances, as those of subtypes do
	txt       *rrset
	instances []instance // in the order of their keys
	subtypes  map[string]*rrset
	hosts     []string // as the instances name them
	err       error    // a name of it cannot be encoded: it cannot be answered
}

// instance is the record sets of one instance; it has one SRV record and one TXT record. That of TXT may be others' too.
type instance struct {
	key      []byte
	srv, txt *rrset
}

// names is the wire form of the names of one service.
type names struct {
	zone    *zone
	service store.Service
	wire    []byte // its own
	base    []byte // the bare name, behind the hosts in the zone
}

func newNames(z *zone, service store.Service) (names, error) {
	name, proto := dnssd.CutService(string(service))
	wire, err := appendName(nil, z.wire, "_"+name, proto)
	if err != nil {
		return names{}, err
	}
	base, err := appendName(nil, z.wire, name)
	return names{zone: z, service: service, wire: wire, base: base}, err
}

// check returns an error if a name of an instance cannot be encoded.
func (n *names) check(live *store.Live) error {
	var buf [2 * dnssd.MaxName]byte
	_, err := n.appendTarget(buf[:0], live.Host)
	if err == nil {
		_, err = appendName(buf[:0], n.wire, live.ID)
	}
	if err != nil {
		return fmt.Errorf("instance %q: %w", live.ID, err)
	}
	return nil
}

// appendTarget appends the target of an SRV record.
func (n *names) appendTarget(buf []byte, host string) ([]byte, error) {
	if !strings.ContainsAny(host, `.\`) {
		return appendName(buf, n.base, host)
	}
	target, err := wireName(dnssd.TargetName(n.zone.name, string(n.service), host))
	return append(buf, target...), err
}

// checkNames returns an error if a name of a service that is answered cannot be encoded.
func checkNames(z *zone, snapshot *store.Snapshot) error {
	n, err := newNames(z, snapshot.Service)
	for live := range snapshot.Up() {
		if err == nil {
			err = n.check(live)
		}
	}
	return err
}

// compiler builds a service. What there is one of for each instance lies side by side.
type compiler struct {
	*service
	names
	ttl      time.Duration // the greatest that a set may have
	hostRefs map[string]int32
	srvs     map[srvKey]bool   // there are
	texts    map[string][]byte // the data of the TXT records, by itself
	txts     map[txtKey]*rrset // of instances

	octets  []byte   // of the records' data
	records []record // of the instances' sets
	sets    []rrset
}

// srvKey is what makes two SRV records of a service the same.
type srvKey struct {
	host                   int32
	priority, weight, port uint16
}

// txtKey is what makes the TXT sets of two instances the same.
type txtKey struct {
	data *byte  // the first of compiler.texts' octets
	ttl  uint32 // in seconds
}

// compile returns the record sets of a snapshot, nil if no instance of it is answered.
func compile(z *zone, snapshot *store.Snapshot, ttl time.Duration) *service {
	if !snapshot.Answered() {
		return nil
	}
	n := len(snapshot.Instances)
	c := compiler{
		service: &service{
			snapshot:  snapshot,
			srv:       newRRset(dns.TypeSRV, ttl),
			ptr:       newRRset(dns.TypePTR, ttl),
			txt:       newRRset(dns.TypeTXT, ttl),
			subtypes:  make(map[string]*rrset),
			instances: make([]instance, 0, n),
			hosts:     make([]string, 0, n),
		},
		ttl:      ttl,
		texts:    make(map[string][]byte),
		txts:     make(map[txtKey]*rrset),
		hostRefs: make(map[string]int32, n),
		srvs:     make(map[srvKey]bool, n),
		records:  make([]record, 2*n),
		sets:     make([]rrset, 2*n),
	}
	c.srv.records, c.ptr.records = make([]record, 0, n), make([]record, 0, n)
	c.names, c.err = newNames(z, snapshot.Service)
	for live := range snapshot.Up() {
		if c.err == nil {
			c.err = c.check(live)
		}
	}
	if c.err != nil {
		return c.service
	}
	c.octets = make([]byte, 0, c.size())
	for live := range snapshot.Up() {
		c.add(live)
	}
	c.service.wire = c.names.wire
	return c.service
}

// size is about how many octets the data of all records takes. TXT records that differ fit into a message.
func (c *compiler) size() int {
	n, txt := 0, 0
	for live := range c.snapshot.Up() {
		n += srvFixed + len(live.Host) + 2 + len(c.base) + 1 + 2*len(live.ID)
		txt += dnssd.TXTSize(live.TXT)
	}
	return n + min(txt, maxMessageSize)
}

// add adds an instance whose names were checked.
func (c *compiler) add(live *store.Live) {
	host := c.hostRef(live.Host)
	srv := record{data: c.srvData(live), ref: host}
	ptr := record{data: c.label(live.ID), tail: uint8(len(c.names.wire)), ref: int32(len(c.instances))}

	if key := (srvKey{host, live.Priority, live.EffectiveWeight(), live.Port}); c.srvs[key] {
		c.srv.ttl = min(c.srv.ttl, seconds(live.TTL))
	} else {
		c.srvs[key] = true
		c.srv.add(srv, live.TTL)
	}
	c.ptr.add(ptr, live.TTL)
	for _, sub := range live.Subtypes {
		c.subtype(sub).add(ptr, live.TTL)
	}
	key := c.data(func(buf []byte) []byte { return append(buf, live.Key()...) })
	c.instances = append(c.instances, instance{key: key, srv: c.single(dns.TypeSRV, srv, live.TTL), txt: c.txtOf(live)})
}

// txtOf returns an instance's TXT set, whose record is in the service's set then. Instances mostly have the same attributes,
// and so the same set.
func (c *compiler) txtOf(live *store.Live) *rrset {
	start := len(c.octets)
	data := c.data(func(buf []byte) []byte { return dnssd.AppendTXT(buf, live.TXT) })
	if same, ok := c.texts[string(data)]; ok {
		c.octets, data = c.octets[:start], same
		c.txt.ttl = min(c.txt.ttl, seconds(live.TTL))
	} else {
		c.texts[string(data)] = data
		c.txt.add(record{data: data, ref: noReference}, live.TTL)
	}
	key := txtKey{&data[0], min(seconds(c.ttl), seconds(live.TTL))}
	if c.txts[key] == nil {
		c.txts[key] = c.single(dns.TypeTXT, record{data: data, ref: noReference}, live.TTL)
	}
	return c.txts[key]
}

// data returns what put appends, as a slice that nothing more is appended to.
func (c *compiler) data(put func(buf []byte) []byte) []byte {
	start := len(c.octets)
	c.octets = put(c.octets)
	return c.octets[start:len(c.octets):len(c.octets)]
}

func (c *compiler) label(s string) []byte {
	return c.data(func(buf []byte) []byte { return append(append(buf, byte(len(s))), s...) })
}

func (c *compiler) srvData(live *store.Live) []byte {
	return c.data(func(buf []byte) []byte {
		buf, _ = c.appendTarget(appendSRV(buf, live.Priority, live.EffectiveWeight(), live.Port), live.Host) // checked
		return buf
	})
}

// single returns a set of one record.
func (c *compiler) single(typ uint16, r record, ttl time.Duration) *rrset {
	set := &c.sets[0]
	set.typ, set.class, set.ttl = typ, dns.ClassINET, seconds(c.ttl)
	set.records = c.records[:0:1]
	set.add(r, ttl)
	c.sets, c.records = c.sets[1:], c.records[1:]
	return set
}

func (c *compiler) subtype(sub string) *rrset {
	key := dnssd.Fold(sub)
	if c.subtypes[key] == nil {
		c.subtypes[key] = newRRset(dns.TypePTR, c.ttl)
	}
	return c.subtypes[key]
}

// hostRef returns the reference of a host, which is one outside the zone too.
func (c *compiler) hostRef(name string) int32 {
	ref, ok := c.hostRefs[name]
	if !ok {
		ref = int32(len(c.hosts))
		c.hostRefs[name] = ref
		c.hosts = append(c.hosts, name)
	}
	return ref
}

// find returns the instance whose id, in small ASCII letters, is key, or nil.
func (s *service) find(key []byte) *instance {
	i, ok := sort.Find(len(s.instances), func(i int) int { return bytes.Compare(key, s.instances[i].key) })
	if !ok {
		return nil
	}
	return &s.instances[i]
}
