// Package resolverclient finds the instances of a service by DNS SRV records alone and chooses one of them.
//
// It works with any server that answers SRV (RFC 2782): dnsreg, Consul, CoreDNS, a Kubernetes headless service or a
// zone file. A [Client] asks the servers of /etc/resolv.conf, or those it is given, and keeps what it learnt for as
// long as the records' TTL says:
//
//	client, err := resolverclient.New(resolverclient.Config{Zone: "svc.internal"})
//	…
//	defer client.Close()
//	err = client.Do(ctx, "web", func(ctx context.Context, e resolverclient.Endpoint) error {
//		conn, err := dialer.DialContext(ctx, "tcp", e.HostPort())
//		…
//	})
//
// [Client.Lookup] returns the endpoints of a service in the order of RFC 2782. A [Balancer] picks one of them at a time
// by a [Strategy]; its Pick neither waits nor allocates while the answer is fresh. [Client.Do] picks, calls and goes on
// to the next instance where that is safe. Endpoints of a higher priority number are used only while those of the lower
// ones are unusable.
//
// Where the server speaks DNS-SD (RFC 6763), [Client.Services] lists the service types of the zone, [Client.Service]
// returns the instances of one with their ids and metadata, and [Client.Watch] tells of those that come, change and go.
//
// Calls of HTTP go through a [Transport], whose URLs name services, and anything that dials through
// [Client.DialContext]. [Hedge] adds a second call where the first one takes long.
//
// # Freshness
//
// An answer in use is asked for again before its TTL ends, in the background, so that no call waits; many callers share
// one lookup. While every server fails the last good answer stays in use for [Config.MaxStale] and says so
// ([Answer.Stale]); so does a part of it, the addresses of one instance for example, that cannot be had anew with the
// rest. "There is no such service" ([ErrNotFound]) is an answer, not a failure: it ends the use of the old
// endpoints at once, and is itself kept for a short time only.
//
// A program that starts while every server fails can go on with what the one before it learnt ([Config.SnapshotFile]);
// such an answer says that it is stale, and the first one of a server replaces it.
//
// # Failures
//
// An instance that fails [Config.EjectAfter] times in a row, or much more often than the others ([Config.EjectShare]),
// is kept out for a while, and then again sooner and for longer. Never more than half of a service's instances are out
// ([Config.EjectMost]). Retries and hedges together are bounded to a fifth of the calls ([Config.RetryShare]), so that
// trouble is not multiplied.
//
// # Goroutines
//
// New starts nothing, nor do balancers and watchers. Lookups run in goroutines and on timers of the Client, which
// [Client.Close] ends and waits for; after it nothing of the Client answers. A connection of HTTP/2 to an instance that
// is gone may be closed a second later. Every method may be called by any number of goroutines.
package resolverclient
