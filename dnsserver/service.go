package dnsserver

import (
	"bytes"
	"fmt"
	"sort"
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
	hosts     []string // in the zone, as the instances name them
	err       error    // a name of it cannot be encoded: it cannot be answered
}

// instance is the record sets of one instance; it has one SRV record and one TXT record.
type instance struct {
	key      []byte
	srv, txt *rrset
}

// compiler builds a service.
type compiler struct {
	*service
	zone     *zone
	ttl      time.Duration // the greatest that a set may have
	seen     distinctRecords
	hostRefs map[string]int32
}

// compile returns the record sets of a snapshot, nil if no instance of it is answered.
func compile(z *zone, snapshot *store.Snapshot, ttl time.Duration) *service {
	if !snapshot.Answered() {
		return nil
	}
	c := compiler{
		service: &service{
			snapshot: snapshot,
			srv:      newRRset(dns.TypeSRV, ttl),
			ptr:      newRRset(dns.TypePTR, ttl),
			txt:      newRRset(dns.TypeTXT, ttl),
			subtypes: make(map[string]*rrset),
		},
		zone:     z,
		ttl:      ttl,
		seen:     make(distinctRecords),
		hostRefs: make(map[string]int32),
	}
	c.wire, c.err = wireName(dnssd.ServiceName(z.name, string(snapshot.Service)))
	for live := range snapshot.Up() {
		if c.err == nil {
			c.err = c.add(live)
		}
	}
	return c.service
}

func (c *compiler) add(live *store.Live) error {
	srv, err := c.srvRecord(live)
	if err != nil {
		return fmt.Errorf("instance %q: %w", live.ID, err)
	}
	name, err := appendName(nil, c.wire, live.ID)
	if err != nil {
		return fmt.Errorf("instance %q: %w", live.ID, err)
	}
	txt := record{data: dnssd.AppendTXT(nil, live.TXT), ref: noReference}
	ptr := record{data: name[:1+len(live.ID)], tail: uint8(len(c.wire)), ref: int32(len(c.instances))}

	c.seen.add(c.srv, srv, live.TTL)
	c.seen.add(c.txt, txt, live.TTL)
	c.ptr.add(ptr, live.TTL)
	for _, sub := range live.Subtypes {
		c.subtype(sub).add(ptr, live.TTL)
	}
	in := instance{key: []byte(live.Key()), srv: newRRset(dns.TypeSRV, c.ttl), txt: newRRset(dns.TypeTXT, c.ttl)}
	in.srv.add(srv, live.TTL)
	in.txt.add(txt, live.TTL)
	c.instances = append(c.instances, in)
	return nil
}

func (c *compiler) subtype(sub string) *rrset {
	key := dnssd.Fold(sub)
	if c.subtypes[key] == nil {
		c.subtypes[key] = newRRset(dns.TypePTR, c.ttl)
	}
	return c.subtypes[key]
}

// srvRecord returns the SRV record of an instance; its reference is that of a host in the zone.
func (c *compiler) srvRecord(live *store.Live) (record, error) {
	target, err := wireName(dnssd.TargetName(c.zone.name, string(c.snapshot.Service), live.Host))
	if err != nil {
		return record{}, err
	}
	data := appendSRV(nil, live.Priority, live.EffectiveWeight(), live.Port)
	return record{data: append(data, target...), ref: c.hostRef(live.Host)}, nil
}

func (c *compiler) hostRef(name string) int32 {
	if dnssd.IsExternal(name) {
		return noReference
	}
	ref, ok := c.hostRefs[name]
	if !ok {
		ref = int32(len(c.hosts))
		c.hostRefs[name] = ref
		c.hosts = append(c.hosts, name)
	}
	return ref
}

// checkNames returns an error if a name of a service that is answered cannot be encoded.
func checkNames(z *zone, snapshot *store.Snapshot) error {
	return compile(z, snapshot, 0).err
}

// find returns the instance whose id, in small ASCII letters, is key, or nil.
func (s *service) find(key []byte) *instance {
	i, ok := sort.Find(len(s.instances), func(i int) int { return bytes.Compare(key, s.instances[i].key) })
	if !ok {
		return nil
	}
	return &s.instances[i]
}
