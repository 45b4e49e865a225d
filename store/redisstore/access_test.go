package redisstore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dnsreg/dnsreg/internal/redistest"
	"github.com/dnsreg/dnsreg/store"
	"github.com/dnsreg/dnsreg/store/redisstore"
)

// The rules of docs/operate for the prefix "dnsreg", the zone "svc.internal." and database 0.
const (
	readerRules = "%R~dnsreg:* resetchannels &__keyspace@0__:dnsreg:{svc.internal.}:log -@all " +
		"+ping +hello +auth +select +info +hmget +hget +hlen +hgetall +zrangebyscore +exists +pttl +evalsha_ro +eval_ro " +
		"+subscribe +unsubscribe +config|get"
	registrarRules = "~dnsreg:* resetchannels &__keyspace@0__:dnsreg:{svc.internal.}:log &__keyspace@0__:dnsreg:{svc.internal.}:lease:* -@all " +
		"+ping +hello +auth +select +info +hmget +hget +hlen +hgetall +zrangebyscore +exists +pttl +evalsha_ro +eval_ro " +
		"+subscribe +unsubscribe +psubscribe +punsubscribe +config|get +config|set " +
		"+evalsha +eval +getex +get +set +del +unlink +hset +hdel +hsetnx +hexists +hincrby +zadd +zrem +zscore +time +pexpire"
)

// TestAccess: a server that may only read follows, a registrar does everything, and nothing is denied that is needed.
func TestAccess(t *testing.T) {
	server := redistest.Start(t, redistest.WithUser("reader", "rpw", readerRules), redistest.WithUser("registrar", "wpw", registrarRules))
	reader, _ := launch(t, config(t, server.UserURL("reader")))
	eventually(t, soon, "the reader finds nothing that it may read", func() bool { return reader.Stats().ReadOnly })
	if reader.Freshness() != store.Lost {
		t.Fatalf("a reader without data is %v", reader.Freshness())
	}
	registrar := synced(t, config(t, server.UserURL("registrar")))
	awaitSync(t, reader)
	register(t, registrar, web, instance("x", ttl(time.Minute)))
	register(t, registrar, web, instance("leaver", ttl(time.Minute)))
	register(t, registrar, web, instance("dead", ttl(time.Second)))
	overlay(t, registrar, "x", store.Overlay{Weight: new(uint16(3))})
	deregister(t, registrar, "leaver")
	results := renewAll(t, registrar, store.Renewal{Service: web, ID: "x"}, store.Renewal{Service: web, ID: "y"})
	if results[0].Err != nil || !errors.Is(results[1].Err, store.ErrGone) {
		t.Errorf("renew: %+v", results)
	}
	eventually(t, 2*soon, "the dead one is gone", func() bool { return registrar.View().Instances() == 1 })
	converged(t, reader, registrar)
	if l := reader.View().Service(web).Find("x"); l == nil || l.EffectiveWeight() != 3 || reader.View().Instances() != 1 {
		t.Errorf("the reader shows %+v of %d", l, reader.View().Instances())
	}
	eventually(t, soon, "the reader hears a bell", func() bool { return reader.Stats().Bells > 0 })
	leases, err := insist(t, func() (map[string]store.Lease, error) { return reader.Leases(t.Context(), web) })
	if err != nil || len(leases) != 1 {
		t.Errorf("the reader's leases: %v, error %v", leases, err)
	}
	_, err = insist(t, func() (store.Registration, error) { return reader.Register(t.Context(), web, instance("z")) })
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("the reader registers: error %v", err)
	}
	for _, user := range []string{"registrar", "reader"} {
		if log, _ := server.Do("ACL", "LOG").([]any); user == "registrar" {
			for _, entry := range log {
				fields, _ := entry.([]any)
				for i, f := range fields {
					if f == "username" && fields[i+1] == user {
						t.Errorf("denied: %v", fields)
					}
				}
			}
		}
	}
}

// TestReaderRecovers: what Redis loses is restored by who may write; who may not shows no private views.
func TestReaderRecovers(t *testing.T) {
	server := redistest.Start(t, redistest.WithUser("reader", "rpw", readerRules), redistest.WithUser("registrar", "wpw", registrarRules))
	registrar := synced(t, config(t, server.UserURL("registrar")))
	reader := synced(t, config(t, server.UserURL("reader")))
	live := ids("i", 10)
	for _, id := range live {
		register(t, registrar, web, instance(id, ttl(time.Minute)))
	}
	converged(t, reader, registrar)
	watch(t, live, reader, registrar)
	epoch := reader.Stats().Epoch
	server.Do("FLUSHALL")
	eventually(t, soon, "the reader sees the loss", func() bool { return reader.Stats().Epoch != epoch })
	converged(t, reader, registrar)
}

func TestTLS(t *testing.T) {
	server := redistest.Start(t, redistest.WithTLS())
	c := config(t, server.URL())
	c.TLS = server.TLS()
	s := synced(t, c)
	register(t, s, web, instance("x"))
	unknown, _ := launch(t, config(t, server.URL()))
	eventually(t, soon, "a look that fails", func() bool { return unknown.Stats().Troubles > 0 })
	if unknown.Freshness() != store.Lost {
		t.Error("a certificate of nobody knows whom was trusted")
	}
}

// TestPrefixesAndDatabases: stores of other prefixes, zones and databases share nothing.
func TestPrefixesAndDatabases(t *testing.T) {
	server := redistest.Start(t)
	first := config(t, server.URL())
	prefix, zone, database := first, first, first
	prefix.Prefix = "other"
	zone.Rules.Zone = "other.internal."
	database.URL = strings.TrimSuffix(server.URL(), "/0") + "/7"
	var stores []*redisstore.Store
	for i, c := range []redisstore.Config{first, prefix, zone, database} {
		s := synced(t, c)
		register(t, s, web, instance("x", port(uint16(1+i))))
		stores = append(stores, s)
	}
	for i, s := range stores {
		if l := s.View().Service(web).Find("x"); l == nil || l.Port != uint16(1+i) || s.View().Instances() != 1 {
			t.Errorf("store %d shows %+v", i, l)
		}
		eventually(t, soon, "the bell rings", func() bool { return s.Stats().Bells > 0 })
	}
}

// TestNotify: what is done about Redis' flags.
func TestNotify(t *testing.T) {
	for _, c := range []struct {
		name   string
		notify redisstore.Notify
		set    string
		want   string // of Redis' option
		bells  bool
	}{
		{"auto adds to nothing", redisstore.NotifyAuto, "", "zxK", true},
		{"auto keeps what is set", redisstore.NotifyAuto, "Eg", "gzxKE", true},
		{"check leaves it alone", redisstore.NotifyCheck, "Kx", "xK", false},
		{"off leaves it alone", redisstore.NotifyOff, "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			server.Set("notify-keyspace-events", c.set)
			settings := config(t, server.URL())
			settings.Notify = c.notify
			a, b := synced(t, settings), synced(t, settings)
			register(t, a, web, instance("dying", ttl(time.Second)))
			register(t, a, web, instance("x", ttl(time.Minute)))
			eventually(t, soon, "the other shows it", func() bool { return shows(b, "x") })
			eventually(t, 2*soon, "the dying one is gone", func() bool { return !shows(b, "dying") })
			if c.bells {
				eventually(t, soon, "a bell is heard", func() bool { return b.Stats().Bells > 0 })
			} else if bells := b.Stats().Bells; bells > 0 {
				t.Errorf("%d bells", bells)
			}
			if set, _ := server.Do("CONFIG", "GET", "notify-keyspace-events").([]any); len(set) != 2 || set[1] != c.want {
				t.Errorf("flags %v, want %s", set, c.want)
			}
		})
	}
}

// TestFlagsLost: somebody takes the flags away; the poll notices, and the flags come back.
func TestFlagsLost(t *testing.T) {
	p := newPair(t)
	register(t, p.a, web, instance("x", ttl(time.Minute)))
	p.server.Set("notify-keyspace-events", "")
	begin := time.Now()
	for i := 0; p.b.Stats().Missed == 0; i++ {
		if time.Since(begin) > 2*soon {
			t.Fatal("nobody notices that the bell is silent")
		}
		r := register(t, p.a, web, instance("x", ttl(time.Minute), port(uint16(100+i))))
		eventually(t, soon, "the other shows it", func() bool { return p.b.View().Revision() >= r.Revision })
	}
	bells, round := p.b.Stats().Bells, 0
	eventually(t, 2*soon, "the bell is back", func() bool {
		round++
		register(t, p.a, web, instance(fmt.Sprintf("y%d", round%10), ttl(time.Minute), port(uint16(round))))
		return p.b.Stats().Bells > bells
	})
}
