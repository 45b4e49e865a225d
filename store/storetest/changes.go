package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dnsreg/dnsreg/store"
)

func changesTests() []test {
	return []test{
		{"what changed, each service once and in its last state", changesCompacted},
		{"a service that is gone is there without instances", changesGone},
		{"an expiry is a change", changesExpiry},
		{"waits for the next change", changesWait},
		{"ends with its context", changesEnd},
		{"a revision of another life means starting over", changesForeign},
		{"a follower has what the view has", changesFollow},
		{"two followers agree", changesAgree},
	}
}

// changes returns what changed after a revision, which has to be there at once, and checks that it is complete.
func (e *env) changes(after store.Revision) store.Delta {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), soon)
	defer cancel()
	delta, err := e.Changes(ctx, after)
	if err != nil {
		e.Fatalf("changes after %d: %v", after, err)
	}
	if !delta.Complete || delta.From != after || delta.To <= after {
		e.Fatalf("changes after %d: %+v", after, delta)
	}
	e.at(delta.To)
	return delta
}

func changesCompacted(e *env) {
	e.put("_old._tcp", instance("a"))
	start := e.View().Revision()
	e.put(web, instance("a"))
	e.put("_api._tcp", instance("x"))
	e.put(web, instance("b"))
	e.set(web, "a", draining())
	last := e.put(web, instance("a", port(9090)))
	delta := e.changes(start)
	if len(delta.Services) != 2 || delta.To != last.Revision {
		e.Fatalf("%d services up to %d, want 2 up to %d", len(delta.Services), delta.To, last.Revision)
	}
	for _, s := range delta.Services {
		if s != e.View().Service(s.Service) && text(new(store.View).With(0, s)) != text(new(store.View).With(0, e.View().Service(s.Service))) {
			e.Fatalf("%+v is not the last state", s)
		}
	}
	if tail := e.changes(last.Revision - 1); len(tail.Services) != 1 || tail.Services[0].Service != web {
		e.Fatalf("after the last change but one: %+v", tail.Services)
	}
}

func changesGone(e *env) {
	e.put("_api._tcp", instance("x"))
	start := e.put(web, instance("a"))
	e.end(web, "a")
	delta := e.changes(start.Revision)
	if len(delta.Services) != 1 || delta.Services[0].Service != web || len(delta.Services[0].Instances) != 0 {
		e.Fatalf("%+v, want %s without instances", delta.Services, web)
	}
	e.put(web, instance("b"))
	delta = e.changes(start.Revision)
	if len(delta.Services) != 1 || delta.Services[0].Find("b") == nil || len(delta.Services[0].Instances) != 1 {
		e.Fatalf("%+v, want %s with one instance", delta.Services, web)
	}
}

func changesExpiry(e *env) {
	r := e.put(web, instance("a", ttl(time.Second)))
	delta := e.changes(r.Revision)
	if len(delta.Services) != 1 || len(delta.Services[0].Instances) != 0 {
		e.Fatalf("%+v, want %s without instances", delta.Services, web)
	}
}

func changesWait(e *env) {
	start := e.put(web, instance("a")).Revision
	var callers sync.WaitGroup
	deltas := make(chan store.Delta, 20)
	for range cap(deltas) {
		callers.Go(func() { e.follow(start, deltas) })
	}
	e.quiet(start)
	if len(deltas) > 0 {
		e.Fatalf("%d callers returned before anything changed", len(deltas))
	}
	r := e.put(web, instance("b"))
	callers.Wait()
	close(deltas)
	for d := range deltas {
		if !d.Complete || d.From != start || d.To != r.Revision || len(d.Services) != 1 || d.Services[0].Find("b") == nil {
			e.Fatalf("changes after %d: %+v", start, d)
		}
	}
}

// follow sends what Changes returns.
func (e *env) follow(after store.Revision, deltas chan<- store.Delta) {
	ctx, cancel := context.WithTimeout(e.Context(), soon)
	defer cancel()
	delta, err := e.Changes(ctx, after)
	if err != nil {
		e.Errorf("changes after %d: %v", after, err)
	}
	deltas <- delta
}

func changesEnd(e *env) {
	r := e.put(web, instance("a"))
	ctx, cancel := context.WithCancel(e.Context())
	ended := make(chan error)
	for range 5 {
		go func() {
			_, err := e.Changes(ctx, r.Revision)
			ended <- err
		}()
	}
	e.quiet(r.Revision)
	cancel()
	for range 5 {
		select {
		case err := <-ended:
			if !errors.Is(err, context.Canceled) {
				e.Errorf("error %v, want that of the context", err)
			}
		case <-time.After(soon):
			e.Fatalf("still waiting %v after the context ended", soon)
		}
	}
	e.put(web, instance("b"))
	e.changes(r.Revision)
}

func changesForeign(e *env) {
	r := e.put(web, instance("a"))
	ctx, cancel := context.WithTimeout(e.Context(), soon)
	defer cancel()
	for _, after := range []store.Revision{r.Revision + 1, r.Revision + 1<<40} {
		delta, err := e.Changes(ctx, after)
		if err != nil || delta.Complete || delta.To != r.Revision {
			e.Fatalf("changes after %d, the revision being %d: %+v, error %v", after, r.Revision, delta, err)
		}
	}
	delta, err := e.Changes(ctx, 0)
	if err != nil || delta.To != r.Revision {
		e.Fatalf("changes after 0: %+v, error %v", delta, err)
	}
	if replica := new(store.View).With(delta.To, delta.Services...); delta.Complete && text(replica) != text(e.View()) {
		e.Fatalf("changes after 0 are complete and give\n%s\nnot\n%s", text(replica), text(e.View()))
	}
}

// replica is what a follower has: every state that it went through, by revision.
type replica map[store.Revision]string

// replay follows a store from now on until it has seen the revision in until, which is set once it is known.
func (e *env) replay(until *atomic.Uint64) (replica, error) {
	view, seen := e.View(), replica{}
	seen[view.Revision()] = text(view)
	for last := uint64(0); last == 0 || uint64(view.Revision()) < last; last = until.Load() {
		ctx, cancel := context.WithTimeout(e.Context(), soon/50)
		delta, err := e.Changes(ctx, view.Revision())
		cancel()
		switch {
		case err == nil && !delta.Complete:
			return nil, fmt.Errorf("changes after %d: %+v", view.Revision(), delta)
		case err == nil:
			view = view.With(delta.To, delta.Services...)
			seen[view.Revision()] = text(view)
		case !errors.Is(err, context.DeadlineExceeded):
			return nil, err
		}
	}
	return seen, nil
}

// churn makes changes of all kinds in some services, from several goroutines, with pauses in which followers see some of
// the states between.
func (e *env) churn(writers, steps int) {
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range steps {
				e.step(w, i)
				if i%10 == 0 {
					<-time.After(time.Millisecond)
				}
			}
		})
	}
	group.Wait()
}

func (e *env) step(writer, i int) {
	service := store.Service(fmt.Sprintf("_s%d._tcp", i%3))
	id := fmt.Sprintf("w%d-%d", writer, i%4)
	var err error
	switch i % 5 {
	case 3:
		_, err = e.SetOverlay(e.Context(), service, id, weight(uint16(i)))
	case 4:
		_, err = e.Deregister(e.Context(), service, id)
	default:
		_, err = e.Register(e.Context(), service, instance(id, port(uint16(i+1))))
	}
	if err != nil && !errors.Is(err, store.ErrUnknown) {
		e.Errorf("step %d: %v", i, err)
	}
}

// followed runs followers beside a churn and returns what each of them has seen up to its end.
func (e *env) followed(n int) []replica {
	e.Helper()
	type result struct {
		seen replica
		err  error
	}
	var last atomic.Uint64
	results := make(chan result, n)
	for range n {
		go func() {
			seen, err := e.replay(&last)
			results <- result{seen, err}
		}()
	}
	e.churn(3, 300)
	last.Store(uint64(e.put(web, instance("last")).Revision))
	replicas := make([]replica, n)
	for i := range replicas {
		select {
		case r := <-results:
			if r.err != nil {
				e.Fatalf("follower: %v", r.err)
			}
			replicas[i] = r.seen
		case <-time.After(soon):
			e.Fatalf("a follower has not caught up within %v", soon)
		}
	}
	return replicas
}

func changesFollow(e *env) {
	ctx, stop := context.WithCancel(e.Context())
	defer stop()
	sampled := make(chan replica, 1)
	go func() {
		views := replica{}
		for ctx.Err() == nil {
			view := e.View()
			views[view.Revision()] = text(view)
		}
		last := e.View() // which is the follower's last too
		views[last.Revision()] = text(last)
		sampled <- views
	}()
	seen := e.followed(1)[0]
	view := e.View()
	stop()
	e.agree(seen, <-sampled)
	if seen[view.Revision()] != text(view) {
		e.Fatalf("the follower ends with\n%s\nnot\n%s", seen[view.Revision()], text(view))
	}
}

func changesAgree(e *env) {
	replicas := e.followed(2)
	e.agree(replicas[0], replicas[1])
}

// agree checks that a and b have the same content at the revisions that both have, the last one among them.
func (e *env) agree(a, b replica) {
	e.Helper()
	common := 0
	for revision, content := range a {
		other, both := b[revision]
		if both && content != other {
			e.Fatalf("at revision %d one has\n%s\nthe other\n%s", revision, content, other)
		}
		if both {
			common++
		}
	}
	e.Logf("%d and %d revisions seen, %d in common", len(a), len(b), common)
	if common == 0 {
		e.Fatalf("no revision in common")
	}
}
