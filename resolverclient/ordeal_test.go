package resolverclient_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// long has the ordeal take the time and the number of calls that its figures are meant for.
var long = flag.Bool("long", false, "run the ordeal over 50,000 calls, with a resolver that is out for a minute")

// recommended is what docs/client.md recommends for HTTP where some instance is always in trouble.
func recommended() resolverclient.Config {
	return resolverclient.Config{Strategy: resolverclient.PeakEWMA, Tries: 4, HedgeAfter: 50 * time.Millisecond}
}

// ordeal is a service of eight real HTTP servers, of which none or five are in trouble, and its resolver.
type ordeal struct {
	*webs
	addrs   []string
	callers int
	calls   int // of each caller
	pace    time.Duration
	outage  time.Duration
}

// wellTook is how long an instance that is well takes.
const wellTook = 5 * time.Millisecond

func newOrdeal(tb testing.TB, inTrouble bool) *ordeal {
	o := &ordeal{webs: newWebs(tb), callers: 10, calls: 300, pace: 5 * time.Millisecond, outage: 2 * time.Second}
	if *long {
		o.callers, o.calls, o.pace, o.outage = 50, 1000, 70*time.Millisecond, time.Minute
	}
	for range 3 {
		o.add(takes(wellTook))
	}
	if !inTrouble {
		for range 5 {
			o.add(takes(wellTook))
		}
	} else {
		o.add(takes(time.Hour))
		o.addrs = append(o.addrs, nowhere)
		o.add(takes(500 * time.Millisecond))
		o.add(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusServiceUnavailable) })
		start := time.Now()
		o.add(func(rw http.ResponseWriter, r *http.Request) {
			if int(time.Since(start)/(o.outage/4))%2 == 1 {
				panic(http.ErrAbortHandler) // cuts the connection
			}
			takes(wellTook)(rw, r)
		})
	}
	o.register(o.addrs...)
	return o
}

func (o *ordeal) add(h http.HandlerFunc) {
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = nil
	s.Start()
	o.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	o.addrs = append(o.addrs, s.Listener.Addr().String())
}

// takes answers after a time, or goes with the caller.
func takes(d time.Duration) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			fmt.Fprint(rw, "ok")
		case <-r.Context().Done():
		}
	}
}

// run makes the calls, during which the resolver is out, and reports.
func (o *ordeal) run(call func() error) outcome {
	o.Helper()
	if err := call(); err != nil { // the first answer
		o.Log(err)
	}
	good := *o.script.now.Load()
	o.script.set(rcode(dns.RcodeServerFailure))
	back := time.AfterFunc(o.outage, func() { o.script.set(good) })
	defer back.Stop()
	var mu sync.Mutex
	var took []time.Duration
	reasons := map[string]int{}
	var callers sync.WaitGroup
	for range o.callers {
		callers.Go(func() {
			tick := time.NewTicker(o.pace)
			defer tick.Stop()
			for range o.calls {
				<-tick.C
				start := time.Now()
				err := call()
				mu.Lock()
				took = append(took, time.Since(start))
				if err != nil {
					reasons[err.Error()]++
				}
				mu.Unlock()
			}
		})
	}
	callers.Wait()
	failed, shown := 0, 0
	for reason, n := range reasons {
		failed += n
		if shown++; shown <= 3 {
			o.Log(n, strings.ReplaceAll(reason, "\n", "; "))
		}
	}
	slices.Sort(took)
	return outcome{len(took), failed, took[len(took)/2], took[len(took)*99/100]}
}

// through returns a call by a Transport.
func (o *ordeal) through(cfg resolverclient.Config) func() error {
	cfg.Servers, cfg.EjectFor = []string{o.addr}, o.outage
	transport := newClient(o, cfg).NewTransport(nil)
	o.Cleanup(transport.CloseIdleConnections)
	return o.by(transport, func() (string, error) { return "http://web/", nil })
}

// plain returns a call to the next instance in turn, without any handling of failures.
func (o *ordeal) plain() func() error {
	c := newClient(o, resolverclient.Config{Servers: []string{o.addr}, EjectAfter: -1, EjectShare: -1})
	b, err := c.Balancer("web", resolverclient.RoundRobin)
	if err != nil {
		o.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	o.Cleanup(transport.CloseIdleConnections)
	return o.by(transport, func() (string, error) {
		p, err := b.Pick(context.Background())
		p.Done(nil)
		return "http://" + p.Endpoint.HostPort() + "/", err
	})
}

// by returns a call that a caller waits a second for.
func (o *ordeal) by(transport http.RoundTripper, url func() (string, error)) func() error {
	client := &http.Client{Transport: transport, Timeout: time.Second}
	return func() error {
		target, err := url()
		if err != nil {
			return err
		}
		resp, err := client.Get(target)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", resp.StatusCode)
		}
		return nil
	}
}

// Over real sockets: with the recommended settings calls go on to succeed while five of eight instances are in trouble
// and the resolver is out. The figures of the defaults, of healthy instances and of plain round robin are printed beside.
func TestOrdeal(t *testing.T) {
	run := func(name string, inTrouble bool, of func(o *ordeal) func() error) (got outcome) {
		t.Run(name, func(t *testing.T) {
			o := newOrdeal(t, inTrouble)
			if strings.HasSuffix(name, "for comparison") {
				o.calls /= 10 // calls that hang take long
			}
			got = o.run(of(o))
			t.Logf("%d of %d failed, p50 %v, p99 %v", got.failed, got.calls,
				got.p50.Round(100*time.Microsecond), got.p99.Round(100*time.Microsecond))
		})
		return got
	}
	run("healthy", false, func(o *ordeal) func() error { return o.through(recommended()) })
	best := run("in trouble, recommended", true, func(o *ordeal) func() error { return o.through(recommended()) })
	usual := run("in trouble, defaults, for comparison", true, func(o *ordeal) func() error { return o.through(resolverclient.Config{}) })
	plain := run("in trouble, plain round robin, for comparison", true, (*ordeal).plain)
	allowed := best.calls / 10_000
	if !*long { // callers wait for a second only, and a busy machine stumbles for longer: a tenth of what fails without
		allowed = best.calls * plain.failed / plain.calls / 10
	}
	if best.failed > allowed {
		t.Errorf("%d of %d calls failed, want at most %d", best.failed, best.calls, allowed)
	}
	if usual.failed*2 > plain.failed {
		t.Errorf("%d calls failed with the defaults, %d of as many without any handling", usual.failed, plain.failed)
	}
	if plain.failed*4 < plain.calls {
		t.Errorf("plain round robin failed in %d of %d calls: the trouble is none", plain.failed, plain.calls)
	}
}
