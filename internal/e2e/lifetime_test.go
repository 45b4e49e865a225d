package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestLateness registers 1,000 instances whose heartbeats never come, each in a service of its own, and asks DNS for
// them until they are gone: never before their ttl has passed, and soon after. It prints how late that was, which
// includes the round of questions, and bounds it generously.
func TestLateness(t *testing.T) {
	const (
		count = 1000
		ttl   = 3 * time.Second
		bound = 5 * time.Second
	)
	s := serve(t)
	pending := map[string]time.Time{} // name → earliest moment at which the lease may end
	for i := range count {
		service := fmt.Sprintf("late%d", i)
		sent := time.Now()
		s.put(t, service, "i", fmt.Sprintf(`{"addresses":["10.0.0.1"],"port":80,"ttl":"%s"}`, ttl))
		pending["_"+service+"._tcp."+zone] = sent.Add(ttl)
	}
	conn, err := net.Dial("udp", s.dns)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var late []time.Duration
	for len(pending) > 0 {
		for name, earliest := range pending {
			gone, at := missing(t, conn, name)
			switch {
			case gone && at.Before(earliest):
				t.Fatalf("%s is gone %v before its lease may end", name, earliest.Sub(at))
			case gone:
				late = append(late, at.Sub(earliest))
				delete(pending, name)
			case at.Sub(earliest) > bound:
				t.Fatalf("%s is still answered %v after its lease", name, at.Sub(earliest))
			}
		}
	}
	slices.Sort(late)
	t.Logf("lateness of %d expiries, seen through DNS: p50 %v, p99 %v, max %v", count, late[count/2], late[count*99/100], late[count-1])
}

// missing asks for a service's SRV records and reports whether it does not exist, and when the answer came.
func missing(t testing.TB, conn net.Conn, name string) (bool, time.Time) {
	t.Helper()
	q := new(dns.Msg).SetQuestion(name, dns.TypeSRV)
	co := &dns.Conn{Conn: conn}
	_ = conn.SetDeadline(time.Now().Add(patience))
	if err := co.WriteMsg(q); err != nil {
		t.Fatal(err)
	}
	reply, err := co.ReadMsg()
	if err != nil || reply.Id != q.Id {
		t.Fatalf("%s: %v, %v", name, reply, err)
	}
	if reply.Rcode == dns.RcodeSuccess && len(reply.Answer) != 1 {
		t.Fatalf("%s: neither an answer nor missing: %v", name, reply)
	}
	return reply.Rcode == dns.RcodeNameError, time.Now()
}

// TestDeregisteredIsGoneAtOnce holds that a dig to the server that answered a PUT or DELETE sees it at once.
func TestDeregisteredIsGoneAtOnce(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for i := range 20 {
		id := fmt.Sprintf("i%d", i)
		s.put(t, "web", id, `{"addresses":["10.0.0.1"],"port":80}`)
		if got := dig(t, s, "_web._tcp."+zone, "PTR"); !slices.Equal(got, []string{id + "._web._tcp." + zone}) {
			t.Fatalf("after PUT of %s: %q", id, got)
		}
		if status, reply := s.call(t, http.MethodDelete, "/v1/services/web/instances/"+id, ""); status != http.StatusOK {
			t.Fatalf("DELETE: %d: %s", status, reply)
		}
		if got := dig(t, s, "_web._tcp."+zone, "PTR"); !slices.Equal(got, []string{""}) {
			t.Fatalf("after DELETE of %s: %q", id, got)
		}
	}
}
