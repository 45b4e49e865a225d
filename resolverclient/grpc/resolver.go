package dnsreggrpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"

	"google.golang.org/grpc/resolver"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// Scheme is the scheme of the targets that a Builder resolves, as in dnsreg:///web.
const Scheme = "dnsreg"

// Builder is a resolver.Builder, for grpc.WithResolvers. One may serve any number of connections.
type Builder struct {
	// Client finds the instances. Required. It must be closed after the connections.
	Client *resolverclient.Client
	// Logger hears of service configs that cannot be used. Default: nobody.
	Logger *slog.Logger
}

// Scheme returns [Scheme].
func (b *Builder) Scheme() string { return Scheme }

// Build starts to follow the service that target names, without waiting for the first answer. It fails where the target
// has an authority (the servers to ask are those of the Client) or the name is none of a service. Closing the resolver
// waits for its goroutine.
func (b *Builder) Build(
	target resolver.Target, cc resolver.ClientConn, opts resolver.BuildOptions,
) (resolver.Resolver, error) {
	switch {
	case b.Client == nil:
		return nil, errors.New("dnsreggrpc: Builder.Client is required")
	case target.URL.Host != "":
		return nil, fmt.Errorf("target %v: must have no authority, as in %s:///web", target, Scheme)
	}
	ctx, cancel := context.WithCancel(context.Background())
	events, err := b.Client.Watch(ctx, target.Endpoint())
	if err != nil {
		cancel()
		return nil, fmt.Errorf("target %v: %w", target, err)
	}
	f := &follower{client: b.Client, service: target.Endpoint(), cc: cc, cancel: cancel}
	if !opts.DisableServiceConfig {
		f.configs = newConfigs(cc, b.logger().With(slog.String("service", f.service)))
	}
	f.running.Go(func() { f.follow(ctx, events) })
	return f, nil
}

func (b *Builder) logger() *slog.Logger {
	if b.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return b.Logger
}

// follower is the resolver of one connection: it tells cc of each new set of instances.
type follower struct {
	client  *resolverclient.Client
	service string
	cc      resolver.ClientConn
	configs *configs // nil where service configs are not wanted
	cancel  context.CancelFunc
	running sync.WaitGroup

	known map[string]resolverclient.Endpoint // what cc was told; the goroutine's own
}

// ResolveNow does nothing: changes are seen by TTL, and asking the cache again would bring none.
func (f *follower) ResolveNow(resolver.ResolveNowOptions) {}

// Close ends the goroutine and waits for it.
func (f *follower) Close() {
	f.cancel()
	f.running.Wait()
}

// follow takes the whole set at once where events say that it changed.
func (f *follower) follow(ctx context.Context, events *resolverclient.Watcher) {
	for f.update(ctx); ; f.update(ctx) {
		err := f.news(events)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			f.cc.ReportError(fmt.Errorf("watch %s: %w", f.service, err))
			return
		}
	}
}

// news waits for an event that is not contained in what cc was told.
func (f *follower) news(events *resolverclient.Watcher) error {
	for {
		event, err := events.Next()
		if err != nil {
			return err
		}
		told, known := f.known[identity(event.Endpoint)]
		gone := event.Kind == resolverclient.Down
		if known == gone || !gone && !reflect.DeepEqual(told, event.Endpoint) {
			return nil
		}
	}
}

// update tells cc what the client knows.
func (f *follower) update(ctx context.Context) {
	answer, err := f.client.Service(ctx, f.service)
	if ctx.Err() != nil {
		return
	}
	none := errors.Is(err, resolverclient.ErrNotFound) || errors.Is(err, resolverclient.ErrNotOffered)
	if err == nil || none {
		f.tell(answer.Endpoints)
	}
	if err != nil {
		f.cc.ReportError(err)
	}
}

// tell gives cc a set. Its complaint is of no use here: the next set comes when there is one.
func (f *follower) tell(endpoints []resolverclient.Endpoint) {
	f.known = make(map[string]resolverclient.Endpoint, len(endpoints))
	for _, e := range endpoints {
		f.known[identity(e)] = e
	}
	state := stateOf(endpoints)
	if f.configs != nil {
		state.ServiceConfig = f.configs.choose(endpoints)
	}
	_ = f.cc.UpdateState(state)
}

// identity tells the instances of a service apart, as events do.
func identity(e resolverclient.Endpoint) string {
	if e.Instance != "" {
		return e.Instance
	}
	return fmt.Sprintf("%s:%d", e.Target, e.Port)
}
