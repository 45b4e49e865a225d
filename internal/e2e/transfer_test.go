package e2e_test

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// populate registers instances of every kind that the zone has names for.
func (s *server) populate(t testing.TB) {
	t.Helper()
	for _, in := range []struct{ service, id, body string }{
		{"_web._tcp", "web-1", `{"port":8081,"ttl":"1h","addresses":["10.0.0.1","2001:db8::1"],"txt":["version=1.2","flag","k="],"subtypes":["plain","dot.ted"]}`},
		{"_web._tcp", "Web One", `{"port":8082,"ttl":"1h","addresses":["10.0.0.2"],"weight":7,"priority":3}`},
		{"_web._tcp", "büro.two", `{"port":8083,"ttl":"30m","addresses":["10.0.0.3"],"txt":["path=C:\\x \"y\""]}`},
		{"_web._udp", "udp-1", `{"port":8084,"ttl":"1h","addresses":["10.0.0.4","10.0.0.1"],"host":"web-1"}`},
		{"_db._tcp", "far", `{"port":5432,"ttl":"1h","host":"db.example.org."}`},
		{"_db._tcp", "near", `{"port":5432,"ttl":"1h","addresses":["10.0.0.5"]}`},
		{"_away._tcp", "gone", `{"port":1,"ttl":"1h","addresses":["10.0.0.6"]}`},
	} {
		s.put(t, in.service, in.id, in.body)
	}
	if status, reply := s.call(t, "PATCH", "/v1/services/_away._tcp/instances/gone", `{"state":"draining"}`); status != 200 {
		t.Fatalf("drain: status %d: %s", status, reply)
	}
}

// names returns every name that a server transfers, those between them and the zone, and some that do not exist.
func names(t testing.TB, addr string) []string {
	t.Helper()
	all := map[string]bool{}
	messages, err := new(dns.Transfer).In(new(dns.Msg).SetAxfr(zone), addr)
	if err != nil {
		t.Fatal(err)
	}
	for m := range messages {
		if m.Error != nil {
			t.Fatal(m.Error)
		}
		for _, rr := range m.RR {
			for name := rr.Header().Name; dns.IsSubDomain(zone, name); {
				all[name] = true
				all["nope."+name] = true
				i, _ := dns.NextLabel(name, 0)
				name = name[i:]
			}
		}
	}
	for _, name := range []string{"_away._tcp.", "gone._away._tcp.", "away.", "nope._sub._web._tcp."} {
		all[name+zone] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// told is what a server answers, as far as a secondary has to answer the same: the letter case of names, which not every
// server keeps, and the records beyond the answer are left out.
func told(t testing.TB, network, addr, name string, qtype uint16) string {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, qtype)
	m.SetEdns0(1232, false)
	client := dns.Client{Net: network, Timeout: patience, UDPSize: 1232}
	reply, _, err := client.Exchange(m, addr)
	for range 2 { // a busy machine may lose a packet
		if err == nil {
			break
		}
		reply, _, err = client.Exchange(m, addr)
	}
	if err != nil {
		t.Fatalf("%s %d: %v", name, qtype, err)
	}
	var records []string
	for _, rr := range slices.Concat(reply.Answer, soas(reply.Ns)) {
		records = append(records, strings.ToLower(rr.String()))
	}
	slices.Sort(records)
	return fmt.Sprintf("%s AA=%t TC=%t\n%s", dns.RcodeToString[reply.Rcode], reply.Authoritative, reply.Truncated, strings.Join(records, "\n"))
}

func soas(rrs []dns.RR) []dns.RR {
	return slices.DeleteFunc(slices.Clone(rrs), func(rr dns.RR) bool { return rr.Header().Rrtype != dns.TypeSOA })
}

// TestNSDAnswersLikeUs compares our answers with those of an NSD secondary over every name and nine types, while the
// zone is quiet. NSD's processes that have the version before may answer yet for a moment.
func TestNSDAnswersLikeUs(t *testing.T) {
	t.Parallel()
	s, addr := follow(t, "NSD", false, "--dns-ttl", "2h") // so that TTLs differ
	s.populate(t)
	s.put(t, "_brief._tcp", "a", `{"port":1,"ttl":"1m","addresses":["10.0.0.1"]}`)
	s.untilSame(t, addr)
	s.remove(t, "_brief._tcp", "a")
	s.untilSame(t, addr)
	all, compared, replaced := names(t, s.dns), 0, time.Now().Add(patience/4)
	for _, name := range all {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeTXT, dns.TypePTR, dns.TypeSOA, dns.TypeNS, dns.TypeMX, dns.TypeCNAME} {
			for _, network := range []string{"udp", "tcp"} {
				compared++
				ours, theirs := told(t, network, s.dns, name, qtype), told(t, network, addr, name, qtype)
				for ours != theirs && time.Now().Before(replaced) {
					theirs = told(t, network, addr, name, qtype)
				}
				if ours != theirs {
					t.Errorf("%s %s over %s:\nours   %s\ntheirs %s", name, dns.TypeToString[qtype], network, ours, theirs)
				}
			}
		}
	}
	if len(all) < 50 || compared != len(all)*18 {
		t.Errorf("%d names, %d comparisons", len(all), compared)
	}
}

// keyFile writes the key for a server, and the same for dig and kdig.
func keyFile(t testing.TB) (ours, theirs string) {
	t.Helper()
	dir := t.TempDir()
	ours, theirs = filepath.Join(dir, "keys"), "hmac-sha256:"+keyName+":"+keySecret
	if err := os.WriteFile(ours, []byte("# one key\n"+keyName+" hmac-sha256 "+keySecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// TestTransferTools has dig and kdig take the zone, signed, and ldns-notify tell a server that takes no zone.
func TestTransferTools(t *testing.T) {
	t.Parallel()
	ours, theirs := keyFile(t)
	s := serve(t, "--dns-keys", ours, "--zone-transfer", "@"+keyName)
	s.populate(t)
	first := serial(s.dns)
	at := []string{"@127.0.0.1", "-p", s.port()}
	take := func(command string, args ...string) string {
		return output(t, command, slices.Concat(at, []string{"-y", theirs}, args)...)
	}
	digged := take("dig", "AXFR", zone)
	for _, want := range []string{"_web._tcp.svc.internal.", `Web\032One._web._tcp.svc.internal.`, "db.example.org.", "; Transfer failed", "TSIG"} {
		if strings.Contains(digged, want) != (want != "; Transfer failed") {
			t.Errorf("dig AXFR and %q: %s", want, digged)
		}
	}
	if got := take("kdig", "+tcp", "AXFR", zone); strings.Contains(got, "WARNING") || !strings.Contains(got, "lb._dns-sd._udp.svc.internal.") {
		t.Errorf("kdig AXFR: %s", got)
	}
	s.put(t, "_new._tcp", "a", `{"port":1,"ttl":"1h","addresses":["10.0.0.9"]}`)
	changes := take("dig", fmt.Sprintf("IXFR=%d", first), zone)
	if !strings.Contains(changes, "_new._tcp.svc.internal.") || strings.Contains(changes, "web-1") {
		t.Errorf("dig IXFR: %s", changes)
	}
	if got := take("dig", "+short", fmt.Sprintf("IXFR=%d", serial(s.dns)), zone); strings.Count(got, "\n") != 1 {
		t.Errorf("dig IXFR of the current version: %q", got)
	}
	if got := output(t, "dig", slices.Concat(at, []string{"AXFR", zone})...); !strings.Contains(got, "; Transfer failed.") {
		t.Errorf("dig without the key: %s", got)
	}
	if got := take("dig", "+norec", "_new._tcp."+zone, "SRV"); strings.Contains(got, "verify") || !strings.Contains(got, "TSIG PSEUDOSECTION") {
		t.Errorf("a signed query: %s", got)
	}
	host, port, _ := net.SplitHostPort(s.dns)
	if got := output(t, "ldns-notify", "-p", port, "-z", zone, host); !strings.Contains(got, "NOTIMP") {
		t.Errorf("ldns-notify: %s", got)
	}
}
