package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/resolverclient"
)

const (
	// rollingTTL is the TTL of the instances' records, and settled how soon after a registration or deregistration
	// every client must have followed it.
	rollingTTL = time.Second
	settled    = rollingTTL + time.Second

	// busy is how much longer that may take here, where everything shares a machine.
	busy = 5 * time.Second
)

// app is one instance of a service of HTTP, registered under an id.
type app struct {
	id     string
	server *httptest.Server
	hits   atomic.Int64
	conns  atomic.Int64
}

// deployment starts and ends instances as a scheduler does.
type deployment struct {
	testing.TB
	registry *server
}

// start runs an instance and registers it.
func (d deployment) start(id string) *app {
	d.Helper()
	a := &app{id: id}
	a.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		a.hits.Add(1)
		fmt.Fprint(w, id)
	}))
	a.server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			a.conns.Add(1)
		case http.StateClosed, http.StateHijacked:
			a.conns.Add(-1)
		}
	}
	a.server.Start()
	d.Cleanup(a.server.Close)
	port := a.server.Listener.Addr().(*net.TCPAddr).Port
	d.registry.put(d, "web", id, fmt.Sprintf(`{"port":%d,"addresses":["127.0.0.1"],"ttl":"10m"}`, port))
	return a
}

// wantTraffic holds that an instance that was registered now is called soon.
func (d deployment) wantTraffic(a *app) {
	d.Helper()
	begun := time.Now()
	within(d, settled+busy, a.id+" gets traffic", func() bool { return a.hits.Load() > 0 })
	d.Logf("%s: first request %v after its registration", a.id, time.Since(begun).Round(time.Millisecond))
}

// stop deregisters instances, ends them once no client may know them any more, and holds that they then were quiet and
// without connections.
func (d deployment) stop(apps ...*app) {
	d.Helper()
	for _, a := range apps {
		if status, reply := d.registry.call(d, http.MethodDelete, "/v1/services/web/instances/"+a.id, ""); status != http.StatusOK {
			d.Fatalf("DELETE %s: status %d: %s", a.id, status, reply)
		}
	}
	pause(d, settled)
	since := time.Now()
	within(d, busy, "the instances are left alone", func() bool { return d.quiet(apps, settled/4) })
	d.Logf("left alone %v after %v from their deregistration", time.Since(since).Round(time.Millisecond), settled)
	for _, a := range apps {
		a.server.Close()
	}
}

// quiet reports whether instances get no request for a while and then have no connections.
func (d deployment) quiet(apps []*app, while time.Duration) bool {
	before := make([]int64, len(apps))
	for i, a := range apps {
		before[i] = a.hits.Load()
	}
	pause(d, while)
	for i, a := range apps {
		if a.hits.Load() != before[i] || a.conns.Load() != 0 {
			return false
		}
	}
	return true
}

func pause(t testing.TB, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

// load sends requests from several callers until stop, which returns how many there were and the failures.
func load(client *http.Client) (stop func() (int64, []string)) {
	ctx, cancel := context.WithCancel(context.Background())
	var callers sync.WaitGroup
	var mu sync.Mutex
	var failed []string
	var sent atomic.Int64
	for range 8 {
		callers.Go(func() {
			for ctx.Err() == nil {
				sent.Add(1)
				if err := get(client); err != nil {
					mu.Lock()
					failed = append(failed, err.Error())
					mu.Unlock()
				}
				time.Sleep(2 * time.Millisecond) // the pace of a caller
			}
		})
	}
	return func() (int64, []string) {
		cancel()
		callers.Wait()
		return sent.Load(), failed
	}
}

func get(client *http.Client) error {
	resp, err := client.Get("http://web/")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// TestRollingRestartAndScale restarts three instances one by one and scales them to six and to two, under load: no request
// fails, new instances are called within a TTL and a second, those that are gone are not called after it, and in the end
// neither goroutines nor connections are left.
func TestRollingRestartAndScale(t *testing.T) {
	registry := serve(t, "--dns-ttl", rollingTTL.String())
	goroutines := runtime.NumGoroutine()
	d := deployment{t, registry}
	var apps []*app
	for i := range 3 {
		apps = append(apps, d.start(fmt.Sprint("web-", i)))
	}
	resolver, err := resolverclient.New(resolverclient.Config{
		Servers: []string{registry.dns}, Zone: zone, Strategy: resolverclient.RoundRobin,
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := load(&http.Client{Transport: resolver.NewTransport(nil), Timeout: patience})
	for i, old := range apps {
		d.wantTraffic(old)
		d.stop(old)
		apps[i] = d.start(old.id)
		d.wantTraffic(apps[i])
	}
	for i := range 3 {
		apps = append(apps, d.start(fmt.Sprint("web-", 3+i)))
	}
	for _, a := range apps {
		d.wantTraffic(a)
	}
	d.stop(apps[2:]...)
	sent, failed := stop()
	if len(failed) > 0 {
		t.Errorf("%d of %d requests failed, the first: %s", len(failed), sent, failed[0])
	}
	t.Logf("%d requests, %d failed", sent, len(failed))
	if err := resolver.Close(); err != nil {
		t.Error(err)
	}
	for _, a := range apps[:2] {
		within(t, patience, a.id+" has no connections", func() bool { return a.conns.Load() == 0 })
		a.server.Close()
	}
	http.DefaultClient.CloseIdleConnections() // of the calls to the registry
	within(t, patience, "goroutines return", func() bool { return runtime.NumGoroutine() <= goroutines })
}
