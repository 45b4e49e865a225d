package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// startPrometheus runs Prometheus, which discovers the services web and big by their SRV records, and the hosts of web
// by their addresses. It returns the URL of its API.
func startPrometheus(t testing.TB) string {
	t.Helper()
	dir, addr := t.TempDir(), freePort(t)
	conf := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf(`global: {scrape_interval: 1h}
scrape_configs:
  - job_name: web
    dns_sd_configs: [{names: [_web._tcp.%[1]s], refresh_interval: 500ms}]
  - job_name: big
    dns_sd_configs: [{names: [_big._tcp.%[1]s], refresh_interval: 500ms}]
  - job_name: hosts
    dns_sd_configs: [{names: [web.%[1]s], type: A, port: 9100, refresh_interval: 500ms}]
`, zone)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	program(t, "prometheus", "--config.file="+conf, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr)
	return "http://" + addr + "/api/v1/targets?state=active"
}

// discovered returns the addresses of the targets of each of Prometheus's jobs, in order; none while it starts.
func discovered(t testing.TB, url string) map[string][]string {
	t.Helper()
	client := http.Client{Timeout: patience}
	resp, err := client.Get(url)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	var reply struct {
		Data struct {
			ActiveTargets []struct {
				DiscoveredLabels map[string]string `json:"discoveredLabels"`
			} `json:"activeTargets"`
		} `json:"data"`
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if json.Unmarshal(body, &reply) != nil {
		return nil // it says that it is not ready
	}
	all := map[string][]string{}
	for _, target := range reply.Data.ActiveTargets {
		job := target.DiscoveredLabels["job"]
		all[job] = append(all[job], target.DiscoveredLabels["__address__"])
	}
	for _, targets := range all {
		slices.Sort(targets)
	}
	return all
}

// TestPrometheus has Prometheus discover what is registered and follow what comes and goes. It reads the server's address
// from /etc/resolv.conf, and passes changes on every five seconds.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	if !alone(t) {
		return
	}
	s := onPort53(t)
	url := startPrometheus(t)
	put := func(id, address string, port int) {
		s.put(t, "web", id, fmt.Sprintf(`{"addresses":[%q],"port":%d,"ttl":"10m"}`, address, port))
	}
	put("one", "10.0.0.1", 8081)
	put("two", "10.0.0.2", 8082)
	putMany(t, s, "big", 150)
	var big []string
	for i := range 150 {
		big = append(big, fmt.Sprintf("node-%03d.big.%s:%d", i, zone[:len(zone)-1], 9000+i))
	}
	finds := func(job string, want ...string) {
		t.Helper()
		var got []string
		within(t, 2*patience, fmt.Sprintf("%s has %d targets", job, len(want)), func() bool {
			got = discovered(t, url)[job]
			return slices.Equal(got, want)
		})
	}
	finds("web", "one.web.svc.internal:8081", "two.web.svc.internal:8082")
	finds("hosts", "10.0.0.1:9100", "10.0.0.2:9100")
	finds("big", big...)
	s.remove(t, "web", "one")
	put("three", "10.0.0.3", 8083)
	s.remove(t, "big", "node-000")
	finds("web", "three.web.svc.internal:8083", "two.web.svc.internal:8082")
	finds("hosts", "10.0.0.2:9100", "10.0.0.3:9100")
	finds("big", big[1:]...)
}
