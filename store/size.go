package store

import (
	"fmt"
	"net/netip"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

// Sizes in octets of a DNS message (RFC 1035 section 4.1) and of what a record takes beside its data, its owner name
// being a pointer to the question.
const (
	maxMessage   = 65535
	header       = 12
	question     = dnssd.MaxName + 4
	optReserve   = 256 // OPT record with every option that the server may send
	answerRoom   = maxMessage - header - question - optReserve
	recordHeader = 2 + 10
	pointer      = 2
)

// CheckSize checks that every answer of a service can be encoded in one DNS message over TCP (RFC 1035 section 4.2.2):
// SRV, PTR and TXT at the service's name, and the addresses at the name that it shares with its sibling. Draining
// instances count, since they may come back at any time. Its error is an [ErrFull] that names the answer and its size.
func CheckSize(zone string, service, sibling *Snapshot) error {
	if fitsWithDuplicates(zone, service, sibling) {
		return nil
	}
	name, bare := dnssd.ServiceName(zone, string(service.Service)), dnssd.AddressName(zone, string(service.Service))
	for _, set := range []struct {
		what string
		size int
	}{
		{name + " SRV", sizeOfSRV(zone, service)},
		{name + " PTR", sizeOfPTR(service)},
		{name + " TXT", sizeOfTXT(service)},
		{bare + " A", sizeOfAddresses(service, sibling, 4)},
		{bare + " AAAA", sizeOfAddresses(service, sibling, 16)},
	} {
		if set.size > answerRoom {
			return fmt.Errorf("%w: with %d instances the answer to %s takes %d octets, and a DNS message has room for %d",
				ErrFull, len(service.Instances), set.what, set.size, answerRoom)
		}
	}
	return nil
}

// fitsWithDuplicates reports whether every answer fits even if no two records in it are equal: the quick way to the
// usual result, without looking for equal ones.
func fitsWithDuplicates(zone string, service, sibling *Snapshot) bool {
	behind := len("." + dnssd.AddressName(zone, string(service.Service))) // of an external host there is less
	srv, txt := 0, 0
	for i := range service.Instances {
		in := &service.Instances[i]
		srv += srvSize(len(in.Host) + behind)
		txt += recordHeader + dnssd.TXTSize(in.TXT)
	}
	addresses := 0
	for _, s := range []*Snapshot{service, sibling} {
		for i := range s.len() {
			addresses += len(s.Instances[i].Addresses)
		}
	}
	return max(srv, txt, sizeOfPTR(service), addresses*(recordHeader+16)) <= answerRoom
}

// srvSize returns the size of an SRV record with a target of this length in presentation form. RFC 2782: the target is
// not compressed.
func srvSize(target int) int { return recordHeader + 6 + target + 1 }

func sizeOfSRV(zone string, s *Snapshot) int {
	type key struct {
		host                   string
		port, priority, weight uint16
	}
	seen := make(map[key]bool, len(s.Instances))
	size := 0
	for i := range s.Instances {
		in := &s.Instances[i]
		k := key{in.Host, in.Port, in.Priority, in.EffectiveWeight()}
		if !seen[k] {
			seen[k] = true
			size += srvSize(len(dnssd.TargetName(zone, string(s.Service), in.Host)))
		}
	}
	return size
}

func sizeOfPTR(s *Snapshot) int {
	size := 0
	for i := range s.Instances {
		size += recordHeader + 1 + len(s.Instances[i].ID) + pointer
	}
	return size
}

func sizeOfTXT(s *Snapshot) int {
	seen := make(map[string]bool, len(s.Instances))
	size := 0
	for i := range s.Instances {
		txt := s.Instances[i].TXT
		if k := string(dnssd.AppendTXT(nil, txt)); !seen[k] {
			seen[k] = true
			size += recordHeader + dnssd.TXTSize(txt)
		}
	}
	return size
}

// sizeOfAddresses counts the distinct addresses of one family, of 4 or 16 octets, over both services of a name.
func sizeOfAddresses(service, sibling *Snapshot, octets int) int {
	seen := make(map[netip.Addr]bool)
	for _, s := range []*Snapshot{service, sibling} {
		for i := range s.len() {
			for _, a := range s.Instances[i].Addresses {
				if a.BitLen() == 8*octets {
					seen[a] = true
				}
			}
		}
	}
	return len(seen) * (recordHeader + octets)
}
