package dnsserver

import (
	"github.com/miekg/dns"
)

// chaos is the names of class CHAOS by which a server tells about itself (RFC 4892), by their wire form. It is immutable.
type chaos map[string]*form

// newChaos returns what a config that has been checked lets be told. What is empty is not told.
func newChaos(c Config) (chaos, error) {
	told := make(chaos)
	if !c.Chaos {
		return told, nil
	}
	for name, text := range map[string]string{
		"version.bind.": c.Version, "version.server.": c.Version,
		"hostname.bind.": c.NSID, "id.server.": c.NSID,
	} {
		if text == "" {
			continue
		}
		wire, err := wireName(name)
		if err != nil {
			return nil, err
		}
		told[string(wire)] = newForm(chaosText(text), len(wire))
	}
	return told, nil
}

// chaosText is a TXT set of one string that no cache keeps.
func chaosText(text string) *rrset {
	set := newRRset(dns.TypeTXT, 0)
	set.add(record{data: append([]byte{byte(len(text))}, text...), ref: noReference}, 0)
	set.class, set.ttl = dns.ClassCHAOS, 0
	return set
}

// answer answers a question of class CHAOS, or reports that it does not.
func (c chaos) answer(q *query, r *reply) bool {
	if q.qclass != dns.ClassCHAOS || q.qtype != dns.TypeTXT && q.qtype != dns.TypeANY {
		return false
	}
	f := c[string(q.name[:q.nameLen])]
	if f == nil {
		return false
	}
	r.answer(f)
	return true
}
