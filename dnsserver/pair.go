package dnsserver

import (
	"sync"
	"sync/atomic"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/internal/dnssd"
	"github.com/dnsreg/dnsreg/store"
)

// pair is what the services of one bare name, _web._tcp and _web._udp, have in answers. It is made of one snapshot of
// each and so never out of date: a service that changes gets another pair, and nobody else does. What was not asked
// for is not there yet; who asks first makes it while others who ask for the same pair wait.
type pair struct {
	// A query mostly reads no more than the beginning.
	checked  atomic.Uint64 // the number of the last view that was seen to have just these snapshots
	services [protocols]answers
	label    [1 + dnssd.MaxLabel]byte // behind its length

	snapshots [protocols]*store.Snapshot
	addresses atomic.Pointer[bareForms]
	mu        sync.Mutex // held while something is made
	below     atomic.Pointer[hosts]
}

// Protocols, as they number the services of a pair.
const (
	protoTCP = iota
	protoUDP
	protocols
)

// answers is what is answered at the name of one service, and below it.
type answers struct {
	answered bool
	broken   bool // a name of it cannot be encoded
	forms    [3]atomic.Pointer[form]
	below    atomic.Pointer[service] // where names below it were asked for
}

// serviceTypes is the types of a service's name, in the order of answers.forms.
var serviceTypes = [...]uint16{dns.TypeSRV, dns.TypePTR, dns.TypeTXT}

// bareForms is the answers at a bare name: A and AAAA, nil where there are no such addresses.
type bareForms [2]*form

func (f *pair) name() []byte { return f.label[1 : 1+f.label[0]] }

// in reports whether any service of the pair is in a view.
func (f *pair) in(view *store.View) bool {
	tcp, udp := view.Named(f.name())
	return tcp != nil || udp != nil
}

// bare returns the number of the service whose addresses come first at the bare name, false if neither is answered.
func (f *pair) bare() (int, bool) {
	for i := range f.services {
		if f.services[i].answered {
			return i, true
		}
	}
	return 0, false
}

// pair returns the pair of a name label, without an underscore, as it is in the view; nil where it has no services.
func (l *lookup) pair(label []byte) *pair {
	f := l.index.find(label)
	if f != nil && f.checked.Load() == l.number {
		return f
	}
	var now [protocols]*store.Snapshot
	now[protoTCP], now[protoUDP] = l.view.Named(label)
	if now == [protocols]*store.Snapshot{} {
		return nil
	}
	if f == nil || f.snapshots != now {
		f = l.index.put(l.newPair(label, now), l.view)
	}
	f.checked.Store(l.number)
	return f
}

func (a *authority) newPair(label []byte, snapshots [protocols]*store.Snapshot) *pair {
	f := &pair{snapshots: snapshots}
	f.label[0] = byte(copy(f.label[1:], label))
	for i, snapshot := range snapshots {
		if !snapshot.Answered() {
			continue
		}
		err := checkNames(a.zone, snapshot)
		if err != nil {
			a.logger.Error("service cannot be answered", "service", snapshot.Service, "error", err)
		}
		f.services[i].answered, f.services[i].broken = true, err != nil
	}
	return f
}

// form returns the answer to a type at the name of a service, nil if it has none.
func (l *lookup) form(f *pair, proto int, qtype uint16) *form {
	if qtype == dns.TypeANY {
		var all [len(serviceTypes)]*form
		for i := range all {
			all[i] = l.serviceForm(f, proto, i)
		}
		return smallest(all[:]...)
	}
	for i, typ := range serviceTypes {
		if typ == qtype {
			return l.serviceForm(f, proto, i)
		}
	}
	return nil
}

// smallest returns the answer to a question of type ANY (RFC 8482 section 4.1).
func smallest(forms ...*form) *form {
	var best *form
	for _, f := range forms {
		if f != nil && (best == nil || f.size < best.size) {
			best = f
		}
	}
	return best
}

func (l *lookup) serviceForm(f *pair, proto, i int) *form {
	place := &f.services[proto].forms[i]
	if made := place.Load(); made != nil {
		return made
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	made := place.Load()
	if made == nil {
		s := l.compiled(f, proto)
		set := [...]*rrset{s.srv, s.ptr, s.txt}[i]
		p := newPacking(set, len(s.wire))
		if set.typ != dns.TypeTXT {
			p.addOf(set, s, l.hosts(f))
		}
		made = p.finish()
		place.Store(made)
	}
	return made
}

// compiled returns the sets of a service, which are kept only where names below it are asked for.
func (l *lookup) compiled(f *pair, proto int) *service {
	if s := f.services[proto].below.Load(); s != nil {
		return s
	}
	return compile(l.zone, f.snapshots[proto], l.ttl)
}

// hosts returns the addresses of the hosts of a pair, which are kept in the same way.
func (l *lookup) hosts(f *pair) hosts {
	if h := f.below.Load(); h != nil {
		return *h
	}
	return hostAddresses(f.snapshots[protoTCP], f.snapshots[protoUDP], l.ttl)
}

// bareForms returns the answers at the bare name.
func (l *lookup) bareForms(f *pair) *bareForms {
	if made := f.addresses.Load(); made != nil {
		return made
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	made := f.addresses.Load()
	if made == nil {
		made = new(bareForms)
		all := bareAddresses(f.snapshots[protoTCP], f.snapshots[protoUDP], l.ttl)
		nameLen := 1 + len(f.name()) + len(l.zone.wire)
		for i, set := range [...]*rrset{all.a, all.aaaa} {
			if set != nil {
				made[i] = newForm(set, nameLen)
			}
		}
		f.addresses.Store(made)
	}
	return made
}

// pick returns the answer to a type.
func (b *bareForms) pick(qtype uint16) *form {
	switch qtype {
	case dns.TypeA:
		return b[0]
	case dns.TypeAAAA:
		return b[1]
	case dns.TypeANY:
		return smallest(b[:]...)
	default:
		return nil
	}
}

// hostsBelow returns the addresses of the hosts below a bare name.
func (l *lookup) hostsBelow(f *pair) hosts {
	if h := f.below.Load(); h != nil {
		return *h
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	h := l.hosts(f)
	f.below.Store(&h)
	return h
}

// setsBelow returns the sets of a service's instances and subtypes.
func (l *lookup) setsBelow(f *pair, proto int) *service {
	if s := f.services[proto].below.Load(); s != nil {
		return s
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s := l.compiled(f, proto)
	f.services[proto].below.Store(s)
	return s
}
