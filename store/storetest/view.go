package storetest

import (
	"fmt"
	"slices"
	"sync"

	"github.com/dnsreg/dnsreg/store"
)

func viewTests() []test {
	return []test{
		{"a view that is held never changes", viewHeld},
		{"instances stand in the order of their keys", viewOrder},
		{"only what changed has a new snapshot", viewShares},
		{"revisions never fall, and readers see whole changes", viewReaders},
	}
}

func viewHeld(e *env) {
	for _, id := range []string{"b", "d", "f"} {
		e.put(web, instance(id, func(in *store.Instance) { in.TXT = []string{"k=" + id} }))
	}
	e.put("_api._tcp", instance("x"))
	steps := []func(){
		func() { e.put(web, instance("d", port(9090))) },
		func() { e.put(web, instance("a")) },
		func() { e.put(web, instance("e")) },
		func() { e.put(web, instance("g")) },
		func() { e.set(web, "b", draining()) },
		func() { e.set(web, "b", weight(7)) },
		func() { e.end(web, "d") },
		func() { e.end("_api._tcp", "x") },
		func() { e.put(web, instance("d")) },
		func() { e.put("_api._tcp", instance("y")) },
	}
	views, texts := []*store.View{e.View()}, []string{text(e.View())}
	for _, step := range steps {
		step()
		views, texts = append(views, e.View()), append(texts, text(e.View()))
	}
	for i, view := range views {
		if got := text(view); got != texts[i] {
			e.Fatalf("view %d was\n%s\nand is\n%s", i, texts[i], got)
		}
		if i > 0 && (view.Revision() <= views[i-1].Revision() || texts[i] == texts[i-1]) {
			e.Fatalf("step %d: revision %d after %d", i, view.Revision(), views[i-1].Revision())
		}
	}
}

func viewOrder(e *env) {
	for _, id := range []string{"m", "Z", "a", "ä", "B", "10", "9", "a b"} {
		e.put(web, instance(id))
	}
	s := e.View().Service(web)
	var ids []string
	for i := range s.Instances {
		ids = append(ids, s.Instances[i].ID)
	}
	if want := []string{"10", "9", "a", "a b", "B", "m", "Z", "ä"}; !slices.Equal(ids, want) {
		e.Fatalf("in the order %q, want %q", ids, want)
	}
}

func viewShares(e *env) {
	e.put(web, instance("a"))
	r := e.put("_api._tcp", instance("a"))
	before := e.View()
	e.put(web, instance("b"))
	now := e.View()
	if now.Service("_api._tcp") != before.Service("_api._tcp") || now.Service("_api._tcp").Revision != r.Revision {
		e.Fatalf("the snapshot of a service that did not change was replaced")
	}
	if s := now.Service(web); s == before.Service(web) || s.Revision != now.Revision() {
		e.Fatalf("%s is at revision %d in a view at %d", web, s.Revision, now.Revision())
	}
}

// viewReaders changes two things of one instance together, and has readers look for one without the other.
func viewReaders(e *env) {
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() { e.read(stop) })
	}
	defer readers.Wait()
	defer close(stop)
	for i := range 200 {
		e.put(web, instance("a", port(uint16(i+1)), func(in *store.Instance) { in.TXT = []string{fmt.Sprintf("port=%d", i+1)} }))
		if i%20 == 19 {
			e.end(web, "a")
		}
	}
}

func (e *env) read(stop <-chan struct{}) {
	var last store.Revision
	for {
		select {
		case <-stop:
			return
		default:
		}
		view := e.View()
		if view.Revision() < last {
			e.Errorf("revision %d after %d", view.Revision(), last)
			return
		}
		last = view.Revision()
		live := view.Service(web).Find("a")
		if live != nil && live.TXT[0] != fmt.Sprintf("port=%d", live.Port) {
			e.Errorf("port %d with %q", live.Port, live.TXT)
			return
		}
	}
}
