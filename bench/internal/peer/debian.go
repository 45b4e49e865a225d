package peer

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/dnsreg/dnsreg/bench/internal/zone"
)

// packages says which Debian package brings each command that the benchmark runs.
var packages = []struct{ command, pkg string }{
	{"knotd", "knot"},
	{"nsd", "nsd"},
	{"dnsperf", "dnsperf"},
	{"taskset", "util-linux"},
}

// Missing returns the Debian packages whose commands are not there.
func Missing() []string {
	var missing []string
	for _, p := range packages {
		if _, err := exec.LookPath(p.command); err != nil {
			missing = append(missing, p.pkg)
		}
	}
	return missing
}

// Knot starts Knot DNS with a zone. With cookies it has its module for them, which costs a little even without one.
func Knot(ctx context.Context, place Place, z zone.Zone, cookies bool) (*Server, error) {
	return debian{"knotd", func(port uint16) string { return knotConf(place, port, cookies) }, nil}.start(ctx, place, z)
}

func knotConf(place Place, port uint16, cookies bool) string {
	module := ""
	if cookies {
		module = "    global-module: mod-cookies\n"
	}
	return fmt.Sprintf(`server:
    rundir: %[1]q
    listen: 127.0.0.1@%[2]d
    udp-workers: %[3]d
    tcp-workers: %[3]d
    background-workers: 1
log:
  - target: stderr
    any: warning
database:
    storage: %[1]q
template:
  - id: default
    storage: %[1]q
    journal-content: none
%[4]szone:
  - domain: %[5]s
    file: zone
`, place.Dir, port, len(place.Cores), module, zone.Name)
}

// NSD starts NSD with a zone. It answers cookies, whose mere readiness costs nothing, and limits no rates. Its
// replies have an authority section, which those of the others have not: without it, it leaves out the addresses of SRV
// targets too, and a reply would lack what clients need.
func NSD(ctx context.Context, place Place, z zone.Zone) (*Server, error) {
	return debian{"nsd", func(port uint16) string { return nsdConf(place, port) }, []string{"-d"}}.start(ctx, place, z)
}

func nsdConf(place Place, port uint16) string {
	return fmt.Sprintf(`server:
    ip-address: 127.0.0.1
    port: %[2]d
    server-count: %[3]d
    reuseport: yes
    username: ""
    zonesdir: %[1]q
    database: ""
    pidfile: ""
    xfrdfile: %[4]q
    zonelistfile: %[5]q
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
    minimal-responses: no
    answer-cookie: yes
    tcp-count: 1000
remote-control:
    control-enable: no
zone:
    name: %[6]s
    zonefile: zone
`, place.Dir, port, len(place.Cores), filepath.Join(place.Dir, "xfrd"), filepath.Join(place.Dir, "zonelist"), zone.Name)
}

// debian is a server of Debian's.
type debian struct {
	name string
	conf func(port uint16) string
	args []string // besides the path of the configuration file
}

// start starts it with the zone in a file.
func (d debian) start(ctx context.Context, place Place, z zone.Zone) (*Server, error) {
	addr, err := freePort()
	if err != nil {
		return nil, err
	}
	if err := writeZone(filepath.Join(place.Dir, "zone"), z); err != nil {
		return nil, err
	}
	path := filepath.Join(place.Dir, "conf")
	if err := os.WriteFile(path, []byte(d.conf(addr.Port())), 0o600); err != nil {
		return nil, err
	}
	s, err := start(place, addr, d.name, append(d.args, "-c", path)...)
	if err != nil {
		return nil, err
	}
	s.Version = version(d.name)
	return s, s.ready(ctx, s.apex)
}

func writeZone(path string, z zone.Zone) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	if _, err := z.WriteTo(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// version returns the number in what a command says of its version, on whatever stream and with whatever exit code.
func version(name string) string {
	flag := "-v"
	if name == "knotd" {
		flag = "-V"
	}
	text, _ := exec.Command(name, flag).CombinedOutput()
	return versionIn(string(text))
}

func versionIn(text string) string {
	if number := regexp.MustCompile(`\d+\.\d+(\.\d+)*`).FindString(text); number != "" {
		return number
	}
	return strings.TrimSpace(text)
}
