package zone

import (
	"bufio"
	"fmt"
	"io"

	"github.com/dnsreg/dnsreg/store"
)

// head is the apex and the browsing names as `dnsreg serve` has them by default.
const head = `$ORIGIN svc.internal.
$TTL 5
@ 300 IN SOA ns1 hostmaster 1 3600 600 604800 5
@ 300 IN NS ns1
ns1 300 IN A 127.0.0.1
b._dns-sd._udp 300 IN PTR @
db._dns-sd._udp 300 IN PTR @
lb._dns-sd._udp 300 IN PTR @
`

// maxSet is how many records Knot takes in one set.
const maxSet = 1<<16 - 1

// WriteTo writes the zone as a master file (RFC 1035 section 5) with the names and records that dnsreg answers for the
// same registrations. The list of more services than maxSet, which would not fit into any answer either, is left out.
func (z Zone) WriteTo(w io.Writer) (int64, error) {
	counted := &counter{w: w}
	buf := bufio.NewWriterSize(counted, 1<<20)
	fmt.Fprint(buf, head)
	for i := range z.Services {
		if z.Services <= maxSet {
			fmt.Fprintf(buf, "_services._dns-sd._udp IN PTR %s\n", z.Service(i))
		}
		for j := range z.Instances {
			z.writeInstance(buf, i, z.Instance(i, j))
		}
	}
	err := buf.Flush()
	return counted.n, err
}

// writeInstance writes the records of an instance. An error stays in w until it is flushed.
func (z Zone) writeInstance(w *bufio.Writer, i int, in store.Instance) {
	service, name := z.Service(i), bare(i)
	srv := fmt.Sprintf("IN SRV %d %d %d %s.%s\n", in.Priority, in.Weight, in.Port, in.Host, name)
	txt := fmt.Sprintf("IN TXT %q\n", in.TXT[0])
	fmt.Fprintf(w, "%s %s%s IN PTR %s.%s\n%s %s", service, srv, service, in.ID, service, service, txt)
	fmt.Fprintf(w, "%s.%s %s%s.%s %s", in.ID, service, srv, in.ID, service, txt)
	fmt.Fprintf(w, "%s.%s IN A %s\n%s IN A %s\n", in.Host, name, in.Addresses[0], name, in.Addresses[0])
}

// counter counts what it passes on.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
