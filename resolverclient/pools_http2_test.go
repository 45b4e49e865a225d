package resolverclient_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// A connection of HTTP/2 counts a stream for a moment after the caller has read the reply. Where the instance is gone it is
// closed all the same: of many instances that leave while each has a request, no connection is left.
func TestTransportLetsGoOfDepartedInstancesOfHTTP2(t *testing.T) {
	const instances = 40
	w := newWebs(t)
	release := make(chan struct{})
	var conns counter
	var held, callers sync.WaitGroup
	held.Add(instances)
	var addrs []string
	for range instances {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			held.Done()
			<-release
			fmt.Fprint(rw, r.Proto)
		}))
		s.Config.ConnState, s.EnableHTTP2 = conns.see, true
		s.StartTLS()
		t.Cleanup(s.Close)
		addrs = append(addrs, s.Listener.Addr().String())
	}
	w.register(addrs...)
	c := newClient(w, resolverclient.Config{
		Servers: []string{w.addr}, Strategy: resolverclient.RoundRobin, MinTTL: 20 * time.Millisecond, MaxTTL: 20 * time.Millisecond,
	})
	transport := c.NewTransport(&http.Transport{
		ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // no certificate names web
	})
	t.Cleanup(transport.CloseIdleConnections)
	for range instances {
		req := request(t, http.MethodPost, nil)
		req.URL.Scheme = "https"
		callers.Go(func() {
			if _, body, err := fetch(t, &http.Client{Transport: transport}, req); err != nil || body != "HTTP/2.0" {
				t.Errorf("got %q, %v", body, err)
			}
		})
	}
	held.Wait()
	w.register(nowhere)
	eventually(t, "the answer without them", func() bool {
		answer, err := c.Lookup(t.Context(), "web")
		return err == nil && len(answer.Endpoints) == 1
	})
	close(release)
	callers.Wait()
	eventually(t, "the connections closed", func() bool { return conns.open.Load() == 0 })
}
