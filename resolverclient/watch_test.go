package resolverclient_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// watching runs a watch in a goroutine and collects what it says.
type watching struct {
	*resolverclient.Watcher
	events chan string
	ended  chan error
}

func watch(ctx context.Context, b *cacheTest, service string) *watching {
	b.Helper()
	w, err := b.client.Watch(ctx, service)
	if err != nil {
		b.Fatal(err)
	}
	out := &watching{w, make(chan string, 100), make(chan error, 1)}
	go func() {
		for {
			event, err := w.Next()
			if err != nil {
				out.ended <- err
				return
			}
			out.events <- fmt.Sprintf("%v %s %d", event.Kind, event.Endpoint.Instance, event.Endpoint.Weight)
		}
	}()
	return out
}

// want checks the events that came since the last call, whatever their order, on one line.
func (w *watching) want(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	var got []string
	for len(w.events) > 0 {
		got = append(got, <-w.events)
	}
	slices.Sort(got)
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("got %q, want %q", text, want)
	}
}

// named returns the records of instances by id and weight.
func named(weights map[string]int) []string {
	var records []string
	for id, w := range weights {
		records = append(records,
			fmt.Sprintf("_web._tcp.svc.internal. 5 PTR %s._web._tcp.svc.internal.", id),
			fmt.Sprintf("%s._web._tcp.svc.internal. 5 SRV 0 %d 80 %s.web.svc.internal.", id, w, id),
			fmt.Sprintf("%s._web._tcp.svc.internal. 5 TXT \"\"", id),
			fmt.Sprintf("%s.web.svc.internal. 5 A 10.0.0.1", id))
	}
	return records
}

func TestWatch(t *testing.T) {
	bubble(t, resolverclient.Config{MaxStale: 20 * time.Second, Idle: time.Second}, func(b *cacheTest) {
		serve := func(weights map[string]int) { b.script.set(newZone(t, named(weights)...).serve) }
		serve(map[string]int{"a": 1, "b": 1})
		w := watch(b.Context(), b, "web")
		w.want(t, "up a 1, up b 1")
		pass(5 * time.Minute)
		w.want(t, "")

		serve(map[string]int{"a": 5, "c": 1})
		pass(5 * time.Second)
		w.want(t, "change a 5, down b 1, up c 1")

		b.script.set(rcode(dns.RcodeServerFailure)) // trouble is no departure, however long
		pass(time.Minute)
		w.want(t, "")
		serve(map[string]int{"c": 1})
		pass(12 * time.Second)
		w.want(t, "down a 5")

		b.script.set(newZone(t).serve) // NXDOMAIN is
		pass(5 * time.Second)
		w.want(t, "down c 1")
		serve(map[string]int{"d": 1})
		pass(5 * time.Second)
		w.want(t, "up d 1")

		w.Stop()
		w.Stop()
		if err := <-w.ended; !errors.Is(err, resolverclient.ErrStopped) {
			t.Errorf("got %v, want ErrStopped", err)
		}
		asked := b.queries.of(dns.TypePTR)
		pass(time.Hour)
		if n := b.queries.of(dns.TypePTR) - asked; n > 2 {
			t.Errorf("%d queries after the watch ended", n)
		}
	})
}

func TestWatchOfWhatIsNotThereYet(t *testing.T) {
	bubble(t, resolverclient.Config{}, func(b *cacheTest) {
		b.script.set(newZone(t).serve)
		w := watch(b.Context(), b, "web")
		w.want(t, "")
		pass(time.Minute)
		b.script.set(newZone(t, named(map[string]int{"a": 1})...).serve)
		pass(5 * time.Second)
		w.want(t, "up a 1")
		second := watch(b.Context(), b, "web") // from the cache
		second.want(t, "up a 1")
		w.Stop()
		second.Stop()
	})
}

func TestWatchEnds(t *testing.T) {
	bubble(t, resolverclient.Config{}, func(b *cacheTest) {
		gone := errors.New("caller is gone")
		ctx, cancel := context.WithCancelCause(b.Context())
		w := watch(ctx, b, "web")
		synctest.Wait()
		cancel(gone)
		if err := <-w.ended; !errors.Is(err, gone) {
			t.Errorf("got %v, want the context's cause", err)
		}
		other := watch(b.Context(), b, "web")
		synctest.Wait()
		b.client.Close()
		if err := <-other.ended; !errors.Is(err, resolverclient.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
		other.Stop()
		if _, err := b.client.Watch(b.Context(), "web"); !errors.Is(err, resolverclient.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	})
}

// Without PTR records instances are told apart by where they listen.
func TestWatchWithoutPTR(t *testing.T) {
	bubble(t, resolverclient.Config{}, func(b *cacheTest) {
		w := watch(b.Context(), b, "web")
		w.want(t, "up  1, up  2, up  7")
		b.script.set(newZone(t, threeWebs()[1:]...).serve)
		pass(5 * time.Second)
		w.want(t, "down  1")
		w.Stop()
	})
}

func TestEventKindString(t *testing.T) {
	for kind, want := range map[resolverclient.EventKind]string{
		resolverclient.Up: "up", resolverclient.Change: "change", resolverclient.Down: "down", 9: "EventKind(9)",
	} {
		if got := kind.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
