package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dnsreg/dnsreg/internal/dnssd"
)

const zone = "svc.internal."

// instance is what every client is asked to find.
type instance struct {
	id, target, address, txt string
	priority, weight, port   int
	subtypes                 []string
}

func instances() []instance {
	return []instance{
		{"web-1", "web-1.web." + zone, "10.0.0.1", "version=1.2", 0, 1, 8081, []string{"plain"}},
		{"Web One", dnssd.HostLabel("Web One") + ".web." + zone, "10.0.0.2", `path=C:\x`, 10, 20, 8082, []string{}},
		{"büro.two", dnssd.HostLabel("büro.two") + ".web." + zone, "10.0.0.3", "k=a b", 10, 65535, 8083, []string{}},
	}
}

func (i instance) name() string { return dnssd.InstanceName(zone, "_web._tcp", i.id) }

func (i instance) srv() string {
	return fmt.Sprintf("%d %d %d %s", i.priority, i.weight, i.port, i.target)
}

// client asks for one name and type, and returns the data of the answer's records: SRV and PTR as RFC 1035 presents
// them, TXT without quotes and escapes, addresses as they are.
type client struct {
	name   string
	lookup func(t testing.TB, s *server, name, qtype string) []string
	asks   func(name, qtype string) bool // nil: everything
}

func clients() []client {
	return []client{
		{"dig", dig, nil},
		{"dig over TCP", digTCP, nil},
		{"kdig", kdig, nil},
		{"nslookup", nslookup, nil},
		{"host", host, nil},
		{"delv", delv, nil},
		{"drill", drill, nil},
		{"Net::DNS", perl, nil},
		{"dnspython", python, nil},
		{"Node", node, nodeAsks()},
		{"Go", goResolver, func(name, qtype string) bool { return ldhOnly(name, qtype) && qtype != "PTR" }},
	}
}

// ldhOnly leaves out the names that c-ares and Go's resolver refuse to ask for before they send anything.
func ldhOnly(name, _ string) bool { return !strings.Contains(name, `\`) }

// nodeAsks leaves out what Node's c-ares refuses: besides ldhOnly, before 1.20 it rejects a whole PTR answer for one name
// with a space or a dot in a label.
func nodeAsks() func(name, qtype string) bool {
	out, err := exec.Command("node", "-p", "process.versions.ares").Output()
	old := err == nil && regexp.MustCompile(`^1\.1?[0-9]\.`).Match(out)
	return func(name, qtype string) bool {
		return ldhOnly(name, qtype) && !(old && qtype == "PTR" && strings.HasPrefix(name, "_web."))
	}
}

// TestClients has every client read the same three instances.
func TestClients(t *testing.T) {
	t.Parallel()
	s := serve(t)
	register(t, s)
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, q := range questions() {
				if c.asks != nil && !c.asks(q.name, q.qtype) {
					continue
				}
				got := c.lookup(t, s, q.name, q.qtype)
				slices.Sort(got)
				slices.Sort(q.want)
				if !slices.Equal(got, q.want) {
					t.Errorf("%s %s:\n got %q\nwant %q", q.name, q.qtype, got, q.want)
				}
			}
		})
	}
}

// register registers the instances.
func register(t testing.TB, s *server) {
	t.Helper()
	for _, i := range instances() {
		body, err := json.Marshal(map[string]any{
			"addresses": []string{i.address}, "port": i.port, "priority": i.priority, "weight": i.weight, "txt": []string{i.txt},
			"subtypes": i.subtypes, "ttl": "10m",
		})
		if err != nil {
			t.Fatal(err)
		}
		s.put(t, "web", i.id, string(body))
	}
}

type query struct {
	name, qtype string
	want        []string
}

// questions are the names and types under which the instances are found.
func questions() []query {
	var srv, ptr, all []string
	var qs []query
	for _, i := range instances() {
		srv, ptr, all = append(srv, i.srv()), append(ptr, i.name()), append(all, i.address)
		qs = append(qs,
			query{i.name(), "SRV", []string{i.srv()}},
			query{i.name(), "TXT", []string{i.txt}},
			query{i.target, "A", []string{i.address}},
		)
	}
	return append(qs,
		query{"_web._tcp." + zone, "SRV", srv},
		query{"_web._tcp." + zone, "PTR", ptr},
		query{"plain._sub._web._tcp." + zone, "PTR", slices.Clone(ptr[:1])},
		query{"web." + zone, "A", all},
		query{"_services._dns-sd._udp." + zone, "PTR", []string{"_web._tcp." + zone}},
	)
}

func dig(t testing.TB, s *server, name, qtype string) []string {
	return plain(qtype, output(t, "dig", "@127.0.0.1", "-p", s.port(), "+short", name, qtype))
}

func digTCP(t testing.TB, s *server, name, qtype string) []string {
	return plain(qtype, output(t, "dig", "@127.0.0.1", "-p", s.port(), "+short", "+tcp", name, qtype))
}

func kdig(t testing.TB, s *server, name, qtype string) []string {
	out := output(t, "kdig", "@127.0.0.1", "-p", s.port(), "+short", name, qtype)
	return plain(qtype, strings.TrimLeft(out, "\n")) // an empty line where it asked once more over TCP
}

func nslookup(t testing.TB, s *server, name, qtype string) []string {
	out := output(t, "nslookup", "-port="+s.port(), "-type="+qtype, name, "127.0.0.1")
	_, answer, _ := strings.Cut(out, "\n\n") // behind the server's own address
	find := map[string]string{"SRV": `service = (.*)`, "PTR": `name = (.*)`, "TXT": `text = (.*)`, "A": `Address: (.*)`}
	return plain(qtype, matches(answer, find[qtype]))
}

func host(t testing.TB, s *server, name, qtype string) []string {
	out := output(t, "host", "-p", s.port(), "-t", qtype, name, "127.0.0.1")
	find := map[string]string{"SRV": `has SRV record (.*)`, "PTR": `domain name pointer (.*)`, "TXT": `descriptive text (.*)`, "A": `has address (.*)`}
	return plain(qtype, matches(out, find[qtype]))
}

func delv(t testing.TB, s *server, name, qtype string) []string {
	return plain(qtype, output(t, "delv", "@127.0.0.1", "-p", s.port(), "+noroot", "-i", "+short", name, qtype))
}

func drill(t testing.TB, s *server, name, qtype string) []string {
	return drilled(qtype, output(t, "drill", "-p", s.port(), name, qtype, "@127.0.0.1"))
}

// drillTCP is for answers that UDP cuts: drill asks no second time by itself.
func drillTCP(t testing.TB, s *server, name, qtype string) []string {
	return drilled(qtype, output(t, "drill", "-t", "-p", s.port(), name, qtype, "@127.0.0.1"))
}

// drilled returns the records of the answer section that drill prints.
func drilled(qtype, out string) []string {
	_, answer, _ := strings.Cut(out, ";; ANSWER SECTION:\n")
	answer, _, _ = strings.Cut(answer, "\n\n")
	return plain(qtype, matches(answer, `\tIN\t`+qtype+`\t(.*)`))
}

func perl(t testing.TB, s *server, name, qtype string) []string {
	const script = `
my ($port, $name, $type) = @ARGV;
my $r = Net::DNS::Resolver->new(nameservers => ["127.0.0.1"], port => $port);
my $reply = $r->query($name, $type) or die $r->errorstring;
print $_->rdstring, "\n" for $reply->answer;
`
	return plain(qtype, output(t, "perl", "-MNet::DNS", "-e", script, s.port(), name, qtype))
}

// matches returns what the one group of a pattern matches, each on a line.
func matches(text, pattern string) string {
	var found []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	return strings.Join(found, "\n")
}

func python(t testing.TB, s *server, name, qtype string) []string {
	const script = `
import sys, dns.resolver
r = dns.resolver.Resolver(configure=False)
r.nameservers, r.port = ["127.0.0.1"], int(sys.argv[1])
for rr in r.resolve(sys.argv[2], sys.argv[3]):
    print(rr.to_text())
`
	return plain(qtype, output(t, "/usr/bin/python3", "-c", script, s.port(), name, qtype))
}

func node(t testing.TB, s *server, name, qtype string) []string {
	const script = `
const [port, name, type] = process.argv.slice(1);
const r = new (require("dns").promises.Resolver)();
r.setServers(["127.0.0.1:" + port]);
r.resolve(name.slice(0, -1), type).then(rrs => {
  for (const rr of rrs) {
    if (type === "SRV") console.log(rr.priority, rr.weight, rr.port, rr.name + ".");
    else if (type === "TXT") console.log(rr.join(""));
    else if (type === "PTR") console.log(rr + ".");
    else console.log(rr);
  }
}, err => { console.error(err); process.exit(1); });
`
	return lines(strings.ReplaceAll(output(t, "node", "-e", script, s.port(), name, qtype), "Web One", `Web\032One`)) // c-ares leaves spaces
}

func goResolver(t testing.TB, s *server, name, qtype string) []string {
	t.Helper()
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.dns)
	}}
	var records []string
	var err error
	switch qtype {
	case "SRV":
		var srvs []*net.SRV
		_, srvs, err = r.LookupSRV(t.Context(), "", "", name)
		for _, srv := range srvs {
			records = append(records, fmt.Sprintf("%d %d %d %s", srv.Priority, srv.Weight, srv.Port, srv.Target))
		}
	case "TXT":
		records, err = r.LookupTXT(t.Context(), name)
	default:
		records, err = r.LookupHost(t.Context(), name)
	}
	if err != nil {
		t.Fatalf("%s %s: %v", name, qtype, err)
	}
	return records
}

func lines(out string) []string { return strings.Split(strings.TrimSuffix(out, "\n"), "\n") }

// plain splits output into lines, and takes the quotes and escapes off TXT strings.
func plain(qtype, out string) []string {
	records := lines(out)
	if qtype != "TXT" {
		return records
	}
	for i, r := range records {
		records[i] = strings.NewReplacer(`\\`, `\`, `"`, "").Replace(r)
	}
	return records
}
