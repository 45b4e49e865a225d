package storebench_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/store"
)

// run runs a store until the function that it returns is called, or the test ends.
func run(t testing.TB, s registry) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	return stop
}

// pass lets time go by.
func pass(t testing.TB, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

// await waits until a view has what is looked for, looking whenever there is another.
func await(t testing.TB, s registry, has func(*store.View) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for view := s.View(); !has(view); view = s.View() {
		if _, err := s.Changes(ctx, view.Revision()); err != nil {
			t.Fatalf("wait for a change: %v", err)
		}
	}
}

// timeChanges times how long a change through one server takes until another answers it: from before the call that
// makes it until DNS has it.
func timeChanges(t testing.TB, writer, reader registry, changes int) delays {
	answerer, err := dnsserver.New(dnsserver.Config{
		Zones: []dnsserver.Zone{{Name: zone, Source: source{reader}}}, Listen: []string{"127.0.0.1:0"}, // never listened on
	})
	if err != nil {
		t.Fatal(err)
	}
	query, err := new(dns.Msg).SetQuestion("_changing._tcp."+zone, dns.TypeSRV).Pack()
	if err != nil {
		t.Fatal(err)
	}
	d := newDelays()
	for i := range changes {
		pass(t, rand.N(20*time.Millisecond)) // in step with nothing
		in := instanceOf(0, term)
		in.Port = uint16(1 + i)
		begin := time.Now()
		ended := make(chan error, 1)
		go func() {
			_, err := insist(t, writer, "_changing._tcp", in)
			ended <- err
		}()
		await(t, reader, func(*store.View) bool { return answersPort(t, answerer, query, in.Port) })
		d.add(t, time.Since(begin))
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// insist registers, again for a minute where a busy machine has had no answer in time.
func insist(t testing.TB, s registry, service store.Service, in store.Instance) (store.Registration, error) {
	for end := time.Now().Add(time.Minute); ; pass(t, 10*time.Millisecond) {
		r, err := s.Register(t.Context(), service, in)
		if !errors.Is(err, store.ErrUnavailable) || time.Now().After(end) {
			return r, err
		}
	}
}

// source is a registry as DNS takes it: what is measured is synced.
type source struct{ registry }

// Freshness returns Synced.
func (source) Freshness() store.Freshness { return store.Synced }

func answersPort(t testing.TB, s *dnsserver.Server, query []byte, port uint16) bool {
	reply := new(dns.Msg)
	if err := reply.Unpack(s.Answer(query, nil, dnsserver.UDP)); err != nil {
		t.Fatal(err)
	}
	for _, rr := range reply.Answer {
		if srv, ok := rr.(*dns.SRV); ok && srv.Port == port {
			return true
		}
	}
	return false
}

// timeDeaths times how long after the end of its lease an instance is gone from the view of another server. One dies at a
// time: many together would be seen by one look.
func timeDeaths(t testing.TB, writer, reader registry, deaths int) delays {
	d := newDelays()
	const spread = 5 * time.Millisecond
	ends := make([]time.Time, deaths)
	services := make([]store.Service, deaths)
	var last store.Revision
	for i := range ends {
		services[i] = store.Service(fmt.Sprintf("_dying-%d._tcp", i))
		ttl := store.MinTTL + time.Duration(deaths-1)*spread + rand.N(spread)
		r, err := insist(t, writer, services[i], instanceOf(i, ttl.Truncate(time.Millisecond)))
		if err != nil {
			t.Fatal(err)
		}
		ends[i], last = r.Lease.ExpiresAt, r.Revision
	}
	alive := make(map[int]bool, deaths)
	for i := range ends {
		alive[i] = true
	}
	await(t, reader, func(v *store.View) bool { return v.Revision() >= last }) // or what it has not seen yet were gone
	for len(alive) > 0 {
		seen := len(alive)
		await(t, reader, func(v *store.View) bool {
			for i := range alive {
				if v.Service(services[i]) == nil {
					d.add(t, time.Since(ends[i]))
					delete(alive, i)
				}
			}
			return len(alive) < seen
		})
	}
	return d
}

// timeRenewals measures renewals in rounds, and their cost by each of some meters of CPU time.
func timeRenewals(t testing.TB, s registry, way renewing, n int, e extent, meters ...func() time.Duration) (perSecond rates, costs []rates) {
	costs = make([]rates, len(meters))
	for range e.rounds {
		before := make([]time.Duration, len(meters))
		for i, meter := range meters {
			before[i] = meter()
		}
		begin := time.Now()
		renewed := 0
		for renewed == 0 && !t.Failed() { // a machine that is busy enough has let nothing be answered in time
			renewed = way.renew(t, s, n, e.each)
		}
		perSecond.add(float64(renewed) / time.Since(begin).Seconds())
		for i, meter := range meters {
			costs[i].add(micros(meter()-before[i], renewed))
		}
	}
	return perSecond, costs
}
