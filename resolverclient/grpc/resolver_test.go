package dnsreggrpc_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"

	"github.com/dnsreg/dnsreg/resolverclient"
	dnsreggrpc "github.com/dnsreg/dnsreg/resolverclient/grpc"
)

// listener stands for gRPC around a resolver.
type listener struct {
	resolver.ClientConn // for the methods that the resolver does not use

	telling atomic.Int64 // states begun
	states  chan resolver.State
	errs    chan error
}

func newListener() *listener {
	return &listener{states: make(chan resolver.State, 100), errs: make(chan error, 100)}
}

func (l *listener) UpdateState(s resolver.State) error {
	l.telling.Add(1)
	l.states <- s
	return nil
}

func (l *listener) ReportError(err error) { l.errs <- err }

// ParseServiceConfig takes every config without the word bad in it, and shows it as its type's text.
func (l *listener) ParseServiceConfig(json string) *serviceconfig.ParseResult {
	if strings.Contains(json, "bad") {
		return &serviceconfig.ParseResult{Err: errors.New("bad config")}
	}
	return &serviceconfig.ParseResult{Config: parsed{json: json}}
}

type parsed struct {
	serviceconfig.Config
	json string
}

// build returns a resolver of a target that is closed when the test ends.
func (l *listener) build(tb testing.TB, b *dnsreggrpc.Builder, target string, opts resolver.BuildOptions) resolver.Resolver {
	tb.Helper()
	u, err := url.Parse(target)
	if err != nil {
		tb.Fatal(err)
	}
	r, err := b.Build(resolver.Target{URL: *u}, l, opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.Close)
	return r
}

// next returns the next of a channel.
func next[T any](tb testing.TB, c <-chan T) (v T) {
	tb.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		tb.Fatal("nothing came")
	}
	return v
}

func listen(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
}

func TestTargets(t *testing.T) {
	r := newRegistry(t)
	r.up(instance("web-1", listen(8001), 1))
	for _, tt := range []struct {
		in    string
		fails string
	}{
		{"dnsreg:///web", ""},
		{"dnsreg:web", ""},
		{"dnsreg:///_web._tcp", ""},
		{"dnsreg:///_web._tcp.svc.internal.", ""},
		{"dnsreg://127.0.0.1:53/web", "must have no authority"},
		{"dnsreg:///", "service"},
		{"dnsreg:///web/page", "service"},
	} {
		t.Run(tt.in, func(t *testing.T) {
			l, b := newListener(), &dnsreggrpc.Builder{Client: r.client()}
			if tt.fails == "" {
				l.build(t, b, tt.in, resolver.BuildOptions{})
				if got := next(t, l.states); len(got.Endpoints) != 1 {
					t.Errorf("got %v", got)
				}
				return
			}
			u, err := url.Parse(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = b.Build(resolver.Target{URL: *u}, l, resolver.BuildOptions{}); err == nil || !strings.Contains(err.Error(), tt.fails) {
				t.Errorf("got %v, want %q", err, tt.fails)
			}
		})
	}
	if _, err := new(dnsreggrpc.Builder).Build(resolver.Target{}, newListener(), resolver.BuildOptions{}); err == nil {
		t.Error("built without a client")
	}
	if scheme := new(dnsreggrpc.Builder).Scheme(); scheme != strings.ToLower(scheme) || scheme != "dnsreg" {
		t.Errorf("scheme %q", scheme)
	}
}

// One set is one state, however many events it makes; and what leaves is gone from the next.
func TestFollow(t *testing.T) {
	r, l := newRegistry(t), newListener()
	for i := range 20 {
		r.up(instance("web-"+string(rune('a'+i)), listen(8000+uint16(i)), 1))
	}
	res := l.build(t, &dnsreggrpc.Builder{Client: r.client()}, "dnsreg:///web", resolver.BuildOptions{})
	res.ResolveNow(resolver.ResolveNowOptions{})
	if got := next(t, l.states); len(got.Endpoints) != 20 {
		t.Errorf("got %d endpoints", len(got.Endpoints))
	}
	r.down("web-a")
	if got := next(t, l.states); len(got.Endpoints) != 19 || slices.Contains(addrs(got.Addresses), "127.0.0.1:8000") {
		t.Errorf("got %v", got.Addresses)
	}
	r.up(instance("web-b", listen(9000), 1))
	if got := next(t, l.states); !slices.Contains(addrs(got.Addresses), "127.0.0.1:9000") {
		t.Errorf("got %v", got.Addresses)
	}
	res.Close()
	if len(l.states)+len(l.errs) > 0 {
		t.Errorf("told %d more states and %d errors", len(l.states), len(l.errs))
	}
}

// Close waits for what the resolver is telling gRPC.
func TestCloseJoins(t *testing.T) {
	r, l := newRegistry(t), newListener()
	l.states = make(chan resolver.State) // telling waits
	r.up(instance("web-1", listen(8001), 1))
	res := l.build(t, &dnsreggrpc.Builder{Client: r.client()}, "dnsreg:///web", resolver.BuildOptions{})
	next(t, l.states)
	l.telling.Store(0)
	r.down("web-1")
	eventually(t, "telling", func() bool { return l.telling.Load() > 0 })
	closed := make(chan struct{})
	go func() {
		res.Close()
		close(closed)
	}()
	select {
	case <-closed:
		t.Error("closed while it told a state")
	case <-time.After(100 * time.Millisecond):
	}
	next(t, l.states)
	next(t, closed)
}

// A service that is not there is an empty set with an error that says so, each time.
func TestFollowWhatIsNotThere(t *testing.T) {
	r, l := newRegistry(t), newListener()
	l.build(t, &dnsreggrpc.Builder{Client: r.client()}, "dnsreg:///web", resolver.BuildOptions{})
	gone := func() {
		t.Helper()
		if got := next(t, l.states); len(got.Endpoints) != 0 {
			t.Errorf("got %v", got)
		}
		if err := next(t, l.errs); !errors.Is(err, resolverclient.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	}
	gone()
	r.up(instance("web-1", listen(8001), 1))
	if got := next(t, l.states); len(got.Endpoints) != 1 {
		t.Errorf("got %v", got)
	}
	r.down("web-1")
	gone()
}

// A first lookup that fails is reported, so that calls fail rather than wait, and is made good later.
func TestFollowFailure(t *testing.T) {
	r, l := newRegistry(t), newListener()
	r.up(instance("web-1", listen(8001), 1))
	r.halt()
	l.build(t, &dnsreggrpc.Builder{Client: r.client()}, "dnsreg:///web", resolver.BuildOptions{})
	if err := next(t, l.errs); !errors.Is(err, resolverclient.ErrNoAnswer) {
		t.Errorf("got %v", err)
	}
	r.serve()
	if got := next(t, l.states); len(got.Endpoints) != 1 {
		t.Errorf("got %v", got)
	}
}

// A client that is closed too early ends the following, with an error rather than in silence.
func TestClosedClient(t *testing.T) {
	r, l := newRegistry(t), newListener()
	r.up(instance("web-1", listen(8001), 1))
	client := r.client()
	l.build(t, &dnsreggrpc.Builder{Client: client}, "dnsreg:///web", resolver.BuildOptions{})
	next(t, l.states)
	client.Close()
	if err := next(t, l.errs); !errors.Is(err, resolverclient.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestFollowServiceConfig(t *testing.T) {
	const good, bad = `grpc_config=[{"serviceConfig":{"good":1}}]`, `grpc_config=[{"serviceConfig":{"bad":1}}]`
	r, l := newRegistry(t), newListener()
	var log bytes.Buffer
	b := &dnsreggrpc.Builder{Client: r.client(), Logger: slog.New(slog.NewTextHandler(&log, nil))}
	for _, id := range []string{"web-1", "web-2"} {
		r.up(instance(id, listen(8001), 1, bad))
	}
	r.up(instance("web-3", listen(8003), 1, good))
	r.up(instance("web-4", listen(8004), 1, `grpc_config=[{"serviceConfig":{"later":1}}]`))
	res := l.build(t, b, "dnsreg:///web", resolver.BuildOptions{})
	config := func() string {
		sc := next(t, l.states).ServiceConfig
		if sc == nil {
			return ""
		}
		return sc.Config.(parsed).json
	}
	const want = `{"good":1,"loadBalancingConfig":[{"dnsreg_srv":{}}]}`
	if got := config(); got != want {
		t.Errorf("got %s, want the second best that can be used", got)
	}
	r.down("web-4")
	config()
	r.down("web-3")
	if got := config(); got != want {
		t.Errorf("got %s, want the last one that could be used", got)
	}
	r.down("web-2")
	config()
	r.up(instance("web-1", listen(8001), 1))
	if got := config(); got != "" {
		t.Errorf("got %s, want none", got)
	}
	res.Close()
	if n := strings.Count(log.String(), "bad config"); n != 3 {
		t.Errorf("logged %d times, want once for each set of configs:\n%s", n, log.String())
	}
}

func TestServiceConfigDisabled(t *testing.T) {
	r, l := newRegistry(t), newListener()
	r.up(instance("web-1", listen(8001), 1, `grpc_config=[{"serviceConfig":{"good":1}}]`))
	l.build(t, &dnsreggrpc.Builder{Client: r.client()}, "dnsreg:///web", resolver.BuildOptions{DisableServiceConfig: true})
	if got := next(t, l.states); got.ServiceConfig != nil {
		t.Errorf("got %v", got.ServiceConfig)
	}
}

// A program that only finds services must not carry the registry with it.
func TestLinksNeitherServerNorStore(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list -deps: %v", err)
	}
	const own = "github.com/dnsreg/dnsreg/"
	allowed := []string{own + "resolverclient", own + "resolverclient/grpc", own + "internal/dnssd"}
	for dep := range strings.FieldsSeq(string(out)) {
		if strings.HasPrefix(dep, own) && !slices.Contains(allowed, dep) {
			t.Errorf("links %s", dep)
		}
	}
}
