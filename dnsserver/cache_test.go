package dnsserver_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/dnsserver"
	"github.com/dnsreg/dnsreg/store"
)

func TestCacheDoesNotGrowWithNames(t *testing.T) {
	s := newServer(t, newSource(web(t)))
	for i := range 1000 {
		for _, name := range []string{"_x%d._tcp.", "x%d._http._tcp.", "x%d.http.", "x%d.", "x%d._sub._http._tcp."} {
			ask(t, s, fmt.Sprintf(name, i)+zone, dns.TypeA)
		}
	}
	if n := s.CachedServices(); n > 1 {
		t.Errorf("%d services in the cache, there is one", n)
	}
}

func TestCacheForgetsWhatIsGone(t *testing.T) {
	src := newSource(other(t))
	s := newServer(t, src)
	for i := range 1000 {
		service := store.Service(fmt.Sprintf("_web-%d._tcp", i))
		src.set(snapshot(service, instance(t, service, "h1")))
		if r := ask(t, s, string(service)+"."+zone, dns.TypeSRV); len(r.Answer) != 1 {
			t.Fatalf("%s: %v", service, r)
		}
		src.set(&store.Snapshot{Service: service})
	}
	if n := s.CachedServices(); n > 100 {
		t.Errorf("%d services in the cache, there is one", n)
	}
	if r := ask(t, s, "_other._tcp."+zone, dns.TypeSRV); len(r.Answer) != 1 {
		t.Errorf("%v", r)
	}
}

// turning is a source whose view is another one each time that it is looked at.
type turning struct {
	*source
	views [2]*store.View
	turn  atomic.Int32
}

func (s *turning) View() *store.View { return s.views[s.turn.Add(1)%2] }

// TestS24OneLookAtTheSource has the contents change between any two looks: an answer is made of what one look has seen.
func TestS24OneLookAtTheSource(t *testing.T) {
	src := &turning{source: newSource(only(t, "_http._tcp", "one"))}
	src.views[0] = src.source.View()
	src.set(only(t, "_http._tcp", "two"))
	src.views[1] = src.source.View()
	s := newServer(t, src)
	for range 4 {
		r := exchange(t, s, question("_http._tcp."+zone, dns.TypePTR), dnsserver.UDP)
		if len(r.Answer) != 1 || len(r.Extra) != 3 {
			t.Fatalf("%v", r)
		}
		label, _, _ := strings.Cut(r.Answer[0].(*dns.PTR).Ptr, ".")
		for _, rr := range r.Extra {
			if !strings.HasPrefix(rr.Header().Name, label+".") {
				t.Errorf("%v belongs to another instance than %s", rr, label)
			}
		}
		r = exchange(t, s, question("_http._tcp."+zone, dns.TypeSRV), dnsserver.UDP)
		if len(r.Extra) != 1 || r.Answer[0].(*dns.SRV).Target != r.Extra[0].Header().Name {
			t.Errorf("%v", r)
		}
	}
}

// TestAnswersDuringChanges has queries race with changes: what is answered is one of the contents, whole.
func TestAnswersDuringChanges(t *testing.T) {
	contents := []*store.Snapshot{
		snapshot("_http._tcp", instance(t, "_http._tcp", "h1", with("10.0.0.1"))),
		snapshot("_http._tcp", instance(t, "_http._tcp", "h1", with("10.0.0.2")), instance(t, "_http._tcp", "h2", with("10.0.0.2"))),
	}
	sibling := snapshot("_http._udp", instance(t, "_http._udp", "u1", with("10.0.0.9")))
	src := newSource(contents[0])
	s := newServer(t, src)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				src.set(contents[i%2])
				if i%3 == 0 {
					src.set(sibling)
				} else {
					src.set(&store.Snapshot{Service: "_http._udp"})
				}
			}
		}
	})
	for range 4 {
		wg.Go(func() {
			for range 2000 {
				r := exchange(t, s, edns(question("_http._tcp."+zone, dns.TypePTR), 1232), dnsserver.UDP)
				if extra := len(records(r.Extra)); extra < 3*len(r.Answer) || extra > 4*len(r.Answer) {
					t.Errorf("%d instances, %d additional records", len(r.Answer), extra)
				}
			}
		})
	}
	for range 2000 {
		if r := exchange(t, s, question("http."+zone, dns.TypeA), dnsserver.UDP); len(r.Answer) < 1 || len(r.Answer) > 2 {
			t.Errorf("%d addresses: %v", len(r.Answer), r.Answer)
		}
	}
	close(stop)
	wg.Wait()
}

// TestManyServicesAtOnce has several clients ask for every service of a zone at the same time, each in its own order, and
// then for what is left of it.
func TestManyServicesAtOnce(t *testing.T) {
	const services, clients = 1500, 4
	name := func(i int) store.Service { return store.Service(fmt.Sprintf("_web-%d._tcp", i)) }
	src := newSource()
	var all, gone []*store.Snapshot
	for i := range services {
		all = append(all, snapshot(name(i), instance(t, name(i), "h1", port(uint16(i+1)))))
		gone = append(gone, &store.Snapshot{Service: name(i)})
	}
	src.set(all...)
	s := newServer(t, src)
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for k := range services {
				i := (k*(2*c+1) + c*services/clients) % services
				r := exchange(t, s, question(string(name(i))+"."+zone, dns.TypeSRV), dnsserver.UDP)
				if len(r.Answer) != 1 || int(r.Answer[0].(*dns.SRV).Port) != i+1 {
					t.Errorf("%s: %v", name(i), r.Answer)
				}
			}
		})
	}
	wg.Wait()
	if n := s.CachedServices(); n != services {
		t.Errorf("%d services in the cache, want %d", n, services)
	}

	src.set(gone...)
	for i := range services { // as many others make room for themselves
		service := store.Service(fmt.Sprintf("_other-%d._tcp", i))
		src.set(snapshot(service, instance(t, service, "h1")))
		if r := ask(t, s, string(service)+"."+zone, dns.TypeSRV); len(r.Answer) != 1 {
			t.Fatalf("%s: %v", service, r)
		}
		src.set(&store.Snapshot{Service: service})
		if r := ask(t, s, string(name(i))+"."+zone, dns.TypeSRV); rcode(r) != "NXDOMAIN" {
			t.Fatalf("%s: %s", name(i), rcode(r))
		}
	}
	if n := s.CachedServices(); n >= 2*services {
		t.Errorf("%d services in the cache, there is none", n)
	}
}
