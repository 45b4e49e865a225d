package zone

import (
	"errors"
	"fmt"
	"slices"

	"github.com/miekg/dns"
)

// Order returns the services in the order in which a Mix asks for them.
func (z Zone) Order() []int { return shuffled(z.Services) }

// Check reports how a reply of so many octets differs from what a server of this zone answers to the query for the i-th
// service: with authority, every record and no other, and for SRV the addresses of all targets, as far as there is room
// in the reply for another and a pointer reaches their names. A truncated reply may leave out any. What else is in the additional and authority sections
// is the server's affair.
func (z Zone) Check(q Query, i int, reply *dns.Msg, octets, room int) error {
	if !reply.Authoritative {
		return errors.New("not authoritative")
	}
	if q.Kind == Missing {
		return checkMissing(reply)
	}
	if reply.Rcode != dns.RcodeSuccess {
		return fmt.Errorf("RCODE %s", dns.RcodeToString[reply.Rcode])
	}
	if err := compare("answer", z.expected(q.Kind, i), texts(reply.Answer), reply.Truncated); err != nil {
		return err
	}
	if q.Kind == SRV && !reply.Truncated {
		return z.checkGlue(i, reply, octets+addressLen > room || octets > maxPointer)
	}
	return nil
}

// compare reports records that are not wanted and, unless some may be missing, those that are not there.
func compare(section string, want, got []string, missing bool) error {
	slices.Sort(want)
	slices.Sort(got)
	for i, record := range got {
		if _, found := slices.BinarySearch(want, record); !found || i > 0 && record == got[i-1] {
			return fmt.Errorf("%s of %d records: %q is not wanted", section, len(got), record)
		}
	}
	for _, record := range want {
		if _, found := slices.BinarySearch(got, record); !found && !missing {
			return fmt.Errorf("%s of %d records: %q is missing", section, len(got), record)
		}
	}
	return nil
}

// An A record whose name is a pointer is addressLen octets long, and a pointer reaches no further than maxPointer (RFC
// 1035 section 4.1.4).
const (
	addressLen = 16
	maxPointer = 1<<14 - 1
)

// checkMissing wants an error with the SOA record, by which a resolver remembers it (RFC 2308).
func checkMissing(reply *dns.Msg) error {
	soa := slices.ContainsFunc(reply.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA })
	if reply.Rcode != dns.RcodeNameError || len(reply.Answer) > 0 || !soa {
		return fmt.Errorf("not NXDOMAIN with an SOA record: %s", reply)
	}
	return nil
}

// checkGlue compares the addresses of the i-th service's hosts.
func (z Zone) checkGlue(i int, reply *dns.Msg, full bool) error {
	want := make([]string, z.Instances)
	for j := range want {
		want[j] = z.address(id(j)+"."+bare(i)+"."+Name, i, j)
	}
	var got []string
	for _, rr := range reply.Extra {
		if a, ok := rr.(*dns.A); ok && dns.IsSubDomain(bare(i)+"."+Name, a.Hdr.Name) {
			got = append(got, a.String())
		}
	}
	return compare("additional section", want, got, full)
}

// expected returns the records of the answer in presentation form.
func (z Zone) expected(kind Kind, i int) []string {
	owner, _ := z.question(kind, i)
	if kind == TXT {
		return []string{fmt.Sprintf("%s\t%d\tIN\tTXT\t%q", owner, TTL, z.Instance(i, i%z.Instances).TXT[0])}
	}
	records := make([]string, z.Instances)
	for j := range records {
		in := z.Instance(i, j)
		switch kind {
		case PTR:
			records[j] = fmt.Sprintf("%s\t%d\tIN\tPTR\t%s.%s", owner, TTL, in.ID, owner)
		case A:
			records[j] = z.address(owner, i, j)
		default:
			records[j] = fmt.Sprintf("%s\t%d\tIN\tSRV\t%d %d %d %s.%s.%s", owner, TTL, in.Priority, in.Weight, in.Port, in.Host, bare(i), Name)
		}
	}
	return records
}

// address returns an A record of an instance in presentation form.
func (z Zone) address(owner string, i, j int) string {
	return fmt.Sprintf("%s\t%d\tIN\tA\t%s", owner, TTL, z.Instance(i, j).Addresses[0])
}

// texts returns the records in presentation form.
func texts(records []dns.RR) []string {
	list := make([]string, len(records))
	for i, rr := range records {
		list[i] = rr.String()
	}
	return list
}
