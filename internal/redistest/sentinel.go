package redistest

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	sentinels     = 3
	quorum        = 2
	sentinelLimit = time.Minute  // for a failover to be complete; it takes some 2 s, or 2 × FailoverTimeout more after a failed vote
	replicator    = "replicator" // the user by whom replicas log in at the master
)

// MasterName is what the sentinels of a [Sentinel] call the master, DownAfter how long it may be silent by default, and
// FailoverTimeout their failover-timeout.
const (
	MasterName      = "dnsreg"
	DownAfter       = time.Second
	FailoverTimeout = 3 * time.Second
)

// Sentinel is a master and its replicas, watched by three sentinels.
type Sentinel struct {
	t         testing.TB
	servers   []*Server
	watchers  []*watcher
	downAfter time.Duration
}

// watcher is one sentinel process.
type watcher struct {
	*Server
	id string
}

// StartSentinel starts a master, its replicas and the sentinels, and returns when the replicas are in step and every
// sentinel knows all the others.
func StartSentinel(t testing.TB, options ...Option) *Sentinel {
	t.Helper()
	settings := newSettings(append([]Option{WithReplicas(1)}, options...))
	settings.directives = append([]string{
		"user " + replicator + " on >" + replicator + " +psync +replconf +ping", "masteruser " + replicator,
		"masterauth " + replicator, "repl-diskless-sync-delay 0",
	}, settings.directives...)
	s := &Sentinel{t: t, downAfter: settings.downAfter}
	for range 1 + settings.replicas {
		server := prepare(t, settings)
		server.launch()
		s.servers = append(s.servers, server)
	}
	host, port := s.servers[0].hostPort()
	for _, replica := range s.servers[1:] {
		replica.Do("REPLICAOF", host, port)
	}
	s.awaitLink()
	for range portTries {
		if s.watch() {
			break
		}
	}
	s.awaitSentinels()
	return s
}

func (s *Sentinel) awaitLink() {
	s.t.Helper()
	for _, replica := range s.servers[1:] {
		until(s.t, sentinelLimit, "a replica to be in step", func() bool { return replica.Info("replication")["master_link_status"] == "up" })
	}
}

// newWatcher makes a sentinel that is not started yet, on a port that the others can be told.
func newWatcher(t testing.TB) *watcher {
	id := make([]byte, 20)
	_, _ = rand.Read(id) // never fails
	w := &watcher{Server: &Server{t: t, settings: newSettings(nil), process: newProcess(t, nil), port: freePort(t)}, id: hex.EncodeToString(id)}
	w.connect()
	return w
}

// watch starts the sentinels, and reports whether none lost its port to another process. Each is told of the others, which
// spares the seconds until they hear each other.
func (s *Sentinel) watch() bool {
	s.t.Helper()
	s.watchers = nil
	for range sentinels {
		s.watchers = append(s.watchers, newWatcher(s.t))
	}
	for _, w := range s.watchers {
		if err := os.WriteFile(w.process.configFile(), []byte(s.configOf(w)), 0o600); err != nil {
			s.t.Fatal(err)
		}
		w.process.start("--sentinel")
	}
	lost := slices.ContainsFunc(s.watchers, func(w *watcher) bool { return !w.answers() && w.process.lostPort() })
	if lost {
		for _, w := range s.watchers {
			w.process.kill()
		}
	}
	return !lost
}

func (s *Sentinel) awaitSentinels() {
	s.t.Helper()
	for _, w := range s.watchers {
		if !w.answers() {
			s.t.Fatalf("the sentinel does not answer on %s:\n%s", w.Addr(), w.process.logTail())
		}
	}
	until(s.t, sentinelLimit, "the sentinels to know everybody", func() bool {
		return !slices.ContainsFunc(s.watchers, func(w *watcher) bool { return !w.knows(len(s.servers) - 1) })
	})
}

func (s *Sentinel) configOf(w *watcher) string {
	host, port := s.servers[0].hostPort()
	lines := []string{
		fmt.Sprintf("port %d", w.port), "bind 127.0.0.1", "dir " + w.process.dir, "user " + admin + " on nopass ~* &* +@all",
		"sentinel myid " + w.id,
		fmt.Sprintf("sentinel monitor %s %s %s %d", MasterName, host, port, quorum),
		fmt.Sprintf("sentinel down-after-milliseconds %s %d", MasterName, s.downAfter.Milliseconds()),
		fmt.Sprintf("sentinel failover-timeout %s %d", MasterName, FailoverTimeout.Milliseconds()),
	}
	if s.servers[0].certs != nil {
		lines = append(lines, "tls-replication yes")
		lines = append(lines, s.servers[0].certs.directives()...)
	}
	for _, replica := range s.servers[1:] {
		host, port := replica.hostPort()
		lines = append(lines, fmt.Sprintf("sentinel known-replica %s %s %s", MasterName, host, port))
	}
	for _, other := range s.watchers {
		if host, port := other.hostPort(); other != w {
			lines = append(lines, fmt.Sprintf("sentinel known-sentinel %s %s %s %s", MasterName, host, port, other.id))
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// knows reports whether the sentinel sees the master, so many replicas and the other sentinels, all of them up.
func (w *watcher) knows(replicas int) bool {
	reply, _ := w.Do("SENTINEL", "MASTER", MasterName).([]any)
	fields := make(map[any]any)
	for pair := range slices.Chunk(reply, 2) {
		fields[pair[0]] = pair[len(pair)-1]
	}
	return fields["flags"] == "master" && fields["num-slaves"] == fmt.Sprint(replicas) &&
		fields["num-other-sentinels"] == fmt.Sprint(sentinels-1)
}

// URL returns the sentinels as redis://host:port,host:port,host:port?master=NAME.
func (s *Sentinel) URL() string {
	return "redis://" + strings.Join(s.Addrs(), ",") + "?master=" + url.QueryEscape(MasterName)
}

// Addrs returns the host:port of every sentinel.
func (s *Sentinel) Addrs() []string {
	addrs := make([]string, len(s.watchers))
	for i, w := range s.watchers {
		addrs[i] = w.Addr()
	}
	return addrs
}

// Servers returns the redis-servers, the first having been started as master.
func (s *Sentinel) Servers() []*Server { return slices.Clone(s.servers) }

// Master returns the server that the first sentinel takes for the master.
func (s *Sentinel) Master() *Server {
	s.t.Helper()
	addr := s.masterAddr(s.watchers[0])
	i := slices.IndexFunc(s.servers, func(server *Server) bool { return server.Addr() == addr })
	if i < 0 {
		s.t.Fatalf("the sentinel names %q as master", addr)
	}
	return s.servers[i]
}

func (s *Sentinel) masterAddr(w *watcher) string {
	reply, _ := w.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MasterName).([]any)
	if len(reply) != 2 {
		return ""
	}
	return fmt.Sprintf("%v:%v", reply[0], reply[1])
}

// Replica returns the first server that is not the master.
func (s *Sentinel) Replica() *Server {
	s.t.Helper()
	master := s.Master()
	i := slices.IndexFunc(s.servers, func(server *Server) bool { return server != master })
	return s.servers[i]
}

// Lag cuts the replicas off from the master, in the way of an account that is revoked: from now on they miss its writes,
// and a failover within some ten seconds still promotes one of them.
func (s *Sentinel) Lag() {
	s.t.Helper()
	s.Master().Do("ACL", "DELUSER", replicator)
	for _, server := range s.servers {
		if server.Info("replication")["role"] == "slave" {
			until(s.t, sentinelLimit, "the replica's link to break", func() bool { return server.Info("replication")["master_link_status"] == "down" })
		}
	}
}

// WaitFailover returns the new master once every sentinel names it and it takes writes.
func (s *Sentinel) WaitFailover(old *Server) *Server {
	s.t.Helper()
	until(s.t, sentinelLimit, "a failover", func() bool {
		return !slices.ContainsFunc(s.watchers, func(w *watcher) bool {
			addr := s.masterAddr(w)
			return addr == "" || addr == old.Addr()
		})
	})
	heir := s.Master()
	until(s.t, sentinelLimit, "the new master's role", func() bool { return heir.Info("replication")["role"] == "master" })
	return heir
}
