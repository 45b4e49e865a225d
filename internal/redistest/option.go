package redistest

import (
	"strings"
	"time"
)

// Option changes how the processes of a test are started.
type Option func(*settings)

// settings is what the options make.
type settings struct {
	directives []string // lines of redis.conf
	users      map[string]string
	rdb        string
	tls        bool
	clock      bool
	replicas   int
	downAfter  time.Duration
}

func newSettings(options []Option) *settings {
	s := &settings{users: make(map[string]string), downAfter: DownAfter}
	for _, option := range options {
		option(s)
	}
	return s
}

// WithConfig adds a line to redis.conf: "maxmemory", "4mb".
func WithConfig(key string, values ...string) Option {
	return func(s *settings) { s.directives = append(s.directives, key+" "+strings.Join(values, " ")) }
}

// WithUser adds a user with a password and ACL rules such as "~* &* +@all". The user "default" is changed by it and loses
// its access without a password; the client of [Server.Client] is not concerned.
func WithUser(name, password, rules string) Option {
	return func(s *settings) {
		s.users[name] = password
		s.directives = append(s.directives, "user "+name+" reset on >"+password+" "+rules)
	}
}

// WithRDB has the server start with the data of an RDB file, of which it gets a copy.
func WithRDB(file string) Option { return func(s *settings) { s.rdb = file } }

// WithTLS has the server speak TLS alone, with a certificate that is made for the test; see [Server.TLS].
func WithTLS() Option { return func(s *settings) { s.tls = true } }

// WithClock gives the server a wall clock that [Server.SetClock] moves. It needs gcc.
func WithClock() Option { return func(s *settings) { s.clock = true } }

// WithReplicas sets how many replicas the master of a Sentinel (default 1) or each master of a Cluster (default 0) has.
func WithReplicas(n int) Option { return func(s *settings) { s.replicas = n } }

// WithDownAfter sets how long the master of a Sentinel may be silent (default [DownAfter]): long, for a test in which none is
// to fail over, whatever the machine does.
func WithDownAfter(d time.Duration) Option { return func(s *settings) { s.downAfter = d } }
